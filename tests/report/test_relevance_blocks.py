"""The image beside its example and counterfactual, with relevance."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import pixels_of
from tests.helpers.pages import CLASSES, answer, evidence, explanation, picture, relevance
from whence.records.explained import Answer
from whence.records.picture import NEGATIVE, POSITIVE, to_data_uri
from whence.report.colours import find_colours
from whence.report.relevance_blocks import FLAT, show_pair

MINUS = "\N{MINUS SIGN}"


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


def test_a_near_miss_that_the_score_is_set_against_has_its_relevance():
    near = replace(evidence(77, 0.0, 2), role="counterfactual")
    found = explanation((evidence(40, 1.0, 1),), near_miss=near, counterfactual_reason="None.")
    compared = torch.stack([torch.full((3, 8, 10), -0.02), torch.full((3, 8, 10), 0.5)])
    shown = relevance(found, compared=(compared,), compared_indices=((77, 78),))
    shown.ledger["compared"] = compared.sum()[None].double()
    block = pair(found, relevance=shown)
    _, _, card = block.shown[0].cards
    assert card.relevance_sum == "all its pixels: \N{MINUS SIGN}4.8"
    # 0.06 a pixel, coloured 5 times stronger than 0.3
    assert block.shown[1].ends == (
        ("this image", f"{MINUS}0.3", "+0.3"),
        ("stored images", f"{MINUS}0.06", "+0.06"),
    )
    assert "no part in the answer, but what is explained is set against it." in block.sentences[1]
    assert "+115 from the most similar image without a vote" in block.after[2]
    other = relevance(found, compared=(compared,), compared_indices=((76, 78),))
    assert pair(found, relevance=other).shown[0].cards[2].relevance is None


def test_a_missing_example_has_its_reason():
    items = (evidence(9, 0.6, 0), evidence(8, 0.4, 2))
    block = pair(explanation(items, example_reason="None is a dog."))
    assert [card.role for card in block.shown[0].cards] == ["input", "counterfactual"]
    assert block.sentences == ("No example: none is a dog.",)


def test_relevance_shares_a_scale_and_says_what_it_adds_up_to():
    found = explanation()
    block = pair(found, relevance=relevance(found))
    strip, scale = block.shown
    image, example, counterfactual = strip.cards
    # 240 values of 0.1 are 24; evidence k has 240 values of -0.001 k; the change is 0.5 more
    assert image.relevance_sum == "all its pixels: +24"
    assert example.relevance_sum == "all its pixels: \N{MINUS SIGN}0.24"
    assert counterfactual.relevance_sum == "all its pixels: \N{MINUS SIGN}0.72"
    # three channels: 0.3 a pixel, 0.009 at most in evidence, coloured 20 times stronger
    assert scale.ends == (
        ("this image", f"{MINUS}0.3", "+0.3"),
        ("stored images", f"{MINUS}0.015", "+0.015"),
    )
    assert scale.label == "relevance of each pixel for the score (logit of dog)"
    assert block.after[0].endswith("their colours are 20 times stronger.")
    assert block.after[1:] == (
        "A pixel's number is its share of the change.",
        "The score changed by +23.1, from \N{MINUS SIGN}2 to 21.1: +24 from the image, \N{MINUS SIGN}1.44 from 3 "
        "evidence images.",
        "The numbers add up to this change with an error of 0.5 (2.2% of it).",
    )
    red, blue = (
        pixels_of({"src": image.relevance.uri}),
        pixels_of({"src": counterfactual.relevance.uri}),
    )
    assert (red == torch.tensor(POSITIVE)).all()
    share = 0.009 / 0.015
    expected = [round(255 + (end - 255) * share) for end in NEGATIVE]
    assert (blue == torch.tensor(expected)).all()


def test_relevance_of_the_whole_memory_tells_the_rest_and_a_large_error():
    found = explanation()
    shown = relevance(found, rest=2.0, unexplained=-3.0)
    _, _, second, third, last = pair(found, relevance=shown).after
    assert second.endswith("from 3 evidence images, +2 from all other stored images.")
    assert third.endswith("with an error of 3 (13.9% of it).")
    assert last == "More steps (--steps) make the error smaller."
    other = relevance(found, unexplained=-3.0, options={})
    assert "steps" not in pair(found, relevance=other).after[-1]
    flat = relevance(found, score=torch.tensor([-2.0]))
    assert "(100% of it)" in pair(found, relevance=flat).after[3]


def test_a_method_without_a_ledger_says_so_and_one_without_evidence_colours_the_image_alone():
    found = explanation()
    slopes = relevance(found, ledger=None, score=torch.tensor([3.5]))
    assert pair(found, relevance=slopes).after[1:] == (
        slopes.sentence,
        "The score is 3.5; the numbers do not add up to it.",
    )
    alone = relevance(found, evidence=(torch.zeros(0, 3, 8, 10),))
    strip, scale = pair(found, relevance=alone).shown
    assert [card.relevance is not None for card in strip.cards] == [True, False, False]
    assert scale.ends == (("this image", f"{MINUS}0.3", "+0.3"),)


def test_colours_follow_the_example_and_the_counterfactual():
    found = explanation()
    shown = relevance(found)
    shown.evidence[0][0] = 4.0  # the example
    colours = find_colours(answer(found, relevance=shown))
    assert sorted(colours.stored) == [0, 2]
    assert (colours.factor, colours.limit) == (1, pytest.approx(0.3))
    assert "times stronger" not in pair(found, relevance=shown).after[0]


def test_without_a_memory_there_is_relevance_of_the_image_or_no_block():
    bare = explanation((), without=torch.zeros(0, 3))
    assert show_pair(answer(bare), CLASSES) == ()
    block = pair(bare, relevance=relevance(bare))
    assert block.title == "Attribution"
    assert [card.role for card in block.shown[0].cards] == ["input"]


def test_relevance_must_fit_the_image():
    found = explanation()
    with pytest.raises(ValueError, match=r"relevance.images must be \(B, C, H, W\) with C=3"):
        answer(found, relevance=relevance(found, shape=(1, 8, 10)))
    with pytest.raises(ValueError, match=r"image must be \(C, H, W\)"):
        Answer("x", torch.zeros(8, 10, dtype=torch.uint8), None, found)


def test_rounding_is_not_coloured():
    """Votes at 100 % stay there from a white image on; their relevance is the last digits."""
    found = explanation()
    known = relevance(found)
    small = {name: amounts * 1e-6 for name, amounts in known.ledger.items()}
    parts = {"images": known.images * 1e-6, "evidence": (known.evidence[0] * 1e-6,)}
    block = pair(found, relevance=replace(known, **parts, ledger=small))
    assert [card.relevance for card in block.shown[0].cards] == [None] * 3
    assert len(block.shown) == 1
    assert block.after == (FLAT,)
    plain = pair(found, relevance=replace(known, **parts, ledger=None))
    assert plain.shown[0].cards[0].relevance is not None  # in units of its own
