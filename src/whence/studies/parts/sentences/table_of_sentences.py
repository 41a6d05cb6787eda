"""Sentences with their classes from a table of the user: label or rating, and sentence."""

import re
from pathlib import Path

import torch

from whence.data.stratify import stratified
from whence.messages import describe_failure, quote
from whence.seeds import make_generator
from whence.studies.parts.sentences.templates import Sentences

MILD = 0.5
"""Ratings nearer to 0 than this are of neither side."""

RATED = ("negative", "positive")
TESTED_SHARE = 0.2
TOKEN = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def read_sentences(path: str) -> Sentences:
    """Read a table without header: columns label and sentence, or number, label and sentence.

    Labels that are all numbers are ratings: above 0 is positive, below 0 negative, and those
    nearer to 0 than ``MILD`` are left out. Other labels are the names of classes.

    Args:
        path: of a text file in UTF-8 with tabs between the columns.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no such table, or holds fewer than two classes.
    """
    try:
        lines = Path(path).expanduser().read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} must be a table of sentences, there is no such file."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} must be a text file of sentences in UTF-8: {describe_failure(error)}."
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        if len(fields) not in (2, 3) or not split_words(fields[-1]):
            raise ValueError(
                f"{path}, line {number}, must be label, tab, sentence, got {quote(line)}."
            )
        rows.append((fields[-2].strip(), split_words(fields[-1])))
    labels = [label for label, _ in rows]
    ratings = read_ratings(labels)
    if ratings is not None:
        rows = [row for row, one in zip(rows, ratings, strict=True) if abs(one) >= MILD]
        labels = [RATED[one > 0] for one in ratings if abs(one) >= MILD]
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise ValueError(
            f"{path} must hold sentences of at least two classes, got {quote(list(names))}."
        )
    return Sentences(
        tuple(words for _, words in rows), torch.tensor([names.index(one) for one in labels]), names
    )


def read_ratings(labels: list[str]) -> list[float] | None:
    """Read labels as ratings; None if one of them is no number.

    >>> read_ratings(["1", "-2.5"]), read_ratings(["1", "bad"])
    ([1.0, -2.5], None)
    """
    try:
        return [float(label) for label in labels]
    except ValueError:
        return None


def split_words(text: str) -> tuple[str, ...]:
    """Divide a sentence into words and signs, all in small letters.

    >>> split_words("It isn't dull!")
    ('it', "isn't", 'dull', '!')
    """
    return tuple(TOKEN.findall(text.lower()))


def divide_sentences(known: Sentences, *, seed: int) -> tuple[Sentences, Sentences]:
    """Divide sentences into four fifths to learn from and a fifth to be asked about.

    Raises:
        ValueError: if that leaves none to be asked about.
    """
    count = round(len(known.words) * TESTED_SHARE)
    classes = len(known.class_names)
    if count < classes or len(known.words) - count < 2 * classes:
        raise ValueError(
            f"the table must hold at least {5 * classes} sentences, got {len(known.words)}."
        )
    drawn = stratified(known.labels, count, generator=make_generator(seed)).tolist()
    asked = set(drawn)
    rest = [place for place in range(len(known.words)) if place not in asked]
    order = torch.randperm(len(rest), generator=make_generator(seed)).tolist()
    return known.take_sentences([rest[one] for one in order]), known.take_sentences(drawn)
