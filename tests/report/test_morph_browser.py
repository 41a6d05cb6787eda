"""The page of ways in a real browser; run with ``pytest -m browser``."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.browser import check_layout, count_printed, requests
from tests.helpers.morph_pages import CLASSES, mask, morph, way
from tests.helpers.pages import ORIGIN, answer
from whence.report.explain_page import render_answers
from whence.report.morph_page import render_morphs

pytestmark = pytest.mark.browser

LONG = ("a" * 120, "supercalifragilistic " * 8, "<script>", *(f"c{i}" for i in range(300)))


def rich_page(shape=(3, 8, 10), classes=CLASSES):
    """Everything that a page can show, with names that do not want to break."""
    count = len(classes)

    def make(kind, **changes):
        return way(kind, steps=100, shape=shape, classes=count, **changes)

    failed = make("memory", found=False, reason=f"No counterfactual: {'x' * 200}.")
    failed = replace(failed, start=replace(failed.start, source=f"{'y' * 120}/1.png"))
    broken = make("morph", mask=mask(100, shape, full_gains=torch.zeros(99), reason="It broke."))
    first = morph(
        make("morph"),
        make("nearest"),
        failed,
        shape=shape,
        classes=count,
        name=f"{'folder' * 30}.png",
        truth=2,
        notes=("The image was made smaller.",),
    )
    second = morph(broken, shape=shape, classes=count)
    code = replace(second.code, how="none", reason=f"No code: {'z' * 99}.")
    third = replace(second, code=code, ways=())
    origin = replace(ORIGIN, notes=("All are grey.",))
    return render_morphs([first, second, third], origin, classes)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "shape, classes",
    [((3, 8, 10), CLASSES), ((1, 28, 28), LONG), ((3, 64, 64), CLASSES), ((3, 224, 224), LONG)],
    ids=["8x10", "28x28-long-names", "64x64", "224x224-long-names"],
)
def test_nothing_sticks_out_and_every_image_loads(tmp_path, width, shape, classes):
    found = check_layout(tmp_path, rich_page(shape, classes), width)
    links, headlines, whole, without_mask = 3, 3, (7 + 3 * 16), (3 + 10)
    assert len(found["images"]) == links + headlines + whole + without_mask + 2
    assert min(found["shown"]) > 40


def test_the_block_fits_on_the_page_of_answers(tmp_path):
    page = render_answers(
        [answer(morph=morph(way(), way("nearest"), way("memory")))], ORIGIN, CLASSES
    )
    check_layout(tmp_path, page, 400)


def test_a_page_asks_for_nothing(tmp_path):
    assert requests(tmp_path, rich_page()) == []


def test_a_page_can_be_printed(tmp_path):
    assert 2 <= count_printed(tmp_path, rich_page()) <= 20
