"""The threshold of a class in words: why an answer is what it is, and what it was chosen for."""

from collections.abc import Sequence
from typing import Any

from whence.messages import count
from whence.records.answers import Explanation, Prediction
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.report.json_values import to_class
from whence.report.numbers import percent


def say_wanted(decision: Decision) -> str:
    """Say what a threshold was chosen for."""
    if decision.target_recall is not None:
        return f"for a recall of {percent(decision.target_recall)}"
    return f"because missing one costs {decision.cost:g} times the reverse"


def say_decision(answer: Prediction | Explanation, classes: Sequence[str]) -> str | None:
    """Say how the threshold of a class decided an answer; None where no class has one."""
    decision = answer.decision
    if decision is None:
        return None
    name = classes[decision.place]
    share = percent(float(answer.probabilities[decision.place]))
    threshold = f"the threshold {percent(decision.threshold)} chosen {say_wanted(decision)}"
    if decision.head_start:
        threshold = f"{percent(decision.threshold)}, with {say_lead(decision, name)}"
    if answer.predicted == decision.place:
        return f"Answered {name} because its probability {share} is not below {threshold}."
    return (
        f"Not answered {name}, because its probability {share} is below {threshold}; the answer "
        "is the most probable other class."
    )


def say_lead(decision: Decision, name: str) -> str:
    """Say what a head start is."""
    return (
        f"a head start of {decision.head_start:.3f} in similarity for stored images labelled "
        f"{name}, chosen {say_wanted(decision)}"
    )


def say_apart(decision: Decision, predicted: int, answered: int, classes: Sequence[str]) -> str:
    """Say that a threshold makes another class of an image than the most probable one."""
    return (
        f"By the threshold of {classes[decision.place]} the run answers {classes[answered]} here; "
        f"the way leads to {classes[predicted]}, the most probable class."
    )


def say_rule(decision: Decision) -> str:
    """Say from which probability on a class is answered, and how well that did on validation."""
    found = decision.validation
    why = say_lead(decision, found.name) if decision.head_start else say_wanted(decision)
    joint = "with " if decision.head_start else ""
    return (
        f"An image is answered {found.name} from a probability of {percent(decision.threshold)} "
        f"on, {joint}{why}: on {count(decision.images, 'validation image')}, which it "
        f"was chosen on, {say_found(found)}."
    )


def say_here(measures: ClassMeasures, images: int) -> str:
    """Say how well a class with a threshold is found among the images that are measured."""
    return f"Of {count(images, 'image')} measured here, {say_found(measures)}."


def say_found(measures: ClassMeasures) -> str:
    """Say recall and precision of a class with their counts."""
    recall = "none was there" if measures.recall is None else f"recall {percent(measures.recall)}"
    precision = "" if measures.precision is None else f", precision {percent(measures.precision)}"
    return (
        f"{measures.right:,} of {measures.images:,} were found and {measures.right:,} of "
        f"{count(measures.answers, 'answer')} were right ({recall}{precision})"
    )


def lay_out_decision(decision: Decision | None, classes: Sequence[str]) -> dict[str, Any] | None:
    """Lay a threshold out as JSON, with what it was chosen for and on."""
    if decision is None:
        return None
    found = decision.validation
    return {
        "class": to_class(decision.place, classes),
        "threshold": decision.threshold,
        "head_start": decision.head_start,
        "target_recall": decision.target_recall,
        "cost": decision.cost,
        "validation": {
            "images": decision.images,
            "of_class": found.images,
            "right": found.right,
            "recall": found.recall,
            "answers": found.answers,
            "precision": found.precision,
        },
    }
