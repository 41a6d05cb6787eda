"""Points of a straight path, features along it, and baselines, worked out in another way."""

import warnings
from importlib.util import find_spec

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.attributing import EXACT, as_pixels, make, start_of
from whence.attribution.baselines import BASELINES, COLOURS, IN_WORDS
from whence.attribution.feature_gradients import Memory, pick
from whence.attribution.path import (
    differentiate_along,
    encode_along,
    load_forward_mode,
    midpoints,
    move,
)


def test_midpoints():
    times, shares = midpoints(4)
    assert_close(times, torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64))
    assert_close(shares, torch.full((4,), 0.25, dtype=torch.float64))


def test_differentiate_along_by_differences(images):
    model, places = make(), torch.tensor([2, 0])
    times = torch.tensor([0.3, 0.8], dtype=torch.float64)
    options = model, images, places
    for size in (3, 128):
        found, speed = differentiate_along(*options, times, BASELINES["black"], batch_size=size)
        assert found.shape == speed.shape == (2, 2, 5)
        expected = encode_along(*options, times, BASELINES["black"], batch_size=4)
        assert_close(found, expected, **EXACT)
        later, before = (
            encode_along(*options, times + d, BASELINES["black"], batch_size=4)
            for d in (1e-6, -1e-6)
        )
        assert_close(speed, (later - before) / 2e-6, rtol=1e-6, atol=1e-8)
        assert not speed.requires_grad


def test_formulas_of_forward_mode_are_loaded_before_the_first_derivative(images):
    load_forward_mode.cache_clear()
    start = torch.tensor([0.5], dtype=torch.float64)
    places = torch.tensor([0])
    differentiate_along(make(), images, places, start, BASELINES["black"], batch_size=4)
    assert load_forward_mode.cache_info().currsize == 1


def test_formulas_of_forward_mode_are_loaded_in_silence(monkeypatch):
    asked, before = [], list(warnings.filters)

    def load(name):
        asked.append(name)
        warnings.warn("`torch.jit.script` is deprecated.", DeprecationWarning, stacklevel=1)

    monkeypatch.setattr("importlib.import_module", load)
    load_forward_mode.__wrapped__()
    monkeypatch.undo()
    assert warnings.filters == before
    assert [find_spec(name) is not None for name in asked] == [True]


@pytest.mark.parametrize("name", list(BASELINES))
def test_baselines(rng, name):
    images = torch.rand(2, 3, 9, 12, generator=rng, dtype=torch.float64)
    found = BASELINES[name](images)
    assert_close(found, start_of(name, images), **EXACT)
    assert found.dtype == torch.float64
    plain = torch.full((1, 1, 5, 4), 0.7)
    if name in ("mean", "blur"):
        assert_close(BASELINES[name](plain), plain)
    tiny = BASELINES[name](torch.full((1, 1, 1, 3), 0.25))
    assert tiny.shape == (1, 1, 1, 3)


def test_points_stay_inside_the_pixel_range(rng):
    images = torch.rand(40, 2, 8, 8, generator=rng).round()
    times = torch.rand(40, generator=rng)
    for name in BASELINES:
        points, changes = move(images, times, BASELINES[name])
        assert float(points.min()) >= 0
        assert float(points.max()) <= 1
        assert_close(changes, images - start_of(name, images))
    ends, _ = move(images, torch.ones(40), BASELINES["mean"])
    assert_close(ends, images)
    white = torch.ones(2, 1, 8, 9)
    assert float(BASELINES["blur"](white).max()) > 1  # by rounding
    points, _ = move(white, torch.tensor([0.0, 0.5]), BASELINES["blur"])
    assert float(points.max()) == 1


def test_encode_along_is_ordered_by_step_then_image(images):
    model = make()
    places, times = torch.tensor([2, 0]), torch.tensor([0.25, 0.5, 1.0], dtype=torch.float64)
    found = encode_along(model, images, places, times, BASELINES["black"], batch_size=4)
    assert found.shape == (3, 2, 5)
    expected = model.encode(0.5 * as_pixels(images[[2]]))
    assert_close(found[1, :1], expected.detach(), **EXACT)
    assert not found.requires_grad


def test_pick_takes_moved_features_only_where_they_move():
    features, moved = torch.arange(4.0)[:, None], torch.tensor([[[10.0], [20.0]], [[30.0], [40.0]]])
    memory = Memory(
        features,
        torch.zeros(4, dtype=torch.int64),
        moved,
        torch.tensor([1, 3]),
        torch.ones(1, 4).bool(),
        None,
    )
    found = pick(
        memory,
        torch.tensor([1, 0]),
        torch.tensor([[3, 1, 0], [3, 1, 2]]),
        torch.tensor([[True, True, False], [True, False, False]]),
    )
    assert_close(found[..., 0], torch.tensor([[40.0, 30.0, 0.0], [20.0, 1.0, 2.0]]))


def test_every_baseline_has_words():
    assert set(IN_WORDS) == set(BASELINES)
    assert set(COLOURS) < set(BASELINES)
