"""Named datasets, read from small files of the published formats; the network is always off."""

import hashlib
import inspect
import pickle

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image
from sklearn.datasets import load_digits
from torch.testing import assert_close

from tests.helpers.dataset_files import save_png, write_svhn
from whence.data import DATASETS
from whence.data.channels import to_channels
from whence.data.cifar10 import cifar10
from whence.data.cinic10 import cinic10
from whence.data.digits import digits
from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.data.resize import resize

# Every dataset


@pytest.mark.parametrize("name", DATASETS)
def test_signature(name):
    root, download = inspect.signature(DATASETS[name]).parameters.values()
    assert (root.name, download.name, download.default) == ("root", "download", True)
    assert download.kind is inspect.Parameter.KEYWORD_ONLY


MISSING = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "fashion_mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
    "notmnist": "notMNIST/raw/train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "svhn": "train_32x32.mat",
    "cinic10": "CINIC10/train",
}


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("name", MISSING)
def test_missing_files_are_named_in_one_sentence(name, download, tmp_path, network_calls):
    root = tmp_path / "data"
    with pytest.raises(FileNotFoundError) as caught:
        DATASETS[name](root, download=download)
    message = str(caught.value)
    assert message.startswith(f"{name} needs {root / MISSING[name]}, which is not there, and ")
    assert message.endswith(".")
    assert "\n" not in message
    by_hand = name in {"notmnist", "cinic10"}
    assert ("Connection refused" in message) == (download and not by_hand)
    assert ("download is switched off" in message) == (not download and not by_hand)
    assert bool(network_calls) == (download and not by_hand)
    assert not root.exists(), "a failed download leaves nothing behind"


def test_only_digits_needs_no_files():
    assert set(DATASETS) - set(MISSING) == {"digits"}


# digits


def test_digits_are_scikit_learns(tmp_path):
    dataset = digits(tmp_path)
    assert dataset.train.images.shape == (1297, 1, 8, 8)
    assert dataset.test.images.shape == (500, 1, 8, 8)
    assert dataset.train.class_names == tuple("0123456789")
    bunch = load_digits()
    expected = sorted(
        (int(label), bytes(int(value * 255 / 16 + 0.5) for value in image.flatten()))
        for label, image in zip(bunch.target, bunch.images, strict=True)
    )
    both = [
        (part.labels[i], part.images[i])
        for part in (dataset.train, dataset.test)
        for i in range(len(part))
    ]
    assert (
        sorted((int(label), bytes(image.flatten().tolist())) for label, image in both) == expected
    )


def test_digits_are_divided_in_proportion_and_always_alike(tmp_path):
    dataset = digits(tmp_path)
    counts = torch.from_numpy(load_digits().target).bincount()
    share = counts * 500 / 1797
    assert ((dataset.test.labels.bincount() - share).abs() < 1).all()
    assert fingerprint(dataset.train) == fingerprint(digits(tmp_path).train)
    assert fingerprint(dataset.train)[:16] == "e3f1815abf50a310", "the division must never change"


# CIFAR-10


@pytest.fixture
def cifar_batches(tmp_path, numbers, monkeypatch):
    """Write the six files and let them pass for the official ones."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    oracle = torchvision.datasets.CIFAR10
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    batches = [f"data_batch_{index}" for index in range(1, 6)] + ["test_batch"]
    entries = [
        {
            "data": numbers.integers(0, 256, (3, 3072), dtype=np.uint8),
            "labels": numbers.integers(0, 10, 3).tolist(),
        }
        for _ in batches
    ]
    sums = [[name, write(name, entry)] for name, entry in zip(batches, entries, strict=True)]
    monkeypatch.setattr(oracle, "train_list", sums[:5])
    monkeypatch.setattr(oracle, "test_list", sums[5:])
    meta = {
        "filename": "batches.meta",
        "key": "label_names",
        "md5": write("batches.meta", {"label_names": names}),
    }
    monkeypatch.setattr(oracle, "meta", meta)
    return folder, entries, names


def test_cifar10_reads_the_batches(cifar_batches, tmp_path, network_calls):
    _, entries, names = cifar_batches
    dataset = cifar10(tmp_path)
    assert dataset.train.images.shape == (15, 3, 32, 32)
    assert dataset.test.images.shape == (3, 3, 32, 32)
    pixels = np.concatenate([entry["data"] for entry in entries]).reshape(18, 3, 32, 32)
    assert_close(torch.cat([dataset.train.images, dataset.test.images]), torch.from_numpy(pixels))
    labels = [label for entry in entries for label in entry["labels"]]
    assert torch.cat([dataset.train.labels, dataset.test.labels]).tolist() == labels
    assert dataset.train.class_names == tuple(names)
    assert dataset.train.images.is_contiguous()
    assert not network_calls


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
def test_cifar10_unpickles_official_files_only(cifar_batches, tmp_path, name, network_calls):
    folder, _, _ = cifar_batches
    (folder / name).write_bytes(pickle.dumps({"data": "something else"}))
    with pytest.raises(ValueError, match=rf"{name} must be the official file of CIFAR-10"):
        cifar10(tmp_path)
    assert not network_calls, "changed files are never replaced by a download"


def test_cifar10_from_an_image_folder(tmp_path, numbers):
    for part, count in [("train", 3), ("test", 1)]:
        for name in ["cat", "dog"]:
            for index in range(count):
                save_png(
                    tmp_path / "cifar10" / part / name / f"{index}.png",
                    numbers.integers(0, 256, (32, 32), dtype=np.uint8),
                )
    dataset = cifar10(tmp_path)
    assert dataset.name == "cifar10"
    assert dataset.train.images.shape == (6, 3, 32, 32), "CIFAR-10 has three channels"
    assert dataset.test.sources == ("test/cat/0.png", "test/dog/0.png")


# CINIC-10


def test_cinic10_uses_train_and_test(tmp_path, numbers):
    for part in ("train", "valid", "test"):
        for name in ("bird", "ship"):
            shape = (32, 32) if name == "bird" else (32, 32, 3)
            save_png(
                tmp_path / "CINIC10" / part / name / "a.png",
                numbers.integers(0, 256, shape, dtype=np.uint8),
            )
    dataset = cinic10(tmp_path)
    assert dataset.name == "cinic10"
    assert dataset.train.images.shape == dataset.test.images.shape == (2, 3, 32, 32)
    assert dataset.train.sources == ("train/bird/a.png", "train/ship/a.png")
    assert dataset.notes == ("valid/ is not used: not an image in a class folder.",)


# load_dataset


def test_load_dataset_by_name(tmp_path):
    assert fingerprint(load_dataset("digits", root=tmp_path).test) == fingerprint(
        digits(tmp_path).test
    )


def test_load_dataset_converts_size_and_channels(tmp_path):
    plain = digits(tmp_path)
    dataset = load_dataset("digits", root=tmp_path, size=16, channels=3)
    expected = to_channels(resize(plain.train.images, 16), 3)
    assert dataset.train.images.shape == (1297, 3, 16, 16)
    assert_close(dataset.train.images, expected)
    assert dataset.test.images.shape == (500, 3, 16, 16)
    assert dataset.notes == ("The images are grey: their one channel was repeated to make three.",)
    assert load_dataset("digits", root=tmp_path, channels=1).notes == ()


def test_load_dataset_colour_to_grey(tmp_path, numbers):
    pixels, _ = write_svhn(tmp_path, numbers)
    dataset = load_dataset("svhn", root=tmp_path, channels=1)
    oracle = Image.fromarray(pixels[..., 1]).convert("L")
    assert_close(dataset.train.images[1, 0], torch.from_numpy(np.array(oracle)))
    assert dataset.notes == ("The images are in colour and were converted to grey.",)


def test_load_dataset_passes_download_and_root_on(tmp_path, network_calls):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_dataset("mnist", root=tmp_path, download=False)
    assert not network_calls


@pytest.mark.parametrize("name", ["cifar", "", "photos/missing"])
def test_load_dataset_unknown_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not name:
        with pytest.raises(ValueError, match="name_or_path must name a file or a folder, got ''"):
            load_dataset(name)
        return
    with pytest.raises(
        ValueError, match=f"Unknown dataset '{name}', and there is no such folder.*digits, mnist"
    ):
        load_dataset(name)


def test_load_dataset_rejects_options(tmp_path):
    with pytest.raises(ValueError, match="channels must be 1 \\(grey\\) or 3 \\(RGB\\), got 4"):
        load_dataset("digits", root=tmp_path, channels=4)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        load_dataset("digits", root=tmp_path, size=0)
