"""Curves as the geometry of SVG elements."""

import math
import re

import pytest
import torch

from whence.gather.overview import DRAWN
from whence.records.overview import Curve
from whence.report.plots import (
    BOTTOM,
    HEIGHT,
    LETTER,
    STYLES,
    TOP,
    WIDTH,
    choose_lines,
    plot_path,
    plot_risks,
)

MINUS = "\N{MINUS SIGN}"


def draw(*values, window=(0.0, 1.0, 2.0)):
    """One curve over as many steps as it has numbers."""
    curves = (("a", torch.tensor(values)),)
    return plot_path(curves, steps=len(values), window=window, title="Title", label="Label")


def numbers_of(path):
    return tuple(float(number) for number in re.findall(r"[\d.]+", path))


def test_a_drawing_by_hand():
    found = plot_path(
        (("up", torch.tensor([0.0, 0.5, 1.0])), ("between", torch.tensor([0.5, -0.25]))),
        steps=3,
        window=(0.5, 1.0, 7.0),
        title="Title",
        label="Label",
    )
    left, right, bottom = 10 + 4 * LETTER, WIDTH - 4 - LETTER / 2, HEIGHT - BOTTOM
    middle = (left + right) / 2
    assert (found.left, found.right, found.bottom) == pytest.approx((left, right, bottom))
    assert [tick.text for tick in found.across] == ["0", "1", "2"]
    assert [tick.place for tick in found.across] == pytest.approx([left, middle, right])
    assert [tick.text for tick in found.up] == [f"{MINUS}0.5", "0", "0.5", "1"]
    assert found.up[0].place == pytest.approx(bottom)
    assert found.up[-1].place == pytest.approx(TOP)
    third = (bottom - TOP) / 3
    assert found.zero == pytest.approx(bottom - third)
    points = [(left, bottom - third), (middle, bottom - 2 * third), (right, TOP)]
    assert found.lines[0].path == "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    quarter = (right - left) / 4
    ends = [(left + quarter, bottom - 2 * third), (right - quarter, bottom - third / 2)]
    assert found.lines[1].path == "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in ends)
    # the band is cut off at the last step
    assert found.band == pytest.approx((left + quarter, middle, right))
    assert (found.title, found.label, found.band_name) == ("Title", "Label", "window")


def test_a_drawing_without_numbers_has_gaps_and_no_band():
    found = draw(math.nan, 1.0, math.inf, 2.0, window=(math.nan,) * 3)
    assert found.band is None
    assert found.lines[0].path.count("M") == 2
    assert not re.search("nan|inf", found.lines[0].path)
    assert [tick.text for tick in draw(0.0, 0.0, 0.0, 0.0).up] == ["0", "1"]


@pytest.mark.parametrize("size", [1.0, 1e-3, 1.2e-5, 3e-9, 123.4, 98765.0, -0.0123, -4e-7])
def test_every_label_has_the_room_that_it_needs(size):
    found = draw(0.0, size / 2, size)
    assert found.left - 6 - LETTER * max(len(tick.text) for tick in found.up) >= 0
    last = found.across[-1]
    assert last.place + LETTER * len(last.text) / 2 <= WIDTH
    assert found.across[0].place - LETTER / 2 >= 0


def test_a_little_below_zero_needs_no_line_below():
    assert draw(-0.01, 0.1, 1.0).up[0].text == "0"
    assert draw(-0.03, 0.1, 1.0).up[0].text == f"{MINUS}0.5"


@pytest.mark.parametrize(
    "lowest, highest", [(0.0, 3e-9), (-4.0, 0.0), (-0.3, 0.7), (0.0, 123.4), (-0.001, 0.9)]
)
def test_grid_lines_enclose_the_numbers(lowest, highest):
    step, low, high = choose_lines(lowest, highest)
    assert low * step <= lowest + 1e-9
    assert high * step >= highest - 1e-9
    assert 1 <= high - low <= 5
    assert low <= 0 <= high


def test_grids_reach_the_highest_share_with_few_lines():
    for number in range(1, 1001):
        step, low, high = choose_lines(0.0, number / 1000)
        assert low == 0
        assert 1 <= high <= 5
        assert step * high >= number / 1000 - 1e-9
        assert step * (high - 1) < number / 1000


def test_drawings_refuse_what_does_not_fit():
    five = tuple((str(place), torch.zeros(3)) for place in range(5))
    with pytest.raises(ValueError, match=r"curves must be 1 to 4, got 5\."):
        plot_path(five, steps=3, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match=r"curves must be 1 to 4, got 0\."):
        plot_path((), steps=3, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match=r"up must have 3 or 4 numbers, got 2\."):
        plot_path((("up", torch.zeros(2)),), steps=4, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match="must be numbers"):
        choose_lines(0.0, math.nan)


def test_risks_are_drawn_over_coverage():
    curves = [Curve("softmax", (0.5, 1.0), (0.1, 0.16)), Curve("entropy", (0.5, 1.0), (0.0, 0.16))]
    found = plot_risks(curves, ["first", "second"])
    assert [tick.text for tick in found.up] == ["0%", "5%", "10%", "15%", "20%"]
    assert [tick.text for tick in found.across] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    middle, high = (found.left + found.right) / 2, found.bottom - found.top
    expected = (middle, found.bottom - high / 2, found.right, found.bottom - 0.8 * high)
    assert numbers_of(found.lines[0].path) == pytest.approx(expected, abs=0.051)
    assert numbers_of(found.lines[1].path)[1] == found.bottom
    assert [line.name for line in found.lines] == ["first", "second"]
    assert (found.up[0].place, found.up[-1].place) == pytest.approx((found.bottom, found.top))
    assert (found.across[0].place, found.across[-1].place) == (found.left, found.right)
    small = plot_risks([Curve("softmax", (1.0,), (0.003,))], ["x"])
    assert [tick.text for tick in small.up] == ["0.0%", "0.1%", "0.2%", "0.3%"]


def test_lines_differ_in_more_than_colour():
    assert len({dashes for _, dashes, _ in STYLES}) == len(STYLES) == len(DRAWN)
    curve = Curve("softmax", (1.0,), (0.5,))
    for number in (0, 5):
        with pytest.raises(ValueError, match=rf"curves must be 1 to 4, got {number}\."):
            plot_risks([curve] * number, ["x"] * number)


def test_curves_on_the_same_places_are_one_line_with_all_names():
    same, other = (0.1, 0.2, 0.3), (0.1, 0.1, 0.3)
    risks = [Curve("softmax", (0.0, 0.5, 1.0), one) for one in (same, other, same, other)]
    found = plot_risks(risks, ["a", "b", "c", "d"])
    assert [line.name for line in found.lines] == ["a, c (the same line)", "b, d (the same line)"]
    assert [line.colour for line in found.lines] == [style[0] for style in STYLES[:2]]
