"""The warning line of an answer."""

import pytest
import torch

from tests.helpers.pages import (
    CLASSES,
    draws,
    evidence,
    explanation,
)
from whence.report.doubt import find_doubt


def sentences(**changes):
    return find_doubt(explanation(**changes), CLASSES)


def test_a_sure_answer_is_calm_and_says_how_much_speaks_for_it():
    found = sentences()
    assert (found.level, found.title) == ("calm", "No sign of doubt")
    assert found.sentences == (
        "Stored images that the model puts in the same class carry 80.0% of the weight. "
        "This is no proof that the answer is right.",
    )


def test_every_sign_of_doubt_is_said():
    items = (evidence(9, 0.6, 0), evidence(40, 0.4, 1))
    found = sentences(
        items=items,
        flag=True,
        error_probability=0.34,
        probabilities=torch.tensor([0.45, 0.46, 0.09]),
        draws=draws(changed=0.25),
        reliance=0.05,
        left_out=(3, 8),
    )
    assert (found.level, found.title) == ("doubtful", "Doubtful")
    assert found.sentences == (
        "The stored image with the highest weight is one that the model itself puts in another "
        "class (cat).",
        "By the calibration, about 3 of 10 answers like this one are wrong.",
        "The model gives its own answer only 46.0%.",
        "With random parts of the memory the answer changed in 25.0% of 20 draws.",
        "Stored images that the model puts in other classes carry 60.0% of the weight.",
        "The stored images had little part in this answer (5.0%): the image itself nearly "
        "decided it.",
        "This very image is in the memory (training image 3, 8); it was left out, so that it is "
        "not its own evidence.",
    )


@pytest.mark.parametrize(
    "changes, level",
    [
        ({"flag": True}, "doubtful"),
        ({"error_probability": 0.34}, "doubtful"),
        ({"error_probability": 0.33}, "careful"),
        ({"error_probability": 0.15}, "careful"),
        ({"error_probability": 0.149}, "calm"),
        ({"probabilities": torch.tensor([0.3, 0.49, 0.21])}, "doubtful"),
        ({"probabilities": torch.tensor([0.24, 0.5, 0.26])}, "careful"),
        ({"probabilities": torch.tensor([0.26, 0.5, 0.24])}, "careful"),
        ({"probabilities": torch.tensor([0.24, 0.52, 0.24])}, "calm"),
        ({"items": (evidence(1, 0.6, 1), evidence(2, 0.4, 0))}, "careful"),
        ({"items": (evidence(1, 0.7, 1), evidence(2, 0.3, 0))}, "calm"),
        ({"draws": draws(changed=0.2)}, "doubtful"),
        ({"draws": draws(changed=0.15)}, "calm"),
        ({"reliance": 0.09}, "careful"),
        ({"reliance": 0.1}, "calm"),
        ({"items": (evidence(1, 1.0, 1),)}, "careful"),
        ({"items": ()}, "careful"),
        ({"left_out": (4,)}, "calm"),
    ],
)
def test_one_sign_decides_the_level(changes, level):
    found = sentences(**changes)
    assert found.level == level
    assert len(found.sentences) >= 1


def test_a_probable_second_class_is_named():
    found = sentences(probabilities=torch.tensor([0.1, 0.55, 0.35]))
    assert found.sentences == ("The model finds fox probable, too (35.0%).",)


def test_a_small_probability_of_error_is_told_calmly():
    assert sentences(error_probability=0.04).sentences[-1] == (
        "By the calibration, about 4 of 100 answers like this one are wrong."
    )


def test_left_out_images_that_were_added_have_their_names():
    found = explanation(left_out=(4, 100, 101))
    said = find_doubt(found, CLASSES, added={100: "mine.png", 101: "near.png"}).sentences
    assert any(
        "in the memory (training image 4, mine.png, near.png); it was" in one for one in said
    )
    said = find_doubt(explanation(left_out=(100,)), CLASSES, added={100: "mine.png"}).sentences
    assert any("is in the memory (mine.png); it was left out" in one for one in said)


def test_many_left_out_images_are_not_all_listed():
    assert "(training image 0, 1, 2, 3, 4, ...)" in sentences(left_out=tuple(range(9))).sentences[1]


def test_votes_that_were_not_calibrated_are_never_calm():
    """Wrong answers of votes agree as right ones do, so that their agreement says nothing."""
    found = sentences(by_label=True)
    assert found.level == "careful"
    assert found.sentences[0].startswith(
        "How often answers like this one are wrong was not measured"
    )
    assert sentences(by_label=True, error_probability=0.02).level == "calm"
