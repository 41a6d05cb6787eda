"""Every door takes images as people hold them, and refuses another size in one sentence."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import whence
from whence.autoencoders import VAES
from whence.autoencoders.vae import encode_images
from whence.data.image_file import FileImages
from whence.models.using import encode_all

SHAPE = (1, 8, 8)
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def model(images):
    torch.manual_seed(0)
    flipped = images.flip(-1)
    stored = torch.cat([flipped, flipped // 2, flipped // 3])
    return whence.wrap("small_cnn", CLASSES, image_shape=SHAPE).eval().remember(stored)


def label(images):
    """Labels of four images, or of the two files that a test resizes."""
    few = not isinstance(images, Path | whence.ImageSet | FileImages) and len(images) < 4
    return images, [0, 1, 2, 1][: len(images) if few else 4]


def pixels_of(relevance):
    return relevance.images, relevance.evidence, relevance.score


DOORS = {
    "model(images)": lambda model, images: model(images),
    "memory": lambda model, images: model(images, images),
    "read": lambda model, images: model.read(images),
    "encode": lambda model, images: model.encode(images),
    "encode_all": encode_all,
    "predict": whence.predict,
    "explain": lambda model, images: whence.explain(model, images, draws=2, memory_size=3),
    "find_removals": whence.find_removals,
    "attribute": lambda model, images: pixels_of(whence.attribute(model, images, steps=2)),
    "gradient": lambda model, images: pixels_of(whence.attribute(model, images, "gradient")),
    "why_similar": lambda model, images: pixels_of(whence.why_similar(model, images, steps=2)),
    "remember": lambda model, images: whence.edit(model, keep=[0]).remember(images).bank.features,
    "evaluate": lambda model, images: whence.evaluate(model, label(images), memory_size=2),
    "calibrate": lambda model, images: whence.calibrate(model, label(images)),
}


def same(found, expected):
    """Compare whatever a door returns."""
    if isinstance(expected, torch.Tensor):
        assert_close(found, expected, equal_nan=True)
    elif isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif is_dataclass(expected):
        for field in fields(expected):
            same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, nan_ok=True, abs=1e-6)
    else:
        assert found == expected


def forms(images, folder):
    """The same images as people hold them."""
    arrays = images.permute(0, 2, 3, 1).numpy()
    pictures = [Image.fromarray(one[..., 0]) for one in arrays]
    for place, picture in enumerate(pictures):
        picture.save(folder / f"{place}.png")
    return {
        "array": arrays,
        "list of tensors": list(images),
        "list of arrays": list(arrays),
        "pictures": pictures,
        "paths": sorted(folder.iterdir()),
        "folder": folder,
        "set": whence.ImageSet(images, [0, 1, 2, 1], CLASSES),
        "read": whence.read_images(
            folder, like=whence.wrap("small_cnn", CLASSES, image_shape=SHAPE)
        ),
    }


@torch.no_grad()
@pytest.mark.parametrize("door", DOORS)
def test_every_form_gives_what_the_tensor_gives(model, images, door, tmp_path):
    expected = DOORS[door](model, images)
    for form, given in forms(images, tmp_path).items():
        if form == "folder" and door in ("evaluate", "calibrate"):
            continue  # its labels would be missing
        same(DOORS[door](model, given), expected)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("shape", [(2, 1, 8, 9), (2, 3, 8, 8), (8, 9), (2, 9, 8, 1)])
def test_another_size_is_refused_everywhere(model, door, shape):
    for images in (torch.zeros(shape), np.zeros(shape, np.uint8)):
        with pytest.raises(ValueError, match="images must be") as caught:
            DOORS[door](model, images)
        argument = "memory_images" if door in ("remember", "memory") else "images"
        assert str(caught.value) == (
            f"{argument} must be (B, 1, 8, 8), as the model was made for, got shape {shape}; "
            f"whence.read_images({argument}, like=model) brings them to it as training did."
        )


@pytest.mark.parametrize("door", DOORS)
def test_files_of_another_size_are_resized_as_a_training_folder_is(model, door, tmp_path, rng):
    pixels = torch.randint(0, 256, (2, 30, 40), generator=rng, dtype=torch.uint8).numpy()
    for place, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{place}.png")
    read = whence.read_images(sorted(tmp_path.iterdir()), like=model).images
    with torch.no_grad():
        same(DOORS[door](model, sorted(tmp_path.iterdir())), DOORS[door](model, read))
        same(DOORS[door](model, [Image.fromarray(one) for one in pixels]), DOORS[door](model, read))


@pytest.mark.parametrize("shape", [(3, 8), (3, -8, 8), (3, 8.0, 8), (1, 3, 8, 8)])
def test_what_is_no_shape_of_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"image_shape must be three whole numbers \(C, H, W\)"):
        whence.wrap("small_cnn", 2, image_shape=shape)


def test_what_is_no_model_and_no_list_of_layers_is_refused(images):
    with pytest.raises(TypeError, match=r"whence.load\(RUN\) returns, got 'runs/photos'"):
        whence.predict("runs/photos", images)
    with pytest.raises(TypeError, match="layers must be a list, got 'output'"):
        whence.wrap("small_cnn", 2, layers="output")


@pytest.mark.parametrize("door", DOORS)
def test_other_things_are_refused_everywhere(model, door):
    with pytest.raises(
        TypeError, match=r"images must be a tensor, an array, a PIL image, a path, or"
    ):
        DOORS[door](model, {"images": 1} if door in ("evaluate", "calibrate") else {1: 2})


def test_memories_say_what_is_wrong_with_labels_and_places(model, images):
    other = whence.edit(model, keep=[0])
    for labels, message in (
        ([1, 2, 3, 1], r"labels must be in -1 to 2, got 1 to 3; count classes from 0"),
        ([0, 1, 2.5, 1], r"labels must be whole numbers, got 2.5"),
        (["a", "b", "z", "a"], r"names of classes \(a, b, c\), got 'z'"),
        ([0, 1], r"labels must be \(4,\), one for each image, got shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            other.remember(images, labels)
    assert other.remember(images, ["a", "b", "c", "a"]).bank.labels.tolist() == [0, 1, 2, 0]
    assert other.remember(images, np.array([0, -1, 2, 1], np.int32)).bank.labels.tolist() == [
        0,
        -1,
        2,
        1,
    ]
    assert other.remember(images, indices=[4, 9, 1, 2]).bank.indices.tolist() == [4, 9, 1, 2]
    for indices, message in (
        ([4, 9, 1, 2.5], r"indices must be whole numbers, got 2.5"),
        ([4, 9, 1, -2], r"indices must be at least 0, got -2"),
        ([4, 9, 1, 4], r"indices must name every image once"),
    ):
        with pytest.raises(ValueError, match=message):
            other.remember(images, indices=indices)


def test_autoencoders_take_them_as_well(images, tmp_path):
    torch.manual_seed(0)
    vae = VAES["residual"](SHAPE, codes=2).eval()
    expected = encode_images(vae, images)
    for given in forms(images, tmp_path).values():
        same(tuple(encode_images(vae, given)), tuple(expected))
    with pytest.raises(
        ValueError, match=r"images must be \(B, 1, 8, 8\), .* got shape \(2, 1, 9, 9\)"
    ):
        encode_images(vae, torch.zeros(2, 1, 9, 9))
