"""Several methods side by side: maps on scales of their own, ledgers as bars."""

import json
from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import pixels_of
from tests.helpers.pages import CLASSES, ORIGIN, explanation, picture, relevance
from whence.records.answers import Prediction
from whence.records.explained import Stored
from whence.records.gallery import AttributedImage, Gallery
from whence.records.picture import NEGATIVE, POSITIVE
from whence.report.as_gallery_json import to_gallery_json
from whence.report.gallery_blocks import attributed_section, make_ledger
from whence.report.gallery_figure import draw_gallery
from whence.report.gallery_page import render_gallery

SHAPE = (3, 8, 10)
MINUS = "\N{MINUS SIGN}"


def asked(*relevance_of, **changes):
    found = explanation()
    prediction = Prediction(
        predicted=1,
        probabilities=found.probabilities,
        evidence=found.evidence,
        threshold=0.25,
        left_out=(),
        flag=False,
        error_probability=None,
    )
    stored = {
        item.index: Stored(item.label, item.predicted, item.source, picture(item.index))
        for item in found.evidence
    }
    fields = {
        "name": "photo.png",
        "image": picture(1000, SHAPE),
        "truth": None,
        "prediction": prediction,
        "stored": stored,
        "relevance": relevance_of or (relevance(found, SHAPE),),
    }
    return AttributedImage(**(fields | changes))


def without_ledger(name="gradient", **changes):
    found = relevance(explanation(), SHAPE, ledger=None, method=name, options={})
    return replace(found, **changes)


def tables(*relevance_of, shown=3):
    one = asked(*relevance_of)
    return attributed_section(Gallery((one,), {}, shown), one, CLASSES, 1).blocks[0].shown


def test_methods_are_columns_and_evidence_stands_beneath():
    (table,) = tables(relevance(explanation(), SHAPE), without_ledger())
    assert table.header == (
        ("integrated gradients", "method-integrated_gradients"),
        ("gradient", "method-gradient"),
    )
    assert [row.name for row in table.rows] == [
        "this image",
        "evidence: dog",
        "evidence: cat",
        "evidence: cat",
    ]
    image, first, *_ = table.rows
    assert image.cells[0].lines == ("full colour at \N{PLUS-MINUS SIGN}0.3",)
    assert image.cells[1].lines[1] == "no shares of the score"
    assert image.cells[1].ledger is None
    assert first.lines == ("weight 50.0%", "training image 40")
    # three channels of -0.001 a pixel, at most -0.009: 20 times stronger than 0.3 keeps them within
    assert first.cells[0].lines == (
        "full colour at \N{PLUS-MINUS SIGN}0.015",
        "20 times stronger colours",
        f"sum {MINUS}0.24",
    )
    assert pixels_of({"src": image.cells[0].picture.uri})[0, 0].tolist() == list(POSITIVE)
    blue = pixels_of({"src": first.cells[0].picture.uri})[0, 0].tolist()
    assert blue == [round(255 + (end - 255) * 0.2) for end in NEGATIVE]  # 0.003 of 0.015


def test_a_ledger_is_a_bar_with_its_pieces_on_both_sides_of_zero():
    ledger = {
        "image": torch.tensor([6.0]),
        "evidence": torch.tensor([-1.0]),
        "outside the evidence": torch.tensor([2.0]),
        "unexplained": torch.tensor([-1.0]),
    }
    found = relevance(explanation(), SHAPE, ledger=ledger)
    bar = make_ledger(replace(found, score=torch.tensor([4.0])))
    assert bar.title == f"+6, from {MINUS}2 to 4:"
    assert bar.zero == pytest.approx(20)
    places = [(part.name, part.text, part.tone, part.left, part.width) for part in bar.parts]
    assert places == [
        ("image", "+6", "raises", pytest.approx(20), pytest.approx(60)),
        ("evidence", f"{MINUS}1", "lowers", pytest.approx(10), pytest.approx(10)),
        ("other stored images", "+2", "raises", pytest.approx(80), pytest.approx(20)),
        ("unexplained", f"{MINUS}1", "missing", pytest.approx(0), pytest.approx(10)),
    ]


@pytest.mark.parametrize(
    "unexplained, warning",
    [
        (0.5, ""),
        (5.0, "18.1% of it is unexplained."),  # of 24 - 1.44 + 5
        (-18.0, "More is unexplained than explained: do not trust this map."),
    ],
)
def test_what_is_unexplained_is_a_warning(unexplained, warning):
    (table,) = tables(relevance(explanation(), SHAPE, unexplained=unexplained))
    assert table.rows[0].cells[0].warning == warning


def test_a_map_of_zeros_is_said():
    nothing = without_ledger(
        images=torch.zeros(1, *SHAPE), evidence=(torch.zeros(3, *SHAPE),), method="occlusion"
    )
    (table,) = tables(nothing)
    assert table.rows[0].cells[0].picture is None
    assert table.rows[0].cells[0].lines[0].startswith("Nothing to show")
    assert table.rows[1].cells[0].picture is None


def test_a_method_that_looks_at_the_image_alone_says_so():
    alone = without_ledger(evidence=(torch.zeros(0, *SHAPE),))
    (table,) = tables(alone, relevance(explanation(), SHAPE))
    assert [row.cells[0].lines for row in table.rows[1:]] == [("looks at the image alone",)] * 3
    (table,) = tables(alone)
    assert len(table.rows) == 1  # nothing to show beneath


def test_more_than_five_methods_go_on_below():
    many = [without_ledger(f"method_{number}") for number in range(7)]
    first, second = tables(*many)
    assert (len(first.header), len(second.header), second.columns) == (5, 2, 5)


def test_the_page_tells_every_method_and_escapes_every_name():
    one = asked(name="<b>.png", notes=("<i> was made smaller.",))
    page = render_gallery(Gallery((one,), {"lrp": "No <rule>."}, 2), ORIGIN, ("cat", "<d>", "fox"))
    assert "<b>.png" not in page
    assert "&lt;b&gt;.png" in page
    assert "&lt;i&gt; was made smaller." in page
    assert "No &lt;rule&gt;." in page
    assert '<div class="block plain" id="method-integrated_gradients">' in page
    assert "A pixel&#39;s number is its share of the change." in page
    assert "1 more evidence image of lower weight is counted, but not shown." in page
    assert "<script" not in page
    assert "When not to trust a map" in page


def test_json_holds_every_method_in_order():
    gallery = Gallery(
        (asked(relevance(explanation(), SHAPE), without_ledger()),), {"lrp": "No."}, 1
    )
    found = json.loads(json.dumps(to_gallery_json(gallery, ORIGIN, CLASSES, with_pixels=True)))
    assert found["left_out"] == {"lrp": "No."}
    (image,) = found["images"]
    assert image["predicted"] == {"index": 1, "name": "dog"}
    assert [one["method"] for one in image["attributions"]] == ["integrated_gradients", "gradient"]
    assert image["attributions"][0]["ledger"]["image"] == pytest.approx(24, rel=1e-5)
    assert len(image["attributions"][1]["image"]) == 3
    bare = to_gallery_json(gallery, ORIGIN, CLASSES)["images"][0]["attributions"][0]
    assert "image" not in bare


def test_the_figure_has_a_line_for_each_evidence_image_that_is_shown():
    heights = []
    for shown in (1, 2):
        content = draw_gallery(Gallery((asked(),), {}, shown), CLASSES)
        assert content.startswith(b"\x89PNG")
        heights.append(int.from_bytes(content[20:24]))
    assert heights[1] > heights[0]


def test_one_method_is_not_several():
    both = (relevance(explanation(), SHAPE), without_ledger())
    one, two = (
        render_gallery(Gallery((asked(*shown),), {}, 3), ORIGIN, CLASSES)
        for shown in (both[:1], both)
    )
    assert "What 1 method says of an image" in one
    assert "by several methods" not in one
    assert "from one method to the next" not in one
    assert "What 2 methods say of an image" in two
    assert "by several methods. Each column is a method; its name leads to" in two
    assert "from one method to the next" in two
