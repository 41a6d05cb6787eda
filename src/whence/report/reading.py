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
    text = f"A stored image counts {say_thresholds(answer, classes)}; the more above, the more."
    return f"{say_votes(answer, classes)} {text}" if answer.by_label else text


def say_thresholds(answer: Prediction | Explanation, classes: Sequence[str]) -> str:
    """Say from which similarity on stored images count, where that hangs on their label as well."""
    threshold = answer.threshold or 0.0
    if answer.handicaps is None:
        return say_from(threshold)
    handicaps = dict(zip(classes, answer.handicaps.tolist(), strict=True))
    parts = [
        f"{say_from(threshold + handicap, highest=1.0)} where it is labelled {name}"
        for name, handicap in handicaps.items()
        if handicap
    ]
    if not all(handicaps.values()):
        parts.append(f"{say_from(threshold, highest=1.0)} elsewhere")
    return ", ".join(parts)


def say_from(similarity: float, *, highest: float | None = None) -> str:
    """Say from which similarity on, or that none is so high.

    >>> say_from(0.5), say_from(1.25, highest=1.0)
    ('from a similarity of 0.5 on', 'not at all')
    """
    if highest is not None and similarity >= highest:
        return "not at all"
    return f"from a similarity of {format_number(similarity, '.4g')} on"


def say_votes(answer: Prediction | Explanation, classes: Sequence[str]) -> str:
    """Say how much of the weight is on images with the label that is the answer."""
    share = answer.probabilities[answer.predicted]
    name = classes[answer.predicted]
    by_threshold = answer.decision is not None and bool(share < answer.probabilities.max())
    end = "the threshold makes that the answer" if by_threshold else "that is the answer"
    return f"Of the weight, {percent(float(share))} is on images labelled {name}: {end}."
