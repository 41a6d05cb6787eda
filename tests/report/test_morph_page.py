"""The page of ways, made by hand."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import ParsedPage, check_accessible, check_alone, pixels_of
from tests.helpers.morph_pages import CLASSES, mask, morph, way
from tests.helpers.pages import ORIGIN, answer
from whence.records.picture import NEGATIVE, POSITIVE
from whence.report.explain_page import render_answers
from whence.report.morph_page import render_morphs


def page_of(*morphs, origin=ORIGIN, classes=CLASSES):
    return ParsedPage(render_morphs(morphs or (morph(),), origin, classes))


def test_the_page_needs_nothing_but_itself_and_is_accessible():
    ways = morph(way(), way("nearest"), way("memory")), morph(name="b.png")
    page = check_alone(render_morphs(ways, ORIGIN, CLASSES))
    check_accessible(page)
    assert [link["href"] for link in page.all("a")] == ["#image-1", "#image-2"]
    assert "The ways to 2 answers" in page.words
    assert "The way to an answer" in page_of().words


def test_every_name_is_escaped():
    bad = '<img src=x onerror="x">&'
    classes = (bad, f"{bad}1", f"{bad}2")
    found = morph(
        way("memory", reason=bad, found=False, mask=replace(mask(), reason=bad)),
        way("nearest", reason=bad, found=False, probabilities=torch.tensor([0.5, 0.3, 0.2])),
        name=bad,
        notes=(bad,),
    )
    start = replace(found.ways[0].start, source=bad)
    found = replace(found, ways=(replace(found.ways[0], start=start), found.ways[1]))
    failed = replace(found, code=replace(found.code, reason=bad, how="none"), ways=())
    origin = replace(ORIGIN, run=bad, facts=((bad, bad),), notes=(bad,))
    html = render_morphs([found, failed], origin, classes)
    page = ParsedPage(html)
    assert bad not in html
    assert page.words.count(bad) > 20
    assert all("onerror" not in attributes for _, attributes in page.elements)


def test_a_morph_in_pictures():
    found = morph()
    images = {image["alt"]: pixels_of(image) for image in page_of(found).all("img")}
    assert "colour scale from blue over white to red" in images
    path = found.ways[0].along
    expected = {
        "this image, the model says dog": found.image,
        "reconstruction, the model says dog": found.code.image,
        "morph, the model says fox": found.ways[0].image,
        "where the path starts": path.images[0],
        "where the path ends": path.images[12],
        "step 0 of the path, entropy 0.00 bits": path.images[0],
        "step 4 of the path, in the window, entropy 0.50 bits": path.images[4],
        "step 5 of the path, in the window, entropy 1.00 bits": path.images[5],
        "step 12 of the path, entropy 0.00 bits": path.images[12],
    }
    for alt, image in expected.items():
        assert torch.equal(images[alt], image.permute(1, 2, 0)), alt
    assert sum(" of the path" in alt and alt.startswith("step") for alt in images) == 10
    grey = images["mask of the path, mean 0.250"]
    assert torch.equal(grey == 0, found.ways[0].mask.mask == 1)
    red, blue = (
        images["pixels in the mask that become brighter on the path"],
        images["pixels in the mask that become darker on the path"],
    )
    assert tuple(blue[7, 0].tolist()) == NEGATIVE  # the strongest is at the end of the scale
    white = torch.tensor([255.0, 255.0, 255.0])
    half = white + (torch.tensor(POSITIVE) - white) / 2
    assert (red[0, 0] - half).abs().max() <= 1
    assert red[7, 9].tolist() == [255, 255, 255]


@pytest.mark.parametrize("truth, words", [(1, "90.0%, right"), (0, "wrong, it is cat"), (None, "")])
def test_true_classes(truth, words):
    page = page_of(morph(truth=truth))
    assert words in page.words
    assert ("verdict" in str(page.elements)) == (truth is not None)


def test_notes_and_origin_are_shown():
    origin = replace(ORIGIN, notes=("All are grey.",), facts=(("autoencoder", "deep"),))
    words = page_of(morph(notes=("It was made smaller.",)), origin=origin).words
    for part in ("All are grey.", "It was made smaller.", "autoencoder deep", "How to read"):
        assert part in words


def test_an_image_that_failed_stands_in_the_contents():
    code = replace(morph().code, how="none", reason="Train it longer.")
    failed = replace(morph(name="b.png"), code=code, ways=())
    words = page_of(morph(), failed).words
    assert "photo.png dog (90.0%) from fox" in words
    assert "b.png dog (90.0%) cannot be morphed" in words
    assert "This image cannot be morphed Train it longer." in words


def test_there_must_be_something_to_show():
    with pytest.raises(ValueError, match="morphs must hold at least one image, got none"):
        render_morphs([], ORIGIN, CLASSES)


def test_the_same_blocks_on_the_page_of_answers():
    plain = ParsedPage(render_answers([answer()], ORIGIN, CLASSES))
    page = ParsedPage(render_answers([answer(morph=morph())], ORIGIN, CLASSES))
    assert "From fox to dog, by semantic morphing" in page.words
    assert "All numbers" in page.words
    assert "All numbers" not in plain.words
