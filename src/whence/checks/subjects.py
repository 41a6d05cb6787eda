"""A model is asked what its expectations are about, each set of images once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.checks.expectations import Expectation, refuse_unknown_classes
from whence.checks.judging import judge_expectation
from whence.checks.rule import AskedAnswers
from whence.evidence.choose_stored import choose
from whence.evidence.edit import edit
from whence.evidence.predict import predict
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.answers import Prediction
from whence.records.checked import Checks


@dataclass(frozen=True, eq=False)
class Subject:
    """Images that expectations are about.

    Attributes:
        names: what each is called.
        images: `(N, C, H, W)`.
        truths: their classes by index, None where not known.
    """

    names: Sequence[str]
    images: Tensor
    truths: Sequence[int | None]


FindSubject = Callable[[Expectation], Subject]
FindGroup = Callable[[str], frozenset[str]]
"""Of a group's name to its files."""


def ask_model(
    model: Classifier,
    items: Sequence[Expectation],
    find_subject: FindSubject,
    find_group: FindGroup,
    *,
    batch_size: int = BATCH_SIZE,
) -> Checks:
    """Ask a model about all that is expected of it.

    Args:
        model: in eval mode, with its memory.
        items: what is expected.
        find_subject: the images of an expectation.
        find_group: the files of a group.
        batch_size: images encoded at once.

    Raises:
        ValueError: if a class or a group is unknown, or a rule needs a memory that is not there.
        FileNotFoundError: if images are not there.
    """
    refuse_unknown_classes(items, model.class_names)
    asked: dict[object, tuple[Subject, tuple[Prediction, ...]]] = {}
    found = []
    for one in items:
        key = one.image, one.test, one.data
        if key not in asked:
            subject = find_subject(one)
            asked[key] = subject, predict(model, subject.images, batch_size=batch_size)
        subject, predictions = asked[key]
        chosen = choose_stored(model, one, find_group)
        without: tuple[Prediction, ...] = ()
        if one.rule == "unchanged_without" and chosen:
            rest = edit(model, remove=lambda stored, gone=chosen: stored.index in gone)
            without = predict(rest, subject.images, batch_size=batch_size)
        answered = AskedAnswers(
            subject.names, predictions, subject.truths, model.class_names, chosen, without
        )
        found.append(judge_expectation(one, answered))
    return Checks(tuple(found))


def choose_stored(model: Classifier, one: Expectation, find_group: FindGroup) -> frozenset[int]:
    """Find the dataset indices of the stored images that an expectation names.

    Where no evidence may come from a folder that stores nothing any more, nothing is found.

    Raises:
        ValueError: if it names none of them, or the model has no memory.
    """
    if "stored" not in one.keys and "group" not in one.keys:
        return frozenset()
    if not model.has_memory:
        raise ValueError(f"{one.where}: {one.rule} needs a memory, and a standard model has none.")
    bank = model.checked_bank()
    if "group" in one.keys:
        files = find_group(one.keys["group"])
        pairs = zip(bank.indices.tolist(), bank.sources or [""] * len(bank), strict=True)
        chosen = frozenset(index for index, source in pairs if source in files)
    else:
        chosen = find_stored(model, one)
    if not chosen and one.rule == "unchanged_without":
        name = one.keys.get("group", one.keys.get("stored"))
        raise ValueError(f"{one.where}: no stored image is in {quote(name)}.")
    return chosen


def find_stored(model: Classifier, one: Expectation) -> frozenset[int]:
    """Find stored images by a class, a file or a pattern of files."""
    bank = model.checked_bank()
    try:
        places = choose(bank, one.keys["stored"], model.class_names, "stored")
    except ValueError:  # it names none
        return frozenset()
    return frozenset(bank.indices[places].tolist())
