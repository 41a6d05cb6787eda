"""How far an answer can be trusted, in words: the line that a reader sees before the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from whence.messages import count
from whence.records.answers import Explanation, Prediction
from whence.report.numbers import add_weights, out_of, percent

Level = Literal["doubtful", "careful", "calm"]
TITLES: dict[Level, str] = {
    "doubtful": "Doubtful",
    "careful": "Read with care",
    "calm": "No sign of doubt",
}

DOUBTFUL_ERROR = 1 / 3
"""Answers that are wrong at least so often are called doubtful."""

CAREFUL_ERROR = 0.15
"""Answers that are wrong at least so often should be read with care."""

SMALL_SHARE = 0.5
"""An answer less probable than this is as likely wrong as right by the model's own count."""

DOUBTFUL_CHANGE = 0.2
"""The same for answers that change in at least so many of the random draws."""

CLOSE = 0.5
"""A second class with this share of the answer's probability, or more, is named."""

OTHER_CLASSES = 1 / 3
"""Stored images of other classes with so much weight, or more, are named."""

LOW_RELIANCE = 0.1
"""Below this share the stored images had little part in the answer."""


UNCALIBRATED = (
    "How often answers like this one are wrong was not measured for this memory, and votes that "
    "agree do not tell."
)
"""Of votes: where all agree, wrong answers look as right ones do."""


@dataclass(frozen=True)
class Doubt:
    """The warning line of an answer.

    Attributes:
        level: the strongest of its signs.
        title: the level in words, so that it is never told by colour alone.
        sentences: what speaks for and against trust, signs of doubt first.
    """

    level: Level
    title: str
    sentences: tuple[str, ...]


def find_doubt(
    answer: Prediction | Explanation,
    classes: Sequence[str],
    *,
    added: Mapping[int, str] = MappingProxyType({}),
) -> Doubt:
    """Compose the warning line from what is known of an answer.

    The true class plays no part, so that the line is the same where it is not known. Of a
    prediction neither random memories nor the reliance are known, and nothing is said of them.

    Args:
        answer: the record.
        classes: names.
        added: names of stored images that were no training images, by their dataset index.
    """
    doubtful, careful = find_doubtful(answer, classes), find_careful(answer, classes)
    level: Level = "doubtful" if doubtful else "careful" if careful else "calm"
    calm = () if level != "calm" else (say_calm(answer),)
    sentences = (*doubtful, *careful, *calm, *find_remarks(answer, added))
    return Doubt(level, TITLES[level], sentences)


def find_doubtful(answer: Prediction | Explanation, classes: Sequence[str]) -> list[str]:
    """List signs that the answer may be wrong."""
    found = []
    share = float(answer.probabilities[answer.predicted])
    if answer.flag and answer.evidence:
        other = classes[answer.evidence[0].predicted]
        found.append(
            "The stored image with the highest weight is one that the model itself puts in "
            f"another class ({other})."
        )
    error = answer.error_probability
    if error is not None and error >= DOUBTFUL_ERROR:
        found.append(say_error(error))
    if share < SMALL_SHARE:
        found.append(f"The model gives its own answer only {percent(share)}.")
    draws = answer.draws if isinstance(answer, Explanation) else None
    if draws is not None and draws.changed >= DOUBTFUL_CHANGE:
        found.append(
            f"With random parts of the memory the answer changed in {percent(draws.changed)} of "
            f"{count(draws.draws, 'draw')}."
        )
    return found


def find_careful(answer: Prediction | Explanation, classes: Sequence[str]) -> list[str]:
    """List what is no clear sign of doubt, and why the evidence says less than it seems to."""
    found = []
    share = float(answer.probabilities[answer.predicted])
    others = answer.probabilities.clone()
    others[answer.predicted] = 0
    second = int(others.argmax())
    error = answer.error_probability
    if error is not None and CAREFUL_ERROR <= error < DOUBTFUL_ERROR:
        found.append(say_error(error))
    if share >= SMALL_SHARE and others[second] >= CLOSE * share:
        found.append(
            f"The model finds {classes[second]} probable, too ({percent(float(others[second]))})."
        )
    if not answer.evidence:
        found.append("This model has no memory, so there is no evidence to check its answer with.")
        return found
    against = add_weights(answer.evidence, "counterfactual")
    if against >= OTHER_CLASSES:
        found.append(
            f"Stored images that the model puts in other classes carry {percent(min(1, against))} "
            "of the weight."
        )
    if isinstance(answer, Explanation) and answer.reliance < LOW_RELIANCE:
        found.append(
            "The stored images had little part in this answer "
            f"({percent(answer.reliance)}): the image itself nearly decided it."
        )
    if error is None and answer.by_label:
        found.append(UNCALIBRATED)
    if len(answer.evidence) == 1:
        found.append("The answer read one stored image only.")
    return found


def say_error(error: float) -> str:
    """Put the calibrated probability of an error in words."""
    return f"By the calibration, {out_of(error)} answers like this one are wrong."


def say_calm(answer: Prediction | Explanation) -> str:
    """Say what was looked at and that nothing was found."""
    share = percent(add_weights(answer.evidence, "example"))
    return (
        f"Stored images that the model puts in the same class carry {share} of the weight. "
        "This is no proof that the answer is right."
    )


def find_remarks(answer: Prediction | Explanation, added: Mapping[int, str]) -> list[str]:
    """List facts that are no sign of doubt but that a reader should know.

    Args:
        answer: the record.
        added: names of stored images that were no training images, by their dataset index.
    """
    found = []
    error = answer.error_probability
    if error is not None and error < CAREFUL_ERROR:
        found.append(say_error(error))
    if answer.left_out:
        copies = [added[index] for index in answer.left_out if index in added]
        numbers = [str(index) for index in answer.left_out if index not in added]
        if numbers:
            more = ", ..." if len(numbers) > 5 else ""
            copies.insert(0, f"training image {', '.join(numbers[:5])}{more}")
        found.append(
            f"This very image is in the memory ({', '.join(copies)}); it was left out, so that it "
            "is not its own evidence."
        )
    return found
