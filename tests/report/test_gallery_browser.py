"""The page of several methods in a real browser; run with ``pytest -m browser``."""

import pytest

from tests.helpers.browser import check_layout, requests
from tests.helpers.pages import ORIGIN, explanation, relevance
from tests.report.test_explain_browser import LONG
from tests.report.test_gallery_page import SHAPE, asked, without_ledger
from whence.records.gallery import Gallery
from whence.report.gallery_page import render_gallery

pytestmark = pytest.mark.browser


def long_page():
    """Seven methods, three images, and names that do not want to break."""
    methods = [relevance(explanation(), SHAPE, unexplained=9.0, rest=-1e-5)]
    methods += [without_ledger(f"method_of_a_long_name_{number}") for number in range(6)]
    one = asked(*methods, name=f"{'folder' * 30}.png", notes=("It was made smaller.",))
    return render_gallery(Gallery((one, one, one), {"lrp": "x" * 200}, 3), ORIGIN, LONG)


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_and_every_map_loads(tmp_path, width):
    found = check_layout(tmp_path, long_page(), width)
    assert len(found["images"]) > 3 * (2 + 4 * 7)


def test_it_asks_for_nothing(tmp_path):
    assert requests(tmp_path, long_page()) == []
