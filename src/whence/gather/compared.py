"""Two runs asked about the same images, gathered for a page."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

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
    classes = next(iter(models.values())).class_names
    pixels = [images] * len(models) if isinstance(images, Tensor) else list(images)
    asked = [
        ask_run(run, model, part, classes, batch_size=batch_size)
        for (run, model), part in zip(models.items(), pixels, strict=True)
    ]
    drift = [
        measure_drift(one.run, one.model, one.images, one.answers, own, batch_size=batch_size)
        for one, own in zip(asked, tested, strict=False)
        if one.model.has_memory
    ]
    sides = tuple(
        measure_side(one.run, one.model, one.answers, truths, len(classes)) for one in asked
    )
    found = Compared(data, classes, sides, drift=tuple(drift))
    return found if len(asked) == 1 else add_changes(found, asked, names, truths)


class AskedRun(NamedTuple):
    """A run that was asked about all images.

    Attributes:
        run: its name.
        model: of it.
        images: `(N, C, H, W)` as it sees them.
        answers: to each, with the classes in the order of the first run.
        table: the places of its own classes in that order.
    """

    run: str
    model: Classifier
    images: Tensor
    answers: Sequence[Prediction]
    table: list[int]


def ask_run(
    run: str, model: Classifier, images: Tensor, classes: Sequence[str], *, batch_size: int
) -> AskedRun:
    """Ask a run about images `(N, C, H, W)`.

    Raises:
        ValueError: if its classes are others.
    """
    table = match_order(classes, run, model.class_names)
    answers = [in_order(one, table) for one in predict(model, images, batch_size=batch_size)]
    return AskedRun(run, model, images, answers, table)


def add_changes(
    found: Compared,
    asked: Sequence[AskedRun],
    names: Sequence[str],
    truths: Sequence[int | None],
) -> Compared:
    """Add what differs between two runs: answers, and the stored images that they read.

    Args:
        found: what is known of each alone.
        asked: both runs.
        names: of the `N` images.
        truths: their classes, None where not known.
    """
    first, second = asked
    keys = [key_of(one.model.bank, other.model.bank) for one, other in (asked, asked[::-1])]
    answers = tuple(
        compare_answers(place, name, truth, pair, keys)
        for place, (name, truth, pair) in enumerate(
            zip(names, truths, zip(first.answers, second.answers, strict=True), strict=True)
        )
    )
    changed = [one for one in answers if one.answers[0] != one.answers[1]]
    changed.sort(key=lambda one: -min(one.shares))
    went = list_moved(first, first.answers, keys[0], set(keys[1].values()))
    came = list_moved(second, second.answers, keys[1], set(keys[0].values()))
    relabelled = list_relabelled(asked, keys)
    return replace(
        found,
        answers=answers,
        shown=tuple(show_changed(one, asked) for one in changed[:CHANGED]),
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


def show_changed(one: ComparedAnswer, asked: Sequence[AskedRun]) -> ShownAnswer:
    """Collect the pictures of a changed answer."""
    evidence = []
    for run in asked:
        bank = run.model.bank
        places = {} if bank is None else find_places(bank)
        pixels = None if bank is None else bank.images
        evidence.append(
            tuple(
                (item, None if pixels is None else to_uint8(pixels[places[item.index]]))
                for item in run.answers[one.place].evidence[:TOP_SHOWN]
            )
        )
    return ShownAnswer(one, to_uint8(asked[0].images[one.place]), tuple(evidence))


def list_relabelled(
    asked: Sequence[AskedRun], keys: Sequence[Mapping[int, str]]
) -> list[MovedImage]:
    """List the stored images of both runs that have another label in the second, most used first.

    Args:
        asked: both runs; the answers of the second say what is used.
        keys: of both, what their stored images are known by.
    """
    before, after = (
        list_moved(one, asked[1].answers, known, set())
        for one, known in zip(asked, keys, strict=True)
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
    asked: AskedRun, answers: Sequence[Prediction], keys: Mapping[int, str], others: set[str]
) -> list[MovedImage]:
    """List the stored images of a run that the other one has not, the most used first.

    Args:
        asked: the run.
        answers: in which their weights are added up.
        keys: what its stored images are known by.
        others: what those of the other run are known by.
    """
    bank, table = asked.model.bank, asked.table
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
