"""SVHN, from files of its layout."""

import hashlib

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets
from torch.testing import assert_close

from tests.helpers.dataset_files import write_svhn
from whence.data.svhn import svhn

# SVHN


@pytest.mark.parametrize("folder", ["", "SVHN"])
def test_svhn_reads_local_files(folder, tmp_path, numbers, network_calls):
    (tmp_path / folder).mkdir(exist_ok=True)
    train, _ = write_svhn(tmp_path / folder, numbers)
    dataset = svhn(tmp_path)
    assert dataset.train.labels.tolist() == [0, 1, 9, 0, 3], "10 is published for the digit 0"
    assert dataset.test.labels.tolist() == [0, 1, 9]
    assert dataset.train.images.shape == (5, 3, 32, 32)
    assert dataset.train.images[4, 2, 7, 30] == train[7, 30, 2, 4]
    assert dataset.train.class_names == tuple("0123456789")
    assert not network_calls


def test_svhn_agrees_with_torchvision(tmp_path, numbers, monkeypatch):
    write_svhn(tmp_path, numbers)
    oracle = torchvision.datasets.SVHN
    sums = {
        part: [
            "",
            f"{part}_32x32.mat",
            hashlib.md5((tmp_path / f"{part}_32x32.mat").read_bytes()).hexdigest(),
        ]
        for part in ("train", "test")
    }
    monkeypatch.setattr(oracle, "split_list", sums)
    dataset = svhn(tmp_path)
    for part, name in [(dataset.train, "train"), (dataset.test, "test")]:
        expected = oracle(tmp_path, split=name)
        assert_close(part.images, torch.from_numpy(expected.data))
        assert_close(part.labels, torch.from_numpy(expected.labels))


def test_svhn_damaged(tmp_path, numbers):
    write_svhn(tmp_path, numbers)
    path = tmp_path / "train_32x32.mat"
    for content in (b"", b"<html>", path.read_bytes()[:-500]):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"train_32x32\.mat must be a MATLAB file with X and y"
        ):
            svhn(tmp_path)
    scipy.io.savemat(path, {"X": np.zeros((32, 32, 3, 4), np.uint8)})
    with pytest.raises(ValueError, match="must be a MATLAB file with X and y"):
        svhn(tmp_path)
    scipy.io.savemat(path, {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones(3)})
    with pytest.raises(ValueError, match=r"and 3 labels; remove it"):
        svhn(tmp_path)
