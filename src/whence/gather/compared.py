"""Two runs asked about the same images, gathered for a page."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.evidence.predict import predict
from whence.gather.drift import (
    compare_distances,
    nearest_of_images,
    nearest_of_stored,
    share_beyond,
)
from whence.gather.explained import find_places
from whence.memory.bank import Bank
from whence.metrics.flag import auroc, expected_calibration_error
from whence.models.classifier import Classifier
from whence.records.answers import Prediction
from whence.records.compared import (
    Compared,
    ComparedAnswer,
    Drift,
    MovedImage,
    RunSide,
    ShownAnswer,
)
from whence.records.labels import list_names
from whence.records.picture import to_uint8

Key = TypeVar("Key", int, str)

LISTED_MOVES = 24
"""Stored images that came, or went, that are listed."""

CHANGED = 12
"""Changed answers that are shown with pictures."""

TOP_SHOWN = 2
"""Stored images of each run that are shown with a changed answer."""


def compare_runs(
    models: Mapping[str, Classifier],
    images: Tensor | Sequence[Tensor],
    names: Sequence[str],
    truths: Sequence[int | None],
    *,
    data: str,
    tested: Sequence[Tensor | None] = (None, None),
    batch_size: int = BATCH_SIZE,
) -> Compared:
    """Compare the answers, evidence and doubt of two models on the same images.

    Args:
        models: one or two by the name of their run, of the same classes.
        images: `(N, C, H, W)` for both, or one such tensor for each, of its own size.
        names: what the images are called.
        truths: their classes by index of the first model, None where not known.
        data: name of the set.
        tested: the own test images of each run, for comparison; None where they are not there.
        batch_size: images encoded at once.

    Raises:
        ValueError: if the classes are not the same.
    """
    runs, parts = list(models), list(models.values())
    pixels = [images] * len(parts) if isinstance(images, Tensor) else list(images)
    classes = parts[0].class_names
    tables = [match_order(classes, run, model.class_names) for run, model in models.items()]
    both = [
        [in_order(one, table) for one in predict(model, part, batch_size=batch_size)]
        for model, part, table in zip(parts, pixels, tables, strict=True)
    ]
    sides = tuple(
        measure_side(run, model, answers, truths, len(classes))
        for run, model, answers in zip(runs, parts, both, strict=True)
    )
    drift = [
        measure_drift(run, model, part, answers, own, batch_size=batch_size)
        for run, model, part, answers, own in zip(runs, parts, pixels, both, tested, strict=False)
        if model.has_memory
    ]
    found = Compared(data, classes, sides, drift=tuple(drift))
    if len(parts) == 1:
        return found
    keys = [key_of(model.bank, other.bank) for model, other in (parts, parts[::-1])]
    answers = tuple(
        compare_answers(place, name, truth, (both[0][place], both[1][place]), keys)
        for place, (name, truth) in enumerate(zip(names, truths, strict=True))
    )
    changed = [one for one in answers if one.answers[0] != one.answers[1]]
    changed.sort(key=lambda one: -min(one.shares))
    shown = tuple(show_changed(one, pixels[0], both, parts) for one in changed[:CHANGED])
    went, came = (
        list_moved(parts[here], both[here], keys[here], set(keys[1 - here].values()), tables[here])
        for here in (0, 1)
    )
    relabelled = list_relabelled(parts, both[1], keys, tables)
    return replace(
        found,
        answers=answers,
        shown=shown,
        came=tuple(came[:LISTED_MOVES]),
        went=tuple(went[:LISTED_MOVES]),
        relabelled=tuple(relabelled[:LISTED_MOVES]),
        came_count=len(came),
        went_count=len(went),
        relabelled_count=len(relabelled),
        both=len(keys[0]) - len(went),
    )


def match_order(names: Sequence[str], run: str, other: Sequence[str]) -> list[int]:
    """Find for each class of a run its place among the classes of the first one.

    Raises:
        ValueError: if they are not the same, with those that differ.
    """
    alone = [[one for one in names if one not in other], [one for one in other if one not in names]]
    if any(alone):
        sides = [
            f"{side} alone has {list_names(some)}"
            for side, some in zip(("the first", run), alone, strict=True)
            if some
        ]
        raise ValueError(f"Both runs must have the same classes, {' and '.join(sides)}.")
    return [names.index(one) for one in other]


def in_order(answer: Prediction, table: list[int]) -> Prediction:
    """Name the classes of an answer by their places in the first run."""
    if table == sorted(table):
        return answer
    shares = torch.empty_like(answer.probabilities)
    shares[table] = answer.probabilities
    evidence = tuple(
        replace(
            one,
            label=None if one.label is None else table[one.label],
            predicted=table[one.predicted],
        )
        for one in answer.evidence
    )
    return replace(
        answer, predicted=table[answer.predicted], probabilities=shares, evidence=evidence
    )


def measure_side(
    run: str,
    model: Classifier,
    answers: Sequence[Prediction],
    truths: Sequence[int | None],
    classes: int,
) -> RunSide:
    """Measure one of the runs on the images whose labels are known."""
    known = [(one, truth) for one, truth in zip(answers, truths, strict=True) if truth is not None]
    hits = [one.predicted == truth for one, truth in known]
    recalls = []
    for place in range(classes):
        own = [hit for hit, (_, truth) in zip(hits, known, strict=True) if truth == place]
        recalls += [statistics.fmean(own)] if own else []
    doubts = [one.error_probability for one in answers if one.error_probability is not None]
    area = error = None
    if known and len(doubts) == len(answers):
        given = torch.tensor([float(one.error_probability or 0) for one, _ in known])
        wrong = ~torch.tensor(hits)
        area = auroc(given.double(), wrong)
        error = expected_calibration_error(given.double(), wrong)
    return RunSide(
        run=run,
        stored=0 if model.bank is None else len(model.bank),
        accuracy=statistics.fmean(hits) if hits else None,
        balanced_accuracy=statistics.fmean(recalls) if recalls else None,
        doubt=statistics.fmean(doubts) if len(doubts) == len(answers) and doubts else None,
        errors=1 - statistics.fmean(hits) if hits else None,
        auroc=area,
        calibration_error=error,
    )


def measure_drift(
    run: str,
    model: Classifier,
    images: Tensor,
    answers: Sequence[Prediction],
    tested: Tensor | None,
    *,
    batch_size: int,
) -> Drift:
    """Measure how far images are from what a run has stored."""
    stored = nearest_of_stored(model, batch_size=batch_size)
    near = nearest_of_images(model, images, batch_size=batch_size)
    own = None
    if tested is not None and len(tested):
        own = nearest_of_images(model, tested, batch_size=batch_size)
    chance, p_value = compare_distances(near, stored if own is None else own)
    doubts = [one.error_probability for one in answers if one.error_probability is not None]
    known = model.calibration
    return Drift(
        run=run,
        images=len(images),
        beyond=share_beyond(near, stored),
        control=None if own is None else share_beyond(own, stored),
        auroc=chance,
        p_value=p_value,
        doubt=statistics.fmean(doubts) if doubts else None,
        usual=None if known is None else known.errors / known.images,
    )


def key_of(bank: Bank | None, other: Bank | None) -> dict[int, str]:
    """Find what each stored image, by its index, is known by in both runs.

    That is its pixels where both runs see images at the same size, else its file.
    """
    if bank is None:
        return {}
    names: Sequence[str] = bank.hashes
    sizes = [None if b is None or b.images is None else b.images.shape[1:] for b in (bank, other)]
    if other is not None and sizes[0] != sizes[1] and bank.sources and other.sources:
        names = bank.sources
    return dict(zip(bank.indices.tolist(), names, strict=True))


def compare_answers(
    place: int,
    name: str,
    truth: int | None,
    pair: tuple[Prediction, Prediction],
    keys: Sequence[Mapping[int, str]],
) -> ComparedAnswer:
    """Lay the answers of two runs to one image side by side."""
    first, second = pair
    return ComparedAnswer(
        place=place,
        name=name,
        truth=truth,
        answers=(first.predicted, second.predicted),
        shares=(share_of(first), share_of(second)),
        doubts=(first.error_probability, second.error_probability),
        shared=share_weight(pair, keys) if keys[0] and keys[1] else None,
    )


def share_of(answer: Prediction) -> float:
    """Return the probability of the answer."""
    return float(answer.probabilities[answer.predicted])


def share_weight(pair: Sequence[Prediction], keys: Sequence[Mapping[int, str]]) -> float:
    """Sum, over the stored images of both answers, the smaller of their two weights."""
    first, second = (
        add_up((known[one.index], one.weight) for one in answer.evidence)
        for answer, known in zip(pair, keys, strict=True)
    )
    return min(1.0, sum(min(weight, second.get(key, 0.0)) for key, weight in first.items()))


def add_up(pairs: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    """Add up numbers by their keys."""
    found: dict[Key, float] = {}
    for key, weight in pairs:
        found[key] = found.get(key, 0.0) + weight
    return found


def show_changed(
    one: ComparedAnswer,
    images: Tensor,
    both: Sequence[Sequence[Prediction]],
    models: Sequence[Classifier],
) -> ShownAnswer:
    """Collect the pictures of a changed answer."""
    evidence = []
    for answers, model in zip(both, models, strict=True):
        places = {} if model.bank is None else find_places(model.bank)
        top = answers[one.place].evidence[:TOP_SHOWN]
        pixels = None if model.bank is None else model.bank.images
        evidence.append(
            tuple(
                (item, None if pixels is None else to_uint8(pixels[places[item.index]]))
                for item in top
            )
        )
    return ShownAnswer(one, to_uint8(images[one.place]), tuple(evidence))


def list_relabelled(
    models: Sequence[Classifier],
    answers: Sequence[Prediction],
    keys: Sequence[Mapping[int, str]],
    tables: Sequence[list[int]],
) -> list[MovedImage]:
    """List the stored images of both runs that have another label in the second, most used first.

    Args:
        models: of both runs.
        answers: of the second one.
        keys: of both, what their stored images are known by.
        tables: of both, the places of their classes among those of the first.
    """
    before, after = (
        list_moved(model, answers, known, set(), table)
        for model, known, table in zip(models, keys, tables, strict=True)
    )
    first: dict[str, set[int | None]] = {}  # one image may be stored twice
    for one in before:
        first.setdefault(keys[0][one.index], set()).add(one.label)
    found = []
    for one in after:
        labels = first.get(keys[1][one.index], {one.label})
        if one.label not in labels and None not in labels:
            found.append(replace(one, was=min(label for label in labels if label is not None)))
    return found


def list_moved(
    model: Classifier,
    answers: Sequence[Prediction],
    keys: Mapping[int, str],
    others: set[str],
    table: list[int],
) -> list[MovedImage]:
    """List the stored images of a run that the other one has not, the most used first."""
    bank = model.bank
    if bank is None:
        return []
    used = add_up((one.index, one.weight) for answer in answers for one in answer.evidence)
    places = torch.arange(len(bank), device=bank.indices.device)
    found = [
        MovedImage(
            file=one.source,
            index=one.index,
            label=None if one.label is None else table[one.label],
            weight=used.get(one.index, 0.0),
            image=None if bank.images is None else to_uint8(bank.images[place]),
        )
        for place, one in enumerate(bank.stored(places))
        if keys[one.index] not in others
    ]
    return sorted(found, key=lambda one: (-one.weight, one.index))
