"""One whole page as it was when somebody last looked at it; single facts are tested elsewhere.

After a change that is meant, look at the page, and write it anew with:
``python -m tests.report.test_golden_page``.
"""

import hashlib
import re
from pathlib import Path

from tests.helpers.html_pages import pixels_of
from tests.helpers.morph_pages import morph, way
from tests.helpers.pages import (
    CLASSES,
    ORIGIN,
    answer,
    draws,
    evidence,
    explanation,
    picture,
    relevance,
    removal,
)
from whence.report.explain_page import render_answers

GOLDEN = Path(__file__).parents[1] / "helpers" / "golden_page.html"


def make_page():
    """An answer with everything that a page can show, and pictures as size and hash."""
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 2, label=0), evidence(9, 0.2, 0))
    found = explanation(items, draws=draws(), error_probability=0.2)
    full = answer(
        found,
        relevance=relevance(found),
        removal=removal(),
        truth=1,
        notes=("It was cut.",),
        morph=morph(way(), way("nearest")),
        original=picture(5, (3, 30, 20)),
    )
    page = render_answers([full], ORIGIN, CLASSES)

    def name(match):
        pixels = pixels_of({"src": match[0]})
        digest = hashlib.sha256(pixels.numpy().tobytes()).hexdigest()[:8]
        return f"{tuple(pixels.shape)} {digest}"

    page = re.sub(r"data:image/png;base64,[^\"]+", name, page)
    return re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_a_page_is_as_it_was_looked_at():
    assert make_page().splitlines() == GOLDEN.read_text().splitlines()


if __name__ == "__main__":
    GOLDEN.write_text(make_page())
