"""The image beside its example and counterfactual, with heatmaps."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import pixels_of
from tests.helpers.pages import CLASSES, answer, evidence, explanation, heatmaps, picture
from whence.records.explained import Answer
from whence.report.colours import find_colours
from whence.report.heat_blocks import show_pair
from whence.report.picture import NEGATIVE, POSITIVE, to_data_uri


def pair(found, **changes):
    (block,) = show_pair(answer(found, **changes), CLASSES)
    return block


def test_a_near_miss_stands_in_for_a_missing_counterfactual():
    near = replace(evidence(77, 0.0, 2), role="counterfactual")
    items = (evidence(40, 0.6, 1), evidence(7, 0.4, 1))
    reason = "All 2 stored images are dogs."
    block = pair(explanation(items, near_miss=near, counterfactual_reason=reason))
    cards = block.shown[0].cards
    assert [card.role for card in cards] == ["input", "example", "near"]
    assert cards[2].picture.uri == to_data_uri(picture(77))
    assert cards[2].lines == ("similarity 0.500",)
    assert block.sentences[0] == "No counterfactual: all 2 stored images are dogs."
    assert "had no part in the answer" in block.sentences[1]


def test_a_missing_example_has_its_reason():
    items = (evidence(9, 0.6, 0), evidence(8, 0.4, 2))
    block = pair(explanation(items, example_reason="None is a dog."))
    assert [card.role for card in block.shown[0].cards] == ["input", "counterfactual"]
    assert block.sentences == ("No example: none is a dog.",)


def test_heatmaps_share_a_scale_and_say_what_they_add_up_to():
    found = explanation()
    block = pair(found, maps=heatmaps(found))
    strip, scale = block.shown
    image, example, counterfactual = strip.cards
    # 240 values of 0.1 are 24; evidence k has 240 values of -0.001 k; the change is 0.5 more
    assert image.heat_sum == "all its pixels: +24"
    assert example.heat_sum == "all its pixels: \N{MINUS SIGN}0.24"
    assert counterfactual.heat_sum == "all its pixels: \N{MINUS SIGN}0.72"
    # three channels: 0.3 a pixel, 0.009 at most in evidence, coloured 20 times stronger
    assert scale.ends == (("this image", "0.3"), ("stored images", "0.015"))
    assert scale.label == "change of the score (logit of dog) per pixel"
    assert block.after[0].endswith("their colours are 20 times stronger.")
    assert block.after[1:] == (
        "On the way from white images to the images as they are (16 steps), the score of dog "
        "changed by +23.1: +24 from the image, \N{MINUS SIGN}1.44 from 3 evidence images.",
        "The heatmaps add up to this change with an error of 0.5 (2.2% of it).",
    )
    red, blue = pixels_of({"src": image.heat.uri}), pixels_of({"src": counterfactual.heat.uri})
    assert (red == torch.tensor(POSITIVE)).all()
    share = 0.009 / 0.015
    expected = [round(255 + (end - 255) * share) for end in NEGATIVE]
    assert (blue == torch.tensor(expected)).all()


def test_heatmaps_of_the_whole_memory_tell_the_rest_and_a_large_error():
    found = explanation()
    maps = heatmaps(found, rest=torch.tensor([2.0]), completeness_error=torch.tensor([3.0]))
    _, first, _, third = pair(found, maps=maps).after
    assert first.endswith("from 3 evidence images, +2 from all other stored images.")
    assert third == "More steps (--steps) make the error smaller."
    flat = heatmaps(found, score_change=torch.tensor([0.0]))
    assert "(100% of it)" in pair(found, maps=flat).after[2]


def test_colours_follow_the_example_and_the_counterfactual():
    found = explanation()
    maps = heatmaps(found)
    maps.evidence[0][0] = 4.0  # the example
    colours = find_colours(answer(found, maps=maps))
    assert sorted(colours.stored) == [0, 2]
    assert (colours.factor, colours.limit) == (1, pytest.approx(0.3))
    assert "times stronger" not in pair(found, maps=maps).after[0]


def test_without_a_memory_there_is_a_heatmap_or_no_block():
    bare = explanation((), without=torch.zeros(0, 3))
    assert show_pair(answer(bare), CLASSES) == ()
    block = pair(bare, maps=heatmaps(bare))
    assert block.title == "Heatmap"
    assert [card.role for card in block.shown[0].cards] == ["input"]


def test_maps_must_fit_the_image():
    found = explanation()
    with pytest.raises(ValueError, match=r"maps.images must be \(B, C, H, W\) with C=3"):
        answer(found, maps=heatmaps(found, shape=(1, 8, 10)))
    with pytest.raises(ValueError, match=r"image must be \(C, H, W\)"):
        Answer("x", torch.zeros(8, 10, dtype=torch.uint8), None, found)
