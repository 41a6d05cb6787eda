"""The blocks of one explained image, made by hand."""

import math
from dataclasses import replace

import pytest
import torch

from tests.helpers.pages import (
    CLASSES,
    answer,
    draws,
    evidence,
    explanation,
    picture,
    removal,
)
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.records.explained import Stored
from whence.records.picture import to_data_uri
from whence.report.answer_blocks import (
    ANSWER_BLOCKS,
    explain_section,
    make_bars,
    make_evidence_strip,
    say_deciding,
    say_without,
    show_answer,
    show_doubt,
    show_evidence,
    show_others,
)
from whence.report.cards import SHOWN, say_conflict
from whence.report.dependence_blocks import show_reliance, show_removal


def test_bars_begin_with_the_answer_and_sum_to_1():
    probabilities = torch.tensor([0.1, 0.2, 0.05, 0.2, 0.15, 0.12, 0.18])
    names = [f"class {place}" for place in range(7)]
    bars = make_bars(probabilities, 3, names)
    assert [bar.name for bar in bars] == [
        *("class 3", "class 1", "class 6", "class 4", "class 5", "all 2 other classes")
    ]
    assert [bar.strong for bar in bars] == [True] + 5 * [False]
    assert sum(bar.share for bar in bars) == pytest.approx(1)
    assert bars[-1].text == "15.0%"
    assert len(make_bars(probabilities[:6], 0, names)) == 6


def test_classes_that_nothing_speaks_for_have_no_bar_of_their_own():
    names = [f"class {place}" for place in range(7)]
    probabilities = torch.tensor([0, 0, 0.75, 0, 0.25, 0, 0])
    bars = make_bars(probabilities, 2, names)
    assert [(bar.name, bar.text) for bar in bars] == [
        *(("class 2", "75.0%"), ("class 4", "25.0%"), ("all 5 other classes", "0%"))
    ]
    assert [bar.name for bar in make_bars(probabilities[1:3], 1, names)] == ["class 1", "class 0"]


@pytest.mark.parametrize(
    "truth, verdict, right", [(None, "", False), (1, "right", True), (2, "wrong, it is fox", False)]
)
def test_truth_is_compared_where_it_is_known(truth, verdict, right):
    (block,) = show_answer(answer(truth=truth), CLASSES)
    (headline,) = block.shown
    assert (headline.answer, headline.share) == ("dog", "75.0%")
    assert (headline.verdict, headline.right) == (verdict, right)


def test_the_original_stands_beside_what_the_model_saw():
    shown = show_answer(answer(original=picture(5, (3, 448, 300))), CLASSES)[0].shown[0].pictures
    assert [words for _, words in shown] == [
        "the original",
        "as the model saw it: 10 x 8 pixels",
    ]
    assert shown[0][0].uri == to_data_uri(picture(5, (3, 448, 300)))
    assert (shown[0][0].width, shown[0][0].enlarged) == (150, False)
    assert [words for _, words in show_answer(answer(), CLASSES)[0].shown[0].pictures] == [""]


def test_a_calm_answer_that_is_wrong_says_so():
    words = "The true class is known here, and the answer is wrong all the same."
    (calm,) = show_doubt(answer(truth=2), CLASSES)
    assert (calm.tone, calm.sentences[-1]) == ("calm", words)
    assert words not in show_doubt(answer(truth=1), CLASSES)[0].sentences
    assert words not in show_doubt(answer(explanation(flag=True), truth=2), CLASSES)[0].sentences
    _, notes = show_doubt(answer(notes=("It was cut.",)), CLASSES)
    assert (notes.tone, notes.sentences) == ("note", ("It was cut.",))


# the evidence


def test_evidence_is_shown_in_order_with_all_that_is_known_of_it():
    changes = torch.zeros(3, 3)
    changes[1] = torch.tensor([math.log(10), 0.0, 0.0])  # 1.5 / 0.75 / 0.1
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 1, label=0, source="a/b.png"))
    items += (evidence(9, 0.2, 0),)
    strip = make_evidence_strip(answer(explanation(items, without=changes)), CLASSES)
    first, second, third = strip.cards
    assert first.lines == ("weight 50.0%", "similarity 0.750")
    assert second.lines == (
        *("weight 30.0%", "similarity 0.650"),
        "without it the answer is cat, 63.8%",
    )
    assert (second.label, second.place) == ("cat", "training image 7, a/b.png")
    assert [card.role for card in strip.cards] == ["example", "example", "counterfactual"]
    assert second.picture.uri == to_data_uri(picture(7))
    assert third.picture.alt == "training image 9, labelled cat, weight 20.0%, counterfactual"
    assert (first.picture.width, first.picture.enlarged) == (100, True)
    assert strip.rest == ""


def test_bars_show_the_share_of_all_weight():
    items = (evidence(40, 0.098, 1), evidence(7, 0.05, 0))
    strip = make_evidence_strip(answer(explanation(items)), CLASSES)
    assert [card.share for card in strip.cards] == pytest.approx([0.098, 0.05])
    (block,) = show_evidence(answer(explanation(items)), CLASSES)
    assert "a full bar would be all of the weight" in block.sentences[0]


def test_a_label_that_the_model_itself_does_not_see_is_told_in_plain_words():
    items = (evidence(40, 0.6, 1, label=0), evidence(7, 0.3, 0, label=1), evidence(9, 0.1, 1))
    cards = make_evidence_strip(answer(explanation(items)), CLASSES).cards
    assert [card.role for card in cards] == ["example", "counterfactual", "example"]
    assert [card.conflict for card in cards] == [
        "This image is of class cat, but the model itself would call it dog.",
        "This image is of class dog, but the model itself would call it cat.",
        "",
    ]
    assert say_conflict(None, 2, CLASSES) == "The model itself calls it fox."
    (block,) = show_evidence(answer(explanation(items)), CLASSES)
    assert "what the model itself sees in a stored image, not its label" in block.sentences[1]


def test_what_one_image_less_would_do():
    before, other = torch.tensor([0.1, 0.7, 0.2]), torch.tensor([0.1, 0.4, 0.5])
    dog = explanation()
    assert say_without(dog, before, CLASSES) == ""
    assert say_without(dog, other, CLASSES) == "without it the answer is fox, 50.0%"
    assert "nothing would be left" in say_without(dog, before * math.nan, CLASSES)
    rule = Decision(1, 0.4, 30, ClassMeasures("dog", 9, 9, 12), target_recall=1.0)
    assert say_without(replace(dog, decision=rule), other, CLASSES) == ""
    strict = replace(rule, threshold=0.75)
    said = say_without(replace(dog, decision=strict), before, CLASSES)
    assert said == "without it the answer is fox, 20.0%"


def test_no_single_image_decides_is_said_once():
    changes = torch.zeros(3, 3)
    changes[0, 1], changes[2, 1] = -0.5, 0.25
    found = explanation(without=changes)
    low = 0.75 * math.exp(-0.5) / (0.25 + 0.75 * math.exp(-0.5))
    high = 0.75 * math.exp(0.25) / (0.25 + 0.75 * math.exp(0.25))
    start = "No single stored image decides: whichever one is left out, dog stays the answer, "
    span = f"between {low:.1%} and {high:.1%} (now 75.0%)"
    assert say_deciding(found, None, CLASSES) == (f"{start}{span}.",)
    together = "; it takes 2 stored images together, as shown further down."
    assert say_deciding(found, removal(), CLASSES) == (start + span + together,)
    many = removal(removed=(1, 2, 3), smallest=None, smallest_becomes=None)
    assert say_deciding(found, many, CLASSES)[0].endswith(
        "it takes 3 stored images together, as shown further down."
    )
    none = removal(removed=(), smallest=None, smallest_becomes=None, becomes=None, reason="No.")
    assert say_deciding(found, none, CLASSES) == (f"{start}{span}.",)
    assert say_deciding(explanation(), None, CLASSES) == (f"{start}at 75.0%.",)


def test_images_that_decide_alone_are_counted():
    changes = torch.zeros(3, 3)
    changes[1, 0] = 9.0
    assert say_deciding(explanation(without=changes), removal(), CLASSES) == (
        "1 of these stored images changes the answer when left out alone; the others do not.",
    )
    changes[2, 2] = 9.0
    assert say_deciding(explanation(without=changes), removal(), CLASSES)[0].startswith(
        "2 of these stored images change the answer"
    )
    lone = explanation((evidence(4, 1.0, 1),), without=torch.full((1, 3), math.nan))
    assert say_deciding(lone, None, CLASSES) == ()


def test_hundreds_of_evidence_images_are_counted():
    items = tuple(evidence(place, 1 / 300, 1) for place in range(300))
    strip = make_evidence_strip(answer(explanation(items)), CLASSES)
    assert len(strip.cards) == SHOWN == 24
    assert strip.rest == "Not shown: 276 stored images with 92.0% of the weight together."


# what would change the answer


def test_counterfactuals_of_other_classes_are_shown_when_there_are_several():
    assert show_others(answer(), CLASSES) == ()
    many = tuple(evidence(place, 1 / 40, place, answer=50) for place in range(40))
    names = [f"class {place}" for place in range(51)]
    probabilities = torch.full((51,), 1 / 51)
    found = explanation(
        many, predicted=50, probabilities=probabilities, without=torch.zeros(40, 51)
    )
    (block,) = show_others(answer(found), names)
    (strip,) = block.shown
    assert len(strip.cards) == 24
    assert strip.rest == "Not shown: those of 16 more."


def test_removal_is_shown_with_the_smallest_set_first():
    (block,) = show_removal(answer(removal=removal()), CLASSES)
    assert block.sentences == (
        "Without 2 stored images the answer would be cat.",
        "No smaller set of stored images changes it.",
    )
    cards = block.shown[0].cards
    assert [card.place for card in cards] == ["training image 7", "training image 40"]
    assert [bool(card.conflict) for card in cards] == [True, False]
    one = removal(removed=(7, 40), smallest=(9,), smallest_becomes=2)
    (block,) = show_removal(answer(removal=one), CLASSES)
    assert block.sentences == ("Without 1 stored image the answer would be fox.",)
    assert [card.label for card in block.shown[0].cards] == ["cat"]


def test_removal_without_a_small_set_or_without_any():
    larger = removal(removed=(7, 9, 40), smallest=None, smallest_becomes=None)
    assert show_removal(answer(removal=larger), CLASSES)[0].sentences == (
        "Without 3 stored images the answer would be cat; putting any one of them back restores "
        "it.",
        "Every set of up to 2 stored images was tried: none of them changes the answer.",
    )
    none = removal(
        removed=(), becomes=None, smallest=None, smallest_becomes=None, reason="None was found."
    )
    (block,) = show_removal(answer(removal=none), CLASSES)
    assert (block.shown, block.sentences) == ((), ("None was found.",))
    assert show_removal(answer(), CLASSES) == ()


def test_long_removals_are_counted():
    stored = {place: Stored(0, 0, None, picture(place)) for place in range(30)}
    many = removal(removed=tuple(range(30)), smallest=None, smallest_becomes=None)
    (block,) = show_removal(answer(removal=many, stored=stored | answer().stored), CLASSES)
    assert len(block.shown[0].cards) == 24
    assert block.shown[0].rest == "Not shown: 6 stored images."


def test_reliance_and_draws_in_words():
    (block,) = show_reliance(answer(explanation(draws=draws())), CLASSES)
    (chart,) = block.shown
    assert [(bar.name, bar.share, bar.text) for bar in chart.bars] == [
        ("the stored images", 0.4, "40.0%"),
        ("the image itself", 0.6, "60.0%"),
    ]
    assert block.after == (
        "Read with 100 random stored images in place of all of them, the answer stayed the same "
        "in 18 of 20 draws; dog had 70.0% on average.",
        "The example was drawn 4 times and was the example again in 3 of them.",
    )
    never = explanation(draws=draws(example_drawn=0, example_kept=None))
    assert show_reliance(answer(never), CLASSES)[0].after[1] == "The example was never drawn."
    assert show_reliance(answer(), CLASSES)[0].after == ()


def test_a_section_is_its_blocks_in_order():
    found = explanation(draws=draws())
    full = answer(found, removal=removal(), truth=1)
    section = explain_section(full, CLASSES, 7)
    assert (section.anchor, section.title) == ("image-7", "photo.png")
    assert list(section.blocks) == [
        block for make in ANSWER_BLOCKS for block in make(full, CLASSES)
    ]
    bare = replace(full, explanation=explanation((), without=torch.zeros(0, 3)), removal=None)
    assert len(explain_section(bare, CLASSES, 1).blocks) == 3
