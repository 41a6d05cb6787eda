"""``whence.check``: functions over recent answers, and rules of the file's kind."""

import pytest
import torch

import whence
from tests.helpers.answers import NAMES, make_answer

CALM, JUMPY = (make_answer(0, 0.9), make_answer(0, 0.8)), (make_answer(1, 0.7), make_answer(0, 0.6))
ANSWERS = (*CALM, *JUMPY)


def flickers(recent):
    """A class that comes for one answer and goes again."""
    a, b, c = ([None, None] + [one.predicted for one in recent])[-3:]
    return a == c != b and a is not None


def test_a_function_sees_the_recent_answers():
    seen = []
    whence.check(ANSWERS, lambda recent: seen.append([id(one) for one in recent]), window=3)
    ids = [id(one) for one in ANSWERS]
    assert seen == [ids[:1], ids[:2], ids[:3], ids[1:4]]


def test_what_flickers_is_found():
    found = whence.check(ANSWERS, [flickers], window=3, names=list("wxyz"))
    (one,) = found
    assert not found.hold
    assert (one.title, one.failed, one.images, one.problems) == ("flickers", 1, 4, ("z",))
    assert one.found == "1 of 4 answers violate it (z)"
    assert whence.check(ANSWERS, flickers).hold  # with a window of one there is nothing to compare
    assert whence.check(CALM, flickers, window=3).hold


def test_images_are_handed_on():
    def dark(recent, images):
        return "it is dark" if images[-1] < 3 else None

    found = whence.check(ANSWERS, dark, images=[5, 1, 4, 2])
    assert found.items[0].problems == ("answer 1: it is dark", "answer 3: it is dark")


@pytest.mark.parametrize(
    ("said", "holds", "severity"),
    [
        (None, True, 0),
        (False, True, 0),
        (0.0, True, 0),
        ("", True, 0),
        (True, False, 1),
        (2.5, False, 2.5),
        ("bad", False, 1),
    ],
)
def test_what_a_function_returns_says_how_severe_it_is(said, holds, severity):
    one = whence.check(ANSWERS, lambda recent: said).items[0]
    assert (one.holds, one.severity) == (holds, severity)


def test_rules_of_a_file_are_checked_on_answers():
    found = whence.check(
        ANSWERS,
        [
            {"assert": "answer", "class": "ant", "at_least": 0.6, "of_images": 0.75},
            {"assert": "accuracy", "at_least": 0.8},
            flickers,
        ],
        class_names=NAMES,
        truths=[0, 0, 0, 0],
    )
    assert [one.holds for one in found] == [True, False, True]
    assert len(found.failed) == 1
    assert "1 of 3 checks fail" in found._repr_html_()


def test_explanations_are_answers_too():
    model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8), variant="standard").eval()
    explained = whence.explain(model, torch.rand(2, 1, 8, 8))
    found = whence.check(explained, {"assert": "doubt", "at_most": 1})
    assert found.items[0].found == "0 of 2 images hold; the model is not calibrated"


@pytest.mark.parametrize(
    ("rules", "options", "error", "sentence"),
    [
        ([3], {}, TypeError, "must be functions or mappings, number 1 is int"),
        ({"assert": "answer", "class": "ant"}, {}, ValueError, "names a class; give class_names"),
        (
            {"assert": "answer", "class": "x"},
            {"class_names": NAMES},
            ValueError,
            "unknown class 'x'",
        ),
        (
            {"assert": "answer", "class": "ant", "test": 1},
            {},
            ValueError,
            "answer has no key 'test'",
        ),
        ({"assert": "unchanged_without", "stored": "a"}, {}, ValueError, "asks the model's memory"),
        (flickers, {"truths": [1]}, ValueError, r"truths must be one for each answer \(4\), got 1"),
        (flickers, {"window": 0}, ValueError, "window must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_checked_is_said(rules, options, error, sentence):
    with pytest.raises(error, match=sentence):
        whence.check(ANSWERS, rules, **options)
