"""What stands in the place of hidden pixels: colours, noise, blur, and an autoencoder's guess."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from whence.attribution.baseline_images import blur
from whence.attribution.refills import WITHOUT_AUTOENCODER, find_refill
from whence.autoencoders.imputation import refill_from
from whence.autoencoders.vae import VAE

SHAPE = (2, 6, 5)


@pytest.fixture
def images(rng):
    return torch.rand(3, *SHAPE, generator=rng)


@pytest.fixture
def hidden(rng):
    return torch.rand(3, *SHAPE[1:], generator=rng) < 0.4


@pytest.mark.parametrize("name", WITHOUT_AUTOENCODER)
def test_a_refill_changes_hidden_pixels_alone_and_always_alike(name, images, hidden, rng):
    refill = find_refill(name, SHAPE, rng)
    filled = refill(images, hidden)
    assert torch.equal((filled != images).any(1), hidden)
    assert torch.equal(filled, refill(images, hidden))
    assert_close(refill(images[1:2], hidden[1:2]), filled[1:2])
    expected = {
        "black": torch.zeros_like(images),
        "white": torch.ones_like(images),
        "mean": images.mean((2, 3), keepdim=True).expand_as(images),
        "blur": blur(images),
    }.get(name, refill(images, torch.ones_like(hidden)))
    assert_close(filled, expected.where(hidden[:, None], images))


def test_noise_is_another_with_another_seed(images, hidden):
    one, other = (
        find_refill("noise", SHAPE, torch.Generator().manual_seed(seed))(images, hidden)
        for seed in (0, 1)
    )
    assert not torch.equal(one, other)
    assert 0 <= float(one.min()) <= float(one.max()) <= 1


def test_an_unknown_refill_is_refused(rng):
    with pytest.raises(
        ValueError, match=r"Unknown refill 'red'\. Choose from: black, white, mean,"
    ):
        find_refill("red", SHAPE, rng)


class Plane(nn.Module):
    """Images from two numbers: every pixel is a mix of two patterns."""

    def __init__(self, patterns):
        super().__init__()
        self.register_buffer("patterns", patterns)

    def forward(self, codes):
        return torch.einsum("nz,zchw->nchw", codes, self.patterns)


def make_plane():
    """An autoencoder that projects images on a plane: its mean code is the least squares fit."""
    patterns = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(2)) / 4
    vae = VAE(nn.Flatten(), 60, Plane(patterns), codes=2, name="residual", image_shape=SHAPE).eval()
    with torch.no_grad():
        vae.means.weight.copy_(torch.linalg.pinv(patterns.flatten(1)).T)
        vae.means.bias.zero_()
    return vae, patterns


def test_an_autoencoder_brings_hidden_pixels_to_the_images_that_it_knows(hidden):
    vae, patterns = make_plane()
    codes = torch.rand(3, 2, generator=torch.Generator().manual_seed(4))
    images = torch.einsum("nz,zchw->nchw", codes, patterns)
    broken = images.masked_fill(hidden[:, None], 0.9)
    filled = refill_from(vae, rounds=60, batch_size=2)(broken, hidden)
    assert_close(filled, images, rtol=0, atol=2e-3)
    few = refill_from(vae, rounds=1)(broken, hidden)
    assert float((few - images).abs().max()) > float((filled - images).abs().max())
    whole = refill_from(vae)(images, torch.zeros_like(hidden))
    assert torch.equal(whole, images)
    nothing = refill_from(vae)(images, torch.ones_like(hidden))
    assert bool(nothing.isfinite().all())
