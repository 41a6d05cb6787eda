"""Every rule on answers written by hand: what holds, what does not, and what is said of it."""

import pytest

from tests.helpers.answers import NAMES, make_answer
from whence.checks import ASSERTIONS
from whence.checks.expectations import read_expectation
from whence.checks.judging import judge_expectation
from whence.checks.rule import AskedAnswers, find_assertion

ANSWERS = (
    make_answer(0, 0.9, [(7, 0, 0.75, "a/7.png"), (3, 1, 0.25, "b/3.png")], doubt=0.1),
    make_answer(
        1, 0.6, [(3, 1, 0.5, "b/3.png"), (8, 0, 0.3, "a/8.png"), (9, None, 0.2, None)], doubt=0.4
    ),
    make_answer(1, 0.8, [(4, 2, 1.0, "c/4.png")], doubt=0.25),
    make_answer(2, 0.5, [(4, 2, 0.6, "c/4.png"), (5, 2, 0.4, "c/5.png")], doubt=0.3),
)
TRUTHS = (0, 1, 2, 2)
IMAGES = ("w", "x", "y", "z")


def judge(places=range(4), *, chosen=(), without=None, **table):
    one = read_expectation({"assert": table.pop("rule"), **table}, "here")
    kept = [ANSWERS[place] for place in places]
    answered = AskedAnswers(
        [IMAGES[place] for place in places],
        kept,
        [TRUTHS[place] for place in places],
        NAMES,
        frozenset(chosen),
        kept if without is None else [ANSWERS[place] for place in without],
    )
    return judge_expectation(one, answered)


CASES = [
    # rule and keys, of images, holds, found
    ({"rule": "answer", "class": "ant", "at_least": 0.9}, [0], True, "0.900"),
    ({"rule": "answer", "class": "ant", "at_least": 0.91}, [0], False, "w is ant, 0.900"),
    ({"rule": "answer", "class": "bee"}, [1, 2], True, "x: 0.600"),
    ({"rule": "answer", "class": "bee"}, [0, 1], False, "1 of 2 images hold; w is ant, 0.050"),
    ({"rule": "answer", "class": "bee", "of_images": 0.5}, [0, 1], True, "1 of 2 images hold; w"),
    ({"rule": "answer", "class": "bee", "of_images": 0.51}, [0, 1], False, "1 of 2 images hold; w"),
    ({"rule": "top_evidence", "class": "cow"}, [2, 3], True, "it is"),
    ({"rule": "top_evidence", "class": "cow"}, [1], False, "x: b/3.png is bee"),
    ({"rule": "own_class_weight", "at_least": 0.5}, [0, 1, 3], True, "x: 0.500"),
    (
        {"rule": "own_class_weight", "at_least": 0.51},
        [0, 1, 3],
        False,
        "2 of 3 images hold; x: 0.500",
    ),
    ({"rule": "own_class_weight", "at_least": 0.1}, [2], False, "y: 0.000"),
    ({"rule": "doubt", "at_most": 0.4}, range(4), True, "at most 0.400"),
    ({"rule": "doubt", "at_most": 0.3}, range(4), False, "3 of 4 images hold; x: 0.400"),
    ({"rule": "accuracy", "at_least": 0.75}, range(4), True, "0.750"),
    ({"rule": "accuracy", "at_least": 0.76}, range(4), False, "0.750"),
    ({"rule": "balanced_accuracy", "at_least": 0.83}, range(4), True, "0.833"),  # (1 + 1 + 1/2) / 3
    ({"rule": "balanced_accuracy", "at_least": 0.84}, range(4), False, "0.833"),
    (
        {"rule": "balanced_accuracy", "at_least": 0.75},
        [0, 2, 3],
        True,
        "0.750",
    ),  # no bee among them
    ({"rule": "recall", "class": "cow", "at_least": 0.5}, range(4), True, "0.500"),
    ({"rule": "recall", "class": "cow", "at_least": 0.6}, range(4), False, "0.500"),
    ({"rule": "recall", "class": "bee", "at_least": 0.0}, [0], False, "no image of it"),
    ({"rule": "accuracy", "at_least": 0.0}, [], False, "no image of it"),
    ({"rule": "answer", "class": "ant"}, [], False, "no image"),
]


@pytest.mark.parametrize(("keys", "places", "holds", "found"), CASES)
def test_a_rule_says_what_holds_and_what_was_found(keys, places, holds, found):
    checked = judge(places, **keys)
    assert (checked.holds, checked.found[: len(found)]) == (holds, found)


def test_every_rule_has_a_case():
    assert {keys["rule"] for keys, *_ in CASES} | {"no_evidence_from", "unchanged_without"} == {
        *ASSERTIONS
    }


def test_evidence_from_what_is_chosen_is_found():
    rule = {"rule": "no_evidence_from", "stored": "b/*"}
    checked = judge(range(4), chosen=[3], **rule)
    assert not checked.holds
    assert checked.found == "2 of 4 images hold; x has 0.500 on b/3.png"
    assert (checked.images, checked.failed) == (4, 2)
    assert checked.problems == ("w has 0.250 on b/3.png", "x has 0.500 on b/3.png")
    assert judge([2, 3], chosen=[3], **rule).found == "none of 1 stored images"
    assert judge([2, 3], chosen=[], **rule).holds


def test_answers_without_stored_images_are_compared():
    rule = {"rule": "unchanged_without", "group": "m7"}
    assert judge([0, 1], without=[0, 2], chosen=[3], **rule).found == "0 of 2 answers change"
    checked = judge([0, 1], without=[0, 3], chosen=[3], **rule)
    assert not checked.holds
    assert checked.found == "1 of 2 images hold; 1 of 2 answers change (x is cow, it was bee)"


def test_an_answer_that_is_not_calibrated_has_no_doubt_to_expect():
    one = read_expectation({"assert": "doubt", "at_most": 1.0}, "here")
    answered = AskedAnswers(["w"], [make_answer(0, 0.9)], [None], NAMES)
    checked = judge_expectation(one, answered)
    assert (checked.holds, checked.found) == (False, "the model is not calibrated")


@pytest.mark.parametrize(
    ("table", "title"),
    [
        (
            {"assert": "answer", "image": "x.png", "class": "ant", "at_least": 0.9},
            "x.png: ant with at least 0.9",
        ),
        ({"assert": "accuracy", "at_least": 0.5}, "test images: accuracy at least 0.5"),
        (
            {"assert": "top_evidence", "test": [2, 5], "class": "ant"},
            "test images 2, 5: top evidence is of class ant",
        ),
        (
            {"assert": "no_evidence_from", "data": "set", "stored": "z/*", "of_images": 0.9},
            "set: no evidence from z/*, for 90% of the images",
        ),
        (
            {"assert": "unchanged_without", "group": "g", "test": 1},
            "test image 1: no answer changes without group g",
        ),
        ({"assert": "doubt", "at_most": 0.2, "name": "mine"}, "mine"),
    ],
)
def test_a_title_says_what_is_expected(table, title):
    assert read_expectation(table, "here").title == title


def test_rules_are_those_of_the_table():
    for name in ASSERTIONS:
        assert find_assertion(name).takes
