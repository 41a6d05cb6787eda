"""How similarities became weights, and weights the answer, in words."""

from collections.abc import Sequence

from whence.messages import format_number
from whence.records.answers import Explanation, Prediction
from whence.report.numbers import percent


def say_reading(answer: Prediction | Explanation, classes: Sequence[str]) -> str | None:
    """Say from which similarity on a stored image had a weight, and what votes make of weights.

    Args:
        answer: the record.
        classes: names.

    Returns:
        None for an answer of a model without a memory, of which there is nothing to say.
    """
    if answer.threshold is None:
        return None
    text = (
        f"A stored image counts from a similarity of {format_number(answer.threshold, '.4g')} on"
        f"{say_handicaps(answer, classes)}; the more above, the more."
    )
    return f"{say_votes(answer, classes)} {text}" if answer.by_label else text


def say_handicaps(answer: Prediction | Explanation, classes: Sequence[str]) -> str:
    """Say for which labels stored images count from another similarity on; nothing for none."""
    if answer.handicaps is None or answer.threshold is None:
        return ""
    parts = [
        f"from {format_number(answer.threshold + handicap, '.4g')} on where it is labelled {name}"
        for name, handicap in zip(classes, answer.handicaps.tolist(), strict=True)
        if handicap
    ]
    return f" ({', '.join(parts)})"


def say_votes(answer: Prediction | Explanation, classes: Sequence[str]) -> str:
    """Say how much of the weight is on images with the label that is the answer."""
    share = answer.probabilities[answer.predicted]
    name = classes[answer.predicted]
    by_threshold = answer.decision is not None and bool(share < answer.probabilities.max())
    end = "the threshold makes that the answer" if by_threshold else "that is the answer"
    return f"Of the weight, {percent(float(share))} is on images labelled {name}: {end}."
