"""The page of a whole run in a real browser; run with ``pytest -m browser``."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.browser import check_layout, count_printed, requests
from tests.helpers.overviews import evaluation, hard_answers, overview
from tests.helpers.pages import CLASSES, ORIGIN
from whence.records.class_measures import ClassMeasures
from whence.records.explained import Stored
from whence.report.overview_page import render_overview

pytestmark = pytest.mark.browser

LONG = ("a" * 120, "supercalifragilistic " * 8, "<script>", *(f"class {i}" for i in range(7)))
MANY = (*LONG, *(f"class {i}" for i in range(7, 17)))


def rich_page(classes=CLASSES, largest=1000, shape=(3, 8, 10)):
    """Every part of the page, with many classes, large numbers and long names."""
    total = len(classes)
    confusion = torch.full((total, total), largest // 9).fill_diagonal_(largest)
    found = overview(
        shape,
        class_names=classes,
        confusion=confusion,
        evaluation=evaluation(classes=(ClassMeasures("one", 4, 3, 5),) * total),
    )
    stored = {
        index: replace(one, source=f"{'folder' * 20}/{index}.png")
        for index, one in found.stored.items()
    }
    found = replace(found, stored={index: Stored(**vars(one)) for index, one in stored.items()})
    given = []
    for one in hard_answers(shape):
        chances = torch.full((total,), 0.5 / (total - 1))
        chances[1] = 0.5
        same = chances.expand(3, total)
        told = replace(
            one.explanation,
            probabilities=chances,
            without=same * 0,
            probabilities_without=same,
        )
        given.append(replace(one, name=f"{'x' * 90}.png", explanation=told))
    return render_overview(found, given, replace(ORIGIN, notes=("All are grey.",)))


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "classes, largest, shape",
    [
        (CLASSES, 1000, (3, 8, 10)),
        ((*CLASSES, *LONG[3:]), 1000, (1, 28, 28)),
        (LONG, 1000, (3, 32, 32)),
        (MANY, 100, (3, 64, 64)),
        ((*MANY, *CLASSES), 100, (3, 224, 224)),
    ],
    ids=["3", "10", "10-long-names", "20-long-names", "23"],
)
def test_nothing_sticks_out_and_every_image_loads(tmp_path, width, classes, largest, shape):
    found = check_layout(tmp_path, rich_page(classes, largest, shape), width)
    assert len(found["images"]) >= 13


def test_a_page_asks_for_nothing(tmp_path):
    assert requests(tmp_path, rich_page()) == []


def test_a_page_can_be_printed(tmp_path):
    assert 3 <= count_printed(tmp_path, rich_page()) <= 12
