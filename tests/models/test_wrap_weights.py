"""An encoder gets the weights of a file as ``whence train --weights`` gives them to it."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

import whence
from whence.encoders.adopt import build_encoder
from whence.encoders.small_cnn import small_cnn

SHAPE = (3, 9, 8)


@pytest.fixture
def encoder():
    """An encoder of ours with parameters of its own."""
    torch.manual_seed(4)
    return small_cnn(3, SHAPE[1:])


@pytest.fixture
def file(encoder, tmp_path):
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def check_same(found, wanted):
    assert_close(dict(found.state_dict()), dict(wanted.state_dict()), rtol=0, atol=0)


def test_a_file_fills_the_encoder(encoder, file):
    model = whence.wrap("small_cnn", 2, image_shape=SHAPE, weights=file)
    check_same(model.encoder, encoder)
    assert model.mean.flatten().tolist() == [0.0] * 3
    assert model.std.flatten().tolist() == [1.0] * 3
    check_same(whence.wrap("small_cnn", 2, image_shape=SHAPE, weights=str(file)).encoder, encoder)


def test_a_module_of_the_users_own_is_filled(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    torch.save(network.state_dict(), tmp_path / "own.pt")
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    model = whence.wrap(module, 2, image_shape=(3, 2, 2), weights=tmp_path / "own.pt")
    check_same(model.encoder, network)


def test_a_saved_model_gives_its_encoder_and_says_what_it_expects(encoder, tmp_path):
    mean, std = [0.5, 0.25, 0.75], [0.125, 0.5, 0.25]
    first = whence.wrap(encoder, 4, image_shape=SHAPE, mean=mean, std=std)
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    options = {"image_shape": SHAPE, "weights": tmp_path / "model.safetensors"}
    model = whence.wrap("small_cnn", 2, **options)
    check_same(model.encoder, encoder)
    assert_close(model.mean, first.mean, rtol=0, atol=0)
    assert_close(model.std, first.std, rtol=0, atol=0)
    other = whence.wrap("small_cnn", 2, **options, mean=std, std=mean)
    assert other.mean.flatten().tolist() == std
    assert other.std.flatten().tolist() == mean


def test_a_network_of_a_library_is_normalised_as_its_record_says(tmp_path):
    shape = (3, 32, 32)
    network, _ = build_encoder("torchvision:shufflenet_v2_x0_5", shape)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    model = whence.wrap(
        "torchvision:shufflenet_v2_x0_5", 2, image_shape=shape, weights=tmp_path / "w.pth"
    )
    check_same(model.encoder, network)
    assert_close(model.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    assert_close(model.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))


@pytest.mark.parametrize(
    "encoder_name, options, error, message",
    [
        ("small_cnn", {"weights": "gone.pt"}, FileNotFoundError, "gone.pt must be a file"),
        ("small_cnn", {"weights": "default"}, ValueError, "needs a torchvision or timm network"),
        ("resnet18", {}, ValueError, r"weights.safetensors must .*conv1.weight .* is missing"),
        ("small_cnn", {"image_shape": (1, 9, 8)}, ValueError, r"must have shape \(\d+, 1, 3, 3\)"),
        ("small_cnn", {"mean": [0.5] * 2, "std": [1.0] * 2}, ValueError, "one number per channel"),
        ("small_cnn", {"std": [0.5] * 3, "mean": None}, ValueError, "^mean and std must be given"),
    ],
)
def test_weights_that_do_not_fit(encoder_name, options, error, message, file):
    chosen = {"image_shape": SHAPE, "weights": file} | options
    with pytest.raises(error, match=message):
        whence.wrap(encoder_name, 2, **chosen)


def test_a_saved_model_of_other_channels(tmp_path):
    """A module may take any number of channels; a normalisation is of one number of them."""
    plain = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    first = whence.wrap(plain, 2, image_shape=(3, 2, 2))
    tensors = {"encoder.0.weight": torch.zeros(1), "mean": first.mean, "std": first.std}
    save_file(tensors, tmp_path / "m.safetensors")
    options = {"image_shape": (1, 2, 2), "weights": tmp_path / "m.safetensors"}
    with pytest.raises(ValueError, match=r"is of 3 channels, image_shape has 1; give mean and std"):
        whence.wrap(plain, 2, **options)
    model = whence.wrap(plain, 2, **options, mean=[0.5], std=[0.5])
    assert model.mean.item() == 0.5


def test_options_are_given_by_name():
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        whence.wrap("small_cnn", 2, "standard")
