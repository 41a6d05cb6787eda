"""What people hold becomes the tensor that a model takes: exactly, or with one sentence."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

import whence
from tests.helpers.image_files import write_pictures
from whence.data.as_images import as_images
from whence.data.image_file import read_files

RGB, GREY = SimpleNamespace(image_shape=(3, 5, 4)), SimpleNamespace(image_shape=(1, 5, 4))


def exact(found, expected):
    assert found.dtype == expected.dtype
    assert_close(found, expected, rtol=0, atol=0)


@pytest.fixture
def batch(rng):
    return torch.randint(0, 256, (2, 3, 5, 4), generator=rng, dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16])
def test_a_tensor_of_the_right_shape_is_returned_itself(batch, dtype):
    images = batch.to(dtype)
    assert as_images(images, RGB) is images
    images.requires_grad_(dtype.is_floating_point)
    assert as_images(images, RGB) is images


def test_every_layout_of_tensors_and_arrays(batch):
    last = batch.permute(0, 2, 3, 1)
    for images in (batch, last, batch.numpy(), last.numpy(), np.ascontiguousarray(last.numpy())):
        exact(as_images(images, RGB), batch)
    for image in (batch[0], last[0], batch[0].numpy(), last[0].numpy()):
        exact(as_images(image, RGB), batch[:1])
    grey = batch[:, :1]
    for images in (grey, grey[:, 0], grey.numpy()[:, 0], grey.numpy().transpose(0, 2, 3, 1)):
        exact(as_images(images, GREY), grey)
    for image in (grey[0, 0], grey[0, 0].numpy(), grey[0], grey[0, 0].numpy()[..., None]):
        exact(as_images(image, GREY), grey[:1])


def test_an_array_is_not_copied(batch):
    array = batch.numpy().copy()
    found = as_images(array, RGB)
    array[1, 2, 3, 1] ^= 255
    exact(found, torch.from_numpy(array))


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[..., ::-1],
        np.asfortranarray,
        lambda array: (array / 255).astype(">f4"),
        lambda array: np.broadcast_to(array[:1], array.shape),
    ],
    ids=["reversed", "fortran", "big endian", "read only"],
)
def test_arrays_that_torch_does_not_read(batch, change):
    array = change(batch.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_images(array, RGB)
    exact(found, torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="))))


def test_lists_of_single_images(batch, tmp_path):
    last = batch.permute(0, 2, 3, 1).numpy()
    for images in (list(batch), tuple(batch), list(last), [batch[:1], last[1]]):
        exact(as_images(images, RGB), batch)
    pictures = [Image.fromarray(one) for one in last]
    exact(as_images(pictures, RGB), batch)
    exact(as_images(pictures[1], RGB), batch[1:])
    pictures[0].save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        exact(as_images(path, RGB), batch[:1])
        exact(as_images([path, pictures[1]], RGB), batch)
        exact(as_images([batch[0], path, last[1]], RGB), batch[[0, 0, 1]])
    mixed = as_images([batch[0], last[1] / np.float32(255)], RGB)
    exact(mixed, batch.float() / 255)
    exact(as_images([], RGB), torch.zeros(0, 3, 5, 4, dtype=torch.uint8))


def test_records_that_hold_images(batch, tmp_path):
    labelled = whence.ImageSet(batch, torch.tensor([0, 1]), ("a", "b"))
    assert as_images(labelled, RGB) is batch
    Image.fromarray(batch[0].permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    found = whence.read_images(tmp_path / "a.png", like=RGB)
    assert as_images(found, RGB) is found.images


def test_files_and_folders_become_what_a_training_folder_gives(tmp_path):
    write_pictures(tmp_path, {"a/1.png": (40, 30), "a/2.jpg": (50, 50), "b/3.png": (5, 4)})
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    expected = read_files(paths, size=(5, 4), channels=3).images
    exact(as_images(paths, RGB), expected)
    exact(as_images(tmp_path, RGB), expected)
    exact(as_images([str(tmp_path / "a"), paths[2]], RGB), expected)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(2, 3, 4, 5), ValueError, r"images must be \(B, 3, 5, 4\), as the model was made for, got shape \(2, 3, 4, 5\); whence.read_images\(images, like=model\)"),
        (np.zeros((2, 7, 7, 3), np.uint8), ValueError, r"got shape \(2, 7, 7, 3\); whence.read_images"),
        (torch.zeros(5, 4), ValueError, r"images must be \(B, 3, 5, 4\), .* got shape \(5, 4\)"),
        ([np.zeros((5, 4, 3)), np.zeros((5, 4))], ValueError, r"images\[1\] must be \(B, 3, 5, 4\), .* got shape \(5, 4\)"),
        ([np.zeros((5, 4, 3)), np.zeros((2, 5, 4, 3))], ValueError, r"one batch or a list of single images, images\[1\] holds 2"),
        (np.array([["a"]]), TypeError, r"images must hold numbers, got an array of <U1"),
        ([[0.1, 0.2]], TypeError, r"images\[0\]\[0\] must be a tensor, an array, a PIL image, a path, or a list of these, got float"),
        (None, TypeError, r"images must be a tensor, .* got NoneType"),
        (DataLoader(TensorDataset(torch.zeros(2, 3, 5, 4))), TypeError, r"images must be a tensor, .* got DataLoader"),
        ("missing.png", FileNotFoundError, r"missing.png must be an image file, there is no such file"),
    ],
)  # fmt: skip
def test_what_is_refused(images, error, message):
    with pytest.raises(error, match=message):
        as_images(images, RGB)


def test_a_cube_is_ambiguous_as_an_array_alone():
    cube, like = (
        torch.arange(27).view(3, 3, 3).to(torch.uint8),
        SimpleNamespace(image_shape=(3, 3, 3)),
    )
    exact(as_images(cube, like), cube[None])
    with pytest.raises(
        ValueError,
        match=r"which axis the channels are, .* \(3, 3, 3\) does not; pass torch.from_numpy",
    ):
        as_images(cube.numpy(), like)
    assert as_images(cube[:1, :1, :1].numpy(), SimpleNamespace(image_shape=(1, 1, 1))).shape == (1, 1, 1, 1)  # fmt: skip
