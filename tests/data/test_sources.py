"""Named datasets, read from small files of the published formats; the network is always off."""

import gzip
import hashlib
import inspect
import pickle
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets
from PIL import Image
from sklearn.datasets import load_digits
from torch.testing import assert_close

from whence.data import DATASETS
from whence.data.channels import to_channels
from whence.data.cifar10 import cifar10
from whence.data.cinic10 import cinic10
from whence.data.digits import digits
from whence.data.fingerprint import fingerprint
from whence.data.idx import read_idx
from whence.data.load import load_dataset
from whence.data.mnist import CLOTHES, fashion_mnist, mnist
from whence.data.notmnist import notmnist
from whence.data.resize import resize
from whence.data.svhn import svhn


@pytest.fixture(autouse=True)
def network_calls(monkeypatch):
    calls = []

    def refuse(*args, **kwargs):
        calls.append(args)
        raise URLError(ConnectionRefusedError(111, "Connection refused"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return calls


@pytest.fixture
def numbers():
    return np.random.default_rng(0)


def idx_bytes(array):
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write_idx(folder, numbers, suffix="", train=7, test=4):
    """Write four files; return the arrays in the order train images, train labels, test ..."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    arrays = []
    for prefix, count in [("train", train), ("t10k", test)]:
        images = numbers.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = numbers.integers(0, 10, count, dtype=np.uint8)
        for kind, array in [("images-idx3", images), ("labels-idx1", labels)]:
            (folder / f"{prefix}-{kind}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))
            arrays.append(array)
    return arrays


def save_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


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


# notMNIST


def write_notmnist(root, numbers):
    for folder, count in [("notMNIST_large", 2), ("notMNIST_small", 1)]:
        for letter in "ABCDEFGHIJ":
            for index in range(count):
                image = numbers.integers(0, 256, (28, 28), dtype=np.uint8)
                save_png(root / folder / letter / f"{index}.png", image)


def test_notmnist_counts_damaged_files(tmp_path, numbers):
    write_notmnist(tmp_path, numbers)
    (tmp_path / "notMNIST_large" / "A" / "broken.png").write_bytes(b"")
    (tmp_path / "notMNIST_large" / "F" / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "notMNIST_large" / "F" / ".DS_Store").write_bytes(b"")
    (tmp_path / "notMNIST_small" / "B" / "z.png").write_bytes(b"GIF89a")
    dataset = notmnist(tmp_path)
    assert dataset.train.images.shape == (20, 1, 28, 28)
    assert dataset.test.images.shape == (10, 1, 28, 28)
    assert dataset.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert dataset.train.sources[:3] == tuple(
        f"notMNIST_large/{name}.png" for name in ("A/0", "A/1", "B/0")
    )
    assert dataset.train.class_names == tuple("ABCDEFGHIJ")
    with Image.open(tmp_path / "notMNIST_large" / "B" / "1.png") as image:
        assert_close(dataset.train.images[3, 0], torch.from_numpy(np.array(image)))
    assert dataset.notes == (
        "2 files are left out of notMNIST_large: empty or damaged (first: notMNIST_large/A/broken.png).",
        "1 file is left out of notMNIST_small: empty or damaged (first: notMNIST_small/B/z.png).",
    )


def test_notmnist_needs_every_letter(tmp_path, numbers):
    write_notmnist(tmp_path, numbers)
    (tmp_path / "notMNIST_small" / "C" / "0.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"notMNIST_small/C must hold readable PNG files"):
        notmnist(tmp_path)


def test_notmnist_as_idx(tmp_path, numbers):
    arrays = write_idx(tmp_path / "notMNIST" / "raw", numbers)
    dataset = notmnist(tmp_path)
    assert_close(dataset.test.images, torch.from_numpy(arrays[2])[:, None])
    assert dataset.test.class_names == tuple("ABCDEFGHIJ")


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


# SVHN


def write_svhn(folder, numbers):
    arrays = []
    for name, count in [("train", 5), ("test", 3)]:
        pixels = numbers.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        digits = np.array([[10], [1], [9], [10], [3]][:count], dtype=np.uint8)
        scipy.io.savemat(
            folder / f"{name}_32x32.mat", {"X": pixels, "y": digits}, do_compression=True
        )
        arrays.append(pixels)
    return arrays


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
        with pytest.raises(ValueError, match="must hold one folder of images per class"):
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
