"""Labelled images as people hold them, for fitting and measuring."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, random_split
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import whence
from tests.helpers.image_files import write_pictures
from whence.data.load import load_dataset
from whence.models.as_image_set import as_image_set

NAMES = ("cat", "cow", "dog")
LIKE = SimpleNamespace(image_shape=(3, 8, 10), class_names=NAMES)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.fixture
def images(rng):
    return torch.randint(0, 256, (5, 3, 8, 10), generator=rng, dtype=torch.uint8)


@pytest.fixture
def labelled(images):
    return whence.ImageSet(images, torch.tensor([2, 0, 1, 1, 0]), NAMES)


@pytest.fixture
def folder(tmp_path):
    sizes = {f"{name}/{place}.png": (20 + place, 15) for name in NAMES for place in range(3)}
    write_pictures(tmp_path / "animals", sizes)
    return tmp_path / "animals"


def same(found, images, labels, sources=None):
    assert_close(found.images, images, rtol=0, atol=0)
    assert found.labels.tolist() == list(labels)
    assert found.class_names == NAMES
    assert found.sources == sources


def test_a_set_that_fits_is_returned_itself(labelled):
    assert as_image_set(labelled, LIKE) is labelled


@pytest.mark.parametrize("labels", [[2, 0, 1, 1, 0], ["dog", "cat", "cow", "cow", "cat"]])
def test_images_and_labels(images, labels):
    same(as_image_set((images, labels), LIKE), images, [2, 0, 1, 1, 0])
    array = images.permute(0, 2, 3, 1).numpy()
    same(as_image_set((array, np.array(labels)), LIKE), images, [2, 0, 1, 1, 0])
    pictures = [Image.fromarray(one) for one in array]
    same(as_image_set((pictures, labels), LIKE), images, [2, 0, 1, 1, 0])


@pytest.mark.parametrize(
    "make",
    [
        lambda images: TensorDataset(images, torch.tensor([2, 0, 1, 1, 0])),
        lambda images: list(zip(images, [2, 0, 1, 1, 0], strict=True)),
        lambda images: [[one.numpy(), torch.tensor(n)] for one, n in zip(images, [2, 0, 1, 1, 0], strict=True)],
        lambda images: [(one / 255, float(n)) for one, n in zip(images, [2, 0, 1, 1, 0], strict=True)],
        lambda images: [(Image.fromarray(one.permute(1, 2, 0).numpy()), name) for one, name in zip(images, ["dog", "cat", "cow", "cow", "cat"], strict=True)],
    ],
    ids=["tensors", "pairs", "arrays", "floats", "pictures"],
)  # fmt: skip
def test_sets_of_pairs(images, make):
    found = as_image_set(make(images), LIKE)
    assert found.images.dtype == torch.uint8
    same(found, images, [2, 0, 1, 1, 0])


def test_an_image_folder_is_read_as_a_training_folder(folder):
    expected = load_dataset(folder.parent / "animals", size=None, default_large_size=64)
    files = {name: place for place, name in enumerate(expected.train.sources)}
    found = as_image_set(ImageFolder(folder), LIKE)
    assert found.sources == tuple(f"{name}/{place}.png" for name in NAMES for place in range(3))
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert files.keys() < set(found.sources)
    exact = whence.read_images([folder / name for name in found.sources], like=LIKE).images
    assert_close(found.images, exact, rtol=0, atol=0)
    part, _ = random_split(ImageFolder(folder), [4, 5], generator=torch.Generator().manual_seed(0))
    same(as_image_set(part, LIKE), exact[list(part.indices)], found.labels[list(part.indices)])


def test_transforms_are_applied(folder):
    change = v2.Compose([v2.ToImage(), v2.Resize((8, 10)), v2.ToDtype(torch.float32, scale=True)])
    found = as_image_set(ImageFolder(folder, transform=change), LIKE)
    assert found.images.dtype == torch.uint8
    assert found.sources is None
    with pytest.raises(
        ValueError, match=r"images\[0\] must be \(B, 3, 8, 10\), .* got shape \(3, 15, 20\)"
    ):
        as_image_set(ImageFolder(folder, transform=v2.ToImage()), LIKE)
    normalised = v2.Compose([change, v2.Normalize([0.5] * 3, [0.1] * 3)])
    with pytest.raises(ValueError, match="give pixels before any normalisation"):
        as_image_set(ImageFolder(folder, transform=normalised), LIKE)


def test_classes_are_found_by_their_names(images):
    other = whence.ImageSet(images, torch.tensor([0, 1, 0, 1, 1]), ("dog", "cat"), tuple("abcde"))
    same(as_image_set(other, LIKE), images, [2, 0, 2, 0, 0], tuple("abcde"))
    composed = SimpleNamespace(image_shape=(3, 8, 10), class_names=("K\u00e4se", "b"))
    parts = whence.ImageSet(images, torch.tensor([0, 1, 0, 1, 1]), ("b", "Ka\u0308se"))
    assert as_image_set(parts, composed).labels.tolist() == [1, 0, 1, 0, 0]


def test_classes_that_only_count_stay_in_their_order(images, labelled):
    counted = SimpleNamespace(image_shape=(3, 8, 10), class_names=("0", "1", "2"))
    assert as_image_set(labelled, counted).labels is labelled.labels
    numbers = replace(labelled, class_names=("0", "1", "2"))
    same(as_image_set(numbers, LIKE), images, [2, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s: replace(s, class_names=("cat", "cow", "fish")), ValueError, r"train must have the classes of the model \(cat, cow, dog\), got fish\."),
        (lambda s: (s.images, [1, 2, 3, 3, 1]), ValueError, r"labels must be in 0 to 2, got 1 to 3; count classes from 0"),
        (lambda s: (s.images, [1, 2]), ValueError, r"labels must be \(5,\), one for each image, got shape \(2,\)"),
        (lambda s: (s.images[..., :5], s.labels), ValueError, r"train must be \(B, 3, 8, 10\), .* got shape \(5, 3, 8, 5\)"),
        (lambda s: s.images, TypeError, r"train must be an ImageSet, \(X, y\), or a data set of \(image, label\), got Tensor; pass its labels as well"),
        (lambda s: s.images.numpy(), TypeError, r"got ndarray; pass its labels as well, as \(X, y\)"),
        (lambda s: DataLoader(TensorDataset(s.images, s.labels)), TypeError, r"got DataLoader; pass its images without batches, loader.dataset"),
        (lambda s: whence.load_dataset("digits"), TypeError, r"got Dataset; pass one of its parts, for example data.train"),
        (lambda s: "photos", TypeError, r"got str; read a folder with whence.load_dataset"),
        (lambda s: Stream(), TypeError, r"got Stream\."),
        (lambda s: 3, TypeError, r"got int\."),
        (lambda s: TensorDataset(s.images), TypeError, r"train\[0\] must be \(image, label\), got \(tensor"),
        (lambda s: list(s.images), TypeError, r"train\[0\] must be \(image, label\), got tensor"),
        (lambda s: ([], []), ValueError, "train must hold at least one image, got none"),
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_refused(labelled, make, error, message):
    model = whence.wrap("small_cnn", NAMES, variant="standard", image_shape=(3, 8, 10))
    with pytest.raises(error, match=message) as caught:
        whence.fit(model, make(labelled), recipe=whence.Recipe(), plan=whence.Plan(epochs=1))
    assert len(str(caught.value)) < 400


def test_every_door_takes_them(folder, images, labelled):
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", NAMES, image_shape=(3, 8, 10))
    data = ImageFolder(folder)
    plan = whence.Plan(epochs=1, memory_size=4)
    whence.fit(model, data, recipe=whence.Recipe(batch_size=4), plan=plan)
    other = whence.wrap("small_cnn", NAMES, image_shape=(3, 8, 10))
    torch.manual_seed(0)
    other = whence.wrap("small_cnn", NAMES, image_shape=(3, 8, 10))
    whence.fit(other, as_image_set(data, other), recipe=whence.Recipe(batch_size=4), plan=plan)
    assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    model.remember(data)
    assert model.bank.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert model.bank.sources[1] == "cat/1.png"
    expected = whence.evaluate(model, labelled, memory_size=2)
    assert whence.evaluate(model, (images, labelled.labels.tolist()), memory_size=2) == expected
    assert (
        whence.evaluate(model, list(zip(images, labelled.labels, strict=True)), memory_size=2)
        == expected
    )
    assert whence.calibrate(model, (images, labelled.labels)) is None  # too few of them
    assert model.remember(labelled).bank.labels.tolist() == [2, 0, 1, 1, 0]
    assert model.remember(labelled, ["dog"] * 5).bank.labels.tolist() == [2] * 5
    assert model.remember(images).bank.labels.tolist() == [-1] * 5
