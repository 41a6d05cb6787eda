"""The page of explained images in a real browser; run with ``pytest -m browser``."""

import re
from dataclasses import replace

import pytest
import torch

from tests.helpers.browser import check_layout, count_printed, measure, requests
from tests.helpers.pages import (
    CLASSES,
    ORIGIN,
    answer,
    draws,
    evidence,
    explanation,
    relevance,
    removal,
)
from whence.report.explain_page import render_answers

pytestmark = pytest.mark.browser


def rich_page(shape=(3, 8, 10), classes=CLASSES):
    """Everything that a page can show, with names that do not want to break."""
    items = [
        evidence(place, 0.03, place % 3, source=f"{'x' * 90}/{place}.png") for place in range(30)
    ]
    items[0] = replace(items[0], weight=0.1)
    sized = torch.full((len(classes),), 0.4 / (len(classes) - 1))
    sized[1] = 0.6
    found = explanation(
        tuple(items),
        probabilities=sized,
        without=torch.randn(30, len(classes), generator=torch.Generator().manual_seed(0)),
        draws=draws(probabilities=sized),
        flag=True,
        error_probability=0.3,
        left_out=(1, 2, 3),
    )
    first = answer(
        found,
        shape=shape,
        name=f"{'folder' * 30}.png",
        truth=2,
        relevance=relevance(found, shape),
        removal=removal(removed=tuple(range(30)), smallest=None, smallest_becomes=None),
        notes=("The image was made smaller.",),
    )
    near = replace(evidence(77, 0.0, 2), role="counterfactual")
    few = explanation((evidence(4, 1.0, 1),), near_miss=near, counterfactual_reason="None.")
    nothing = torch.full((1, len(classes)), torch.nan)
    few = replace(few, probabilities=sized, without=nothing, probabilities_without=nothing)
    second = answer(few, shape=shape, name="second.png")
    return render_answers([first, second], replace(ORIGIN, notes=("All are grey.",)), classes)


LONG = ("a" * 120, "supercalifragilistic " * 8, "<script>", *(f"c{i}" for i in range(300)))


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "shape, classes",
    [((3, 8, 10), CLASSES), ((1, 28, 28), LONG), ((3, 64, 64), CLASSES), ((3, 224, 224), LONG)],
    ids=["8x10", "28x28-long-names", "64x64", "224x224-long-names"],
)
def test_nothing_sticks_out_and_every_image_loads(tmp_path, width, shape, classes):
    found = check_layout(tmp_path, rich_page(shape, classes), width)
    assert len(found["images"]) > 60
    assert found["shown"][2] >= 96  # after the two of the table of contents


def test_the_measure_sees_what_sticks_out_and_what_does_not_load(tmp_path):
    page = (
        '<body><div style="width:500px">x</div><img src="data:image/png;base64,AAAA" alt="">'
        '<svg viewBox="0 0 100 20" font-size="8">'
        '<text x="-9" y="15">left</text><text x="20" y="15">in</text></svg>'
    )
    found = measure(tmp_path, page, 400)
    assert found["cut"] == ["left"]
    assert any(name.startswith("DIV") for name in found["out"])
    assert found["images"][0][0] == 0
    assert found["scroll"] > 400


def test_a_page_asks_for_nothing(tmp_path):
    assert requests(tmp_path, rich_page()) == []


def test_the_policy_stops_what_would_be_asked_for(tmp_path):
    outside = '<img src="http://127.0.0.1:9/seen.png" alt="">'
    page = rich_page().replace("</body>", outside + "</body>")
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    assert requests(tmp_path / "with", page) == []
    bare = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    assert requests(tmp_path / "without", bare) == ["http://127.0.0.1:9/seen.png"]


def test_a_page_can_be_printed(tmp_path):
    assert 2 <= count_printed(tmp_path, rich_page()) <= 20
