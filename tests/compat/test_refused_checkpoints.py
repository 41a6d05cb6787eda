"""Files that are no checkpoint of the authors: one sentence each, and nothing in them is run."""

import os

import pytest
import torch

from tests.helpers.authors_files import (
    checkpoint,
    densenet_file,
    densenet_without,
    vit_state,
    write,
)
from whence.compat import load_authors_checkpoint


@pytest.mark.parametrize(
    "content, message",
    [
        (lambda: [1, 2], "must hold a dict, got a list"),
        (lambda: {"a": 1}, "it lacks model_state_dict, model_name, num_classes, modality, dataset"),
        (lambda: densenet_file(modality=None), "it lacks modality"),
        (
            lambda: densenet_file() | {"model_name": "vgg"},
            r"unknown model_name 'vgg'. .*: mobilenet,",
        ),
        (lambda: densenet_file() | {"model_name": ["x"]}, r"unknown model_name \['x'\]"),
        (lambda: densenet_file(modality="mw"), r"modality 'mw'. Choose from: std, memory, enc"),
        (
            lambda: densenet_file(dataset_name="MNIST"),
            "dataset_name 'MNIST'. Choose from: SVHN, CIF",
        ),
        (lambda: densenet_file(num_classes=100), "last layer of num_classes=100 rows, got 10"),
        (lambda: densenet_file("mw.classifier.fc2.bias"), "a last layer .* got none"),
        (
            lambda: checkpoint(
                densenet_without(mw__classifier__fc2__bias=torch.zeros(1)), model_name="densenet"
            ),
            r"a bias of 2 to 100000 classes, got shape \(1,\)",
        ),
        (lambda: densenet_file("bn.weight"), r"encoder.bn.weight \(384,\) is missing \(1 of "),
        (
            lambda: densenet_file("mw.classifier.fc1.bias"),
            r"head.classifier.0.bias \(1536,\) is mis",
        ),
        (
            lambda: checkpoint(densenet_without(conv9__bias=torch.zeros(2)), model_name="densenet"),
            "must hold a memory-wrap model, encoder.conv9.bias has no place in one",
        ),
        (lambda: densenet_file(modality="memory"), r"0.weight must have shape \(768, 384\), got"),
        (
            lambda: densenet_file(modality="std"),
            r"standard model, head.classifier.0.bias has no pl",
        ),
        (
            lambda: checkpoint(
                densenet_without(bn__bias=torch.full((384,), torch.inf)), model_name="densenet"
            ),
            "bn.bias has NaN or infinity",
        ),
        (lambda: checkpoint(3, model_name="densenet"), "must hold named tensors"),
        (
            lambda: vit_state("std"),
            r"does not say its dataset; pass dataset_name: SVHN, CIFAR10, CIN",
        ),
    ],
)
def test_files_that_are_refused(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_authors_checkpoint(write(tmp_path, content()))


def test_a_dataset_must_agree_with_the_file(tmp_path):
    path = write(tmp_path, densenet_file())
    with pytest.raises(ValueError, match=r"dataset_name must be 'SVHN', which .* got 'CIFAR10'"):
        load_authors_checkpoint(path, dataset_name="CIFAR10")
    path = write(tmp_path, vit_state("std"))
    with pytest.raises(ValueError, match="unknown dataset_name 'c10'"):
        load_authors_checkpoint(path, dataset_name="c10")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("field", ["model_state_dict", "train_examples"])
def test_a_hostile_file_is_not_run(field, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, densenet_file() | {field: Hostile()})
    with pytest.raises(ValueError, match=r"1.pt must be a whole PyTorch file .* could run code"):
        load_authors_checkpoint(path)
    assert not (tmp_path / "hacked").exists()
    with pytest.raises(FileNotFoundError, match=r"2.pt must be a file"):
        load_authors_checkpoint(tmp_path / "2.pt")
