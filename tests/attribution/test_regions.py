"""LIME and Kernel SHAP: exact where a formula is, seeds and their spread, superpixels."""

import functools
import itertools
import math
import sys

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Net, Quadratic, as_pixels, make
from whence.attribution import METHODS
from whence.attribution.methods.kernel_shap import choose_coalitions
from whence.attribution.regions import segment
from whence.attribution.score import FunctionScore


def rng():
    return torch.Generator().manual_seed(0)


def shapley(value, players):
    """Average over all orders of what a player adds, one order at a time."""
    found = [0.0] * players
    for order in itertools.permutations(range(players)):
        for place, player in enumerate(order):
            before, after = frozenset(order[:place]), frozenset(order[: place + 1])
            found[player] += (value(after) - value(before)) / math.factorial(players)
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(("patch", "players"), [((3, 1), 4), ((1, 2), 6)])
def test_all_coalitions_give_shapley_values(patch, players):
    formula = Quadratic()
    options = {"generator": rng(), "patch": patch, "fill": 0.25, "samples": 62}
    found = METHODS["kernel_shap"](formula.score(), formula.images, **options)
    numbers = torch.arange(3)[:, None] // patch[0] * (4 // patch[1]) + torch.arange(4) // patch[1]
    for row in range(3):

        @functools.cache
        def value(coalition, row=row):
            shown = torch.isin(numbers, torch.tensor(sorted(coalition), dtype=torch.int64))
            variant = torch.where(shown, formula.images[row], 0.25)
            return float(formula(variant[None], torch.tensor([row])))

        expected = shapley(value, players)
        for player in range(players):
            at = found.images[row][:, numbers == player]
            assert_close(at.sum(), expected[player], rtol=0, atol=1e-9)
            assert_close(at, at.mean().expand_as(at), rtol=0, atol=1e-12)
    assert "from all coalitions)" in found.sentence
    assert "regressions" not in found.sentence


class Additive:
    """A score that is a sum of curves, one for each pixel."""

    def __call__(self, images, rows):
        weights = torch.arange(1.0, 57.0, dtype=torch.float64).view(8, 7).sin()
        return (weights * images.sum(1).square()).sum((1, 2)) + 0.3

    def shares(self, images):
        whole = self(images, None)
        found = torch.zeros(len(images), 8, 7).double()
        for row, column in itertools.product(range(8), range(7)):
            variant = images.clone()
            variant[..., row, column] = 0.2
            found[:, row, column] = whole - self(variant, None)
        return found


@pytest.mark.parametrize("method", ["lime", "kernel_shap"])
def test_a_sum_is_taken_apart_exactly(method):
    images, score = torch.rand(2, 2, 8, 7, generator=rng()).double(), Additive()
    options = {"patch": 1, "fill": 0.2, "samples": 130, "generator": rng(), "repeats": 2}
    if method == "lime":
        options["ridge"] = 0.0
    found = METHODS[method](FunctionScore(score), images, **options)
    assert_close(found.images.sum(1), score.shares(images), rtol=0, atol=1e-8)
    assert "It is the mean of 2 regressions with other draws, between which it" in found.sentence


@pytest.mark.parametrize("method", ["lime", "kernel_shap"])
def test_other_draws_differ_and_that_is_said(method, images, stored):
    model = make().remember(stored)

    def find(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        options = {"patch": 2, "samples": 40, "generator": generator} | options
        return whence.attribute(model, images, method, **options)

    one, other = find(1), find(2)
    assert not torch.equal(one.images, other.images)
    assert torch.equal(one.images, find(1).images)
    assert "regressions with other draws, between which it differs by 0." in one.sentence
    assert "regressions" not in find(1, repeats=1).sentence
    if method == "kernel_shap":
        assert_close(one.ledger["unexplained"], torch.zeros(3).double(), rtol=0, atol=1e-9)
        assert one.ledger["evidence"].tolist() == [0, 0, 0]
        assert one.sentence.endswith("Evidence images stay as they are, and get nothing.")


def test_coalitions_are_drawn_with_their_opposites():
    shown, counted = choose_coalitions(12, 30, rng())
    assert torch.equal(shown[:15], ~shown[15:])
    assert 0 < int(shown.sum(1).min()) < int(shown.sum(1).max()) < 12
    assert counted.tolist() == [1] * 30


@pytest.mark.parametrize("method", ["lime", "kernel_shap"])
def test_superpixels_follow_the_image(method):
    network, images = Net().double().eval(), torch.zeros(2, 2, 12, 13).double()
    images[0, :, :, 5:], images[1, :, 4:] = 1, 1
    options = {"generator": rng(), "superpixels": 4, "samples": 30, "repeats": 1}
    found = whence.attribute(network, images, method, **options)
    for row, image in enumerate(images):
        numbers = segment(image, 4)
        assert sorted(numbers.unique().tolist()) == [*range(int(numbers.max()) + 1)]
        assert 1 < int(numbers.max()) < 8
        for number in numbers.unique():
            assert len(image[0][numbers == number].unique()) == 1  # on one side of the edge
            assert len(found.images[row, 0][numbers == number].unique()) == 1
    assert len(found.images[0].unique()) > 2
    assert "a superpixel" in found.sentence


def test_superpixels_need_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ModuleNotFoundError, match=r"need scikit-image, .* 'whence\[studies\]'"):
        whence.attribute(
            Net().eval(), torch.rand(1, 2, 8, 7), "lime", generator=rng(), superpixels=3
        )


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("lime", {"patch": 2, "superpixels": 3}, "patch must be left out where superpixels are"),
        ("lime", {"superpixels": 0}, "superpixels must be at least 1, got 0"),
        ("lime", {"ridge": -1.0}, "ridge must be at least 0, got -1.0"),
        ("lime", {"repeats": 0}, "repeats must be at least 1, got 0"),
        ("kernel_shap", {"samples": 100}, "samples must be at least 112, twice the number of reg"),
        ("kernel_shap", {"patch": 9}, "patch must be at most 8 x 7, the size of the images"),
    ],
)
def test_what_does_not_fit_is_refused(images, method, options, message):
    with pytest.raises(ValueError, match=message):
        whence.attribute(make("standard"), as_pixels(images), method, generator=rng(), **options)
