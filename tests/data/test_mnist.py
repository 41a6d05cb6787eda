"""MNIST and Fashion-MNIST, from files of their layout."""

import gzip

import numpy as np
import pytest
import torch
import torchvision.datasets
from torch.testing import assert_close

from tests.helpers.dataset_files import idx_bytes, write_idx
from whence.data.idx import read_idx
from whence.data.mnist import CLOTHES, fashion_mnist, mnist

# MNIST and Fashion-MNIST


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("load, folder", [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
def test_mnist_reads_local_files(load, folder, suffix, tmp_path, numbers, network_calls):
    arrays = write_idx(tmp_path / folder / "raw", numbers, suffix)
    dataset = load(tmp_path)
    for part, images, labels in [(dataset.train, *arrays[:2]), (dataset.test, *arrays[2:])]:
        assert_close(part.images, torch.from_numpy(images)[:, None])
        assert_close(part.labels, torch.from_numpy(labels).long())
    assert dataset.name == load.__name__
    assert not network_calls


def test_fashion_mnist_agrees_with_torchvision(tmp_path, numbers):
    write_idx(tmp_path / "FashionMNIST" / "raw", numbers)
    dataset = fashion_mnist(tmp_path)
    for part, train in [(dataset.train, True), (dataset.test, False)]:
        oracle = torchvision.datasets.FashionMNIST(tmp_path, train=train)
        assert_close(part.images[:, 0], oracle.data)
        assert_close(part.labels, oracle.targets)
        assert part.class_names == CLOTHES == tuple(oracle.classes)


def test_mnist_is_downloaded_to_the_root(tmp_path, numbers, monkeypatch):
    def fetcher(root, download):
        assert download
        write_idx(root / "MNIST" / "raw", numbers)

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetcher)
    assert len(mnist(tmp_path).train) == 7


def test_one_missing_file_of_four_is_named(tmp_path, numbers):
    folder = tmp_path / "MNIST" / "raw"
    write_idx(folder, numbers)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte, which is not there"):
        mnist(tmp_path)
    assert (folder / "train-images-idx3-ubyte").exists()


def test_idx_files_that_are_damaged(tmp_path, numbers):
    folder = tmp_path / "MNIST" / "raw"
    write_idx(folder, numbers)
    images = folder / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"must have 5488 bytes .* \(7, 28, 28\) says, got 5487"):
        mnist(tmp_path)
    images.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"must be an idx file .* begins with 3c 68 74 6d"):
        mnist(tmp_path)
    images.write_bytes(b"")
    with pytest.raises(ValueError, match="it begins with nothing"):
        mnist(tmp_path)
    images.write_bytes(idx_bytes(np.zeros((3, 28, 28), np.uint8)))
    with pytest.raises(ValueError, match=r"must have a label for each of the 3 images .* got 7"):
        mnist(tmp_path)
    images.write_bytes(whole)
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.full(7, 10, np.uint8)))
    with pytest.raises(ValueError, match="must hold labels below 10, got one of 10"):
        mnist(tmp_path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "x.gz"
    for content in (b"not gzip", gzip.compress(b"x" * 1000)[:-9]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.gz must be a gzip file, it is damaged"):
            read_idx(path, axes=1)
