"""Pages of ways in a real browser: what the reader of the HTML cannot see by reading it.

Run with ``pytest -m browser``; Chromium is looked for by name, or at ``WHENCE_CHROMIUM``.
"""

import re
from dataclasses import replace

import pytest
import torch

from tests.helpers.morph_pages import CLASSES, mask, morph, way
from tests.helpers.pages import ORIGIN, answer
from tests.report.test_page_browser import LONG, browse, measure, requests
from whence.report.morph_page import render_morphs
from whence.report.page import render

pytestmark = pytest.mark.browser


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
    second = replace(second, code=replace(second.code, how="none", reason=f"No code: {'z' * 99}."))
    origin = replace(ORIGIN, notes=("All are grey.",))
    return render_morphs([first, second], origin, classes)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "shape, classes",
    [((3, 8, 10), CLASSES), ((1, 28, 28), LONG), ((3, 64, 64), CLASSES), ((3, 224, 224), LONG)],
    ids=["8x10", "28x28-long-names", "64x64", "224x224-long-names"],
)
def test_nothing_sticks_out_and_every_image_loads(tmp_path, width, shape, classes):
    found = measure(tmp_path, rich_page(shape, classes), width)
    assert found["inner"] == width
    assert found["scroll"] <= width
    assert found["out"] == []
    assert len(found["images"]) == 2 + (7 + 3 * 16) + (3 + 16)
    assert all(natural > 0 for natural, _ in found["images"])
    assert min(shown for shown in found["shown"]) > 40


def test_the_block_fits_on_the_page_of_answers(tmp_path):
    page = render([answer(morph=morph(way(), way("nearest"), way("memory")))], ORIGIN, CLASSES)
    found = measure(tmp_path, page, 400)
    assert found["out"] == []
    assert found["scroll"] <= 400


def test_a_page_asks_for_nothing(tmp_path):
    assert requests(tmp_path, rich_page()) == []


def test_a_page_can_be_printed(tmp_path):
    file, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(rich_page())
    browse(tmp_path, f"--print-to-pdf={paper}", file.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
    assert 2 <= pages <= 20
