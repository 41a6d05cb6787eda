"""The page of explained images, made by hand."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import ParsedPage, check_accessible, check_alone, pixels_of
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


def whole(**changes):
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 2), evidence(9, 0.2, 0))
    found = explanation(items, draws=draws(), **changes)
    return answer(
        found, relevance=relevance(found), removal=removal(), truth=1, notes=("It was cut.",)
    )


def page_of(*answers, origin=ORIGIN, classes=CLASSES):
    return ParsedPage(render_answers(answers, origin, classes))


def test_a_page_needs_nothing_but_itself_and_is_accessible():
    page = check_alone(render_answers([whole(), whole()], ORIGIN, CLASSES))
    check_accessible(page)
    contents = [image for image in page.all("img") if image["alt"] == ""]
    assert len(contents) == 2  # decoration beside a link's own text
    assert [link["href"] for link in page.all("a")] == ["#image-1", "#image-2"]


def test_the_page_says_answer_doubt_evidence_and_numbers_in_this_order():
    words = page_of(whole(flag=False)).words
    order = [
        *("An answer and its evidence", "runs-7", "photo.png", "The model's answer", "dog"),
        *("75.0%, right", "Read with care", "It was cut.", "The evidence the model used"),
        *("3 stored images", "Example and counterfactual", "relevance of each pixel"),
        *("The best counterfactual of every other class", "What would change the answer"),
        *("How much the memory counts", "How to read this page", "seed 5", "abc123"),
    ]
    places = []
    for text in order:
        places.append(words.index(text, places[-1] if places else 0))
    assert "the reason" not in words.lower()


def test_several_images_have_a_table_of_contents():
    page = page_of(whole(), replace(whole(flag=True), name="second", truth=0))
    assert "2 answers and their evidence" in page.words
    assert "second dog (75.0%) Doubtful; wrong, it is cat" in page.words
    assert page_of(whole()).all("a") == []


def test_everything_is_escaped():
    evil = ("<script>alert(1)</script>", "a\"b'c&d", "<b>bold</b>")
    items = (evidence(40, 0.6, 1, source='x"><img src=y>.png'), evidence(7, 0.4, 0))
    found = explanation(items, draws=draws())
    shown = answer(
        found, name="<i>'\"&.png", relevance=relevance(found), truth=2, notes=("<u>note",)
    )
    origin = replace(ORIGIN, run="<run>", facts=(("<k>", "<v>"),), notes=("<p>hello",))
    page = page_of(shown, replace(shown, removal=removal()), origin=origin, classes=evil)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "b"} - {"b"}
    for text in (*evil, "<i>'\"&.png", 'x"><img src=y>.png', "<run>", "<k>", "<v>", "<u>note"):
        assert text in page.words, text
    assert any('x"><img src=y>.png' in a["alt"] for a in page.all("img"))
    assert not tags & {"i'", "u", "k", "v", "run"}


@pytest.mark.parametrize(
    "shape, classes", [((1, 8, 8), 2), ((3, 224, 224), 3), ((1, 28, 28), 1000), ((3, 30, 50), 7)]
)
def test_all_sizes_and_numbers_of_classes(shape, classes):
    items = (evidence(4, 0.7, 1), evidence(5, 0.3, 0))
    probabilities = torch.full((classes,), 0.2 / (classes - 1))
    probabilities[1] = 0.8
    found = explanation(items, probabilities=probabilities, without=torch.zeros(2, classes))
    names = [f"a rather long name of a class, number {place}" for place in range(classes)]
    page = page_of(answer(found, shape=shape, relevance=relevance(found, shape)), classes=names)
    sizes = {tuple(pixels_of(attributes).shape[:2]) for attributes in page.all("img")}
    assert sizes == {shape[1:], (12, 201)}  # native, and the colour scale
    enlarged = [a for a in page.all("img") if "enlarged" in a.get("class", "")]
    assert bool(enlarged) == (max(shape[1:]) < 96)
    assert all(int(a["width"]) <= 224 for a in page.all("img") if "width" in a)


def test_images_are_embedded_as_they_are():
    shown = whole()
    found = [pixels_of(attributes) for attributes in page_of(shown).all("img")]
    for image in (shown.image, *(stored.image for stored in shown.stored.values())):
        assert any(torch.equal(one, image.permute(1, 2, 0)) for one in found)


def test_a_memory_without_pixels_is_named_not_shown():
    page = page_of(answer(pixels=False, removal=removal()))
    assert len(page.all("img")) == 2  # the image itself, at the top and in the pair
    assert "training image 40" in page.words


def test_a_standard_model_says_that_it_has_no_memory():
    found = explanation(
        (),
        without=torch.zeros(0, 3),
        example_reason="A standard model has no memory.",
        counterfactual_reason="A standard model has no memory.",
        reliance=0.0,
    )
    origin = replace(ORIGIN, has_memory=False)
    page = page_of(answer(found, relevance=relevance(found)), origin=origin)
    assert "This model has no memory" in page.words
    assert "no evidence. Attribution this image" in page.words
    assert "relevance of this image, sum +24" in [a["alt"] for a in page.all("img")]
    for text in ("How much the memory counts", "counterfactual", "How to read", "Read with"):
        assert (text in page.words) == (text == "Read with"), text  # "Read with care"
    plain = page_of(answer(found), origin=origin)
    assert "Attribution" not in plain.words


def test_no_answer_is_refused():
    with pytest.raises(ValueError, match=r"answers must hold at least one answer, got none"):
        render_answers([], ORIGIN, CLASSES)
