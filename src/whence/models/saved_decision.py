"""The rule of a model's answers as JSON, checked when it is read."""

from collections.abc import Sequence
from typing import Any

from whence.bounds import MANY
from whence.models.saved_calibration import is_number
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision

DECISION_COUNTS = ("images", "of_class", "right", "answers")
DECISION_FIELDS = ("class", "threshold", "target_recall", "cost", *DECISION_COUNTS)
HEAD_START = "head_start"
"""A field that models of before do not have."""

LARGEST_HEAD_START = 1e6
"""Of a head start, which is a similarity."""


def decision_to_json(decision: Decision | None) -> dict[str, Any] | None:
    """Lay a rule out as JSON, the class by index."""
    if decision is None:
        return None
    found = decision.validation
    return {
        "class": decision.place,
        "threshold": decision.threshold,
        HEAD_START: decision.head_start,
        "target_recall": decision.target_recall,
        "cost": decision.cost,
        "images": decision.images,
        "of_class": found.images,
        "right": found.right,
        "answers": found.answers,
    }


def decision_from_json(
    content: dict[str, Any] | None, class_names: Sequence[str]
) -> Decision | None:
    """Build the record from JSON that was checked."""
    if content is None:
        return None
    recall, cost = (content[name] for name in ("target_recall", "cost"))
    return Decision(
        place=content["class"],
        threshold=float(content["threshold"]),
        images=content["images"],
        validation=ClassMeasures(
            class_names[content["class"]],
            images=content["of_class"],
            right=content["right"],
            answers=content["answers"],
        ),
        target_recall=None if recall is None else float(recall),
        cost=None if cost is None else float(cost),
        head_start=float(content.get(HEAD_START, 0)),
    )


def find_problem_of_decision(content: object, classes: int, *, variant: object) -> str | None:
    """Check a rule read from JSON; return the first problem as a clause.

    Args:
        content: None, or an object with the fields that ``decision_to_json`` writes.
        classes: K.
        variant: of the model.
    """
    if content is None:
        return None
    if not isinstance(content, dict) or sorted({HEAD_START, *content}) != sorted(
        {HEAD_START, *DECISION_FIELDS}
    ):
        return f"must have a decision of {', '.join(DECISION_FIELDS)}, or null"
    if type(content["class"]) is not int or not 0 <= content["class"] < classes:
        return "must have a decision for one of its classes"
    return find_problem_of_rule(content, variant) or find_problem_of_counts(content)


def find_problem_of_rule(content: dict[str, Any], variant: object) -> str | None:
    """Check what a class is answered by, and what that was chosen for."""
    if not is_number(content["threshold"]) or not 0 < content["threshold"] <= 1:
        return "must have a decision with a threshold above 0 and at most 1"
    lead = content.get(HEAD_START, 0)
    if not is_number(lead) or abs(lead) > LARGEST_HEAD_START:
        return f"must have a decision with a head start of at most {LARGEST_HEAD_START:g}"
    if lead and variant != "votes":
        return "must have a decision with a head start of votes alone"
    recall, cost = content["target_recall"], content["cost"]
    if (recall is None) == (cost is None):
        return "must have a decision for a target_recall or a cost"
    if recall is not None and (not is_number(recall) or not 0 < recall <= 1):
        return "must have a decision with a target_recall above 0 and at most 1"
    if cost is not None and (not is_number(cost) or cost <= 0):
        return "must have a decision with a cost above 0"
    return None


def find_problem_of_counts(content: dict[str, Any]) -> str | None:
    """Check on how many images it was chosen, and what it did there."""
    images, of_class, right, answers = counts = [content[name] for name in DECISION_COUNTS]
    if not all(type(one) is int and 0 <= one <= MANY for one in counts):
        return "must have a decision with numbers of images"
    if not (right <= of_class <= images and right <= answers <= images):
        return "must have a decision with numbers of images that fit each other"
    return None
