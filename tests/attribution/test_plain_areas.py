"""Where neighbouring pixels are equal, rounding decides which of them is the largest of a pool.

Single pixels of a plain area are then not unique. What is: the relevance of each pooling window,
every other pixel, the score, and the ledger.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence

SHAPE = (1, 8, 12)
TINY = 1e-9


class Pooling(nn.Module):
    """Windows of 2 x 2 pixels give their largest value; then a small curved network."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(1, 3, 3, padding=1),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(72, 4),
        )

    def forward(self, images):
        return self.layers(images)


@pytest.fixture
def both(rng):
    """Relevance of an image with a plain left half, as it is and with noise as small as rounding."""
    torch.manual_seed(0)
    model = whence.wrap(Pooling(), 3, image_shape=SHAPE, drop_classifier=False).double().eval()
    with torch.no_grad():
        model.encoder.layers[-1].weight.mul_(8)
    image, stored = torch.rand(1, *SHAPE, generator=rng), torch.rand(7, *SHAPE, generator=rng)
    image, stored = image.double(), stored.double()
    image[..., :6] = 0.7
    stored[:, :, :4] = 0.4
    model.remember(stored)
    noise = TINY * (torch.rand(image.shape, generator=rng).double() - 0.5)
    found = []
    for asked in (image, image + noise):
        model.remember(stored + noise if asked is not image else stored)
        found.append(whence.attribute(model, asked, steps=6, baseline="black", memory="evidence"))
    return found


def windows(relevance):
    return F.avg_pool2d(relevance, 2) * 4


def test_single_pixels_of_a_plain_area_hang_on_rounding(both):
    one, other = (found.images[..., :6] for found in both)
    assert float((one - other).abs().max()) > 0.5 * float(one.abs().max())
    plain = [found.evidence[0][..., :4, :] for found in both]
    assert float((plain[0] - plain[1]).abs().max()) > 0.5 * float(plain[0].abs().max())


def test_windows_all_other_pixels_the_score_and_the_ledger_do_not(both):
    one, other = both
    close = {"rtol": 0, "atol": 1e-7}
    assert_close(windows(one.images), windows(other.images), **close)
    assert_close(windows(one.evidence[0]), windows(other.evidence[0]), **close)
    assert_close(one.images[..., 6:], other.images[..., 6:], **close)
    assert_close(one.evidence[0][..., 4:, :], other.evidence[0][..., 4:, :], **close)
    assert float(one.images[..., 6:].abs().max()) > 1e-3
    assert_close(one.score, other.score, **close)
    assert_close(one.start, other.start, **close)
    for name, amount in one.ledger.items():
        assert_close(other.ledger[name], amount, **close)
