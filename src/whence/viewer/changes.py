"""What a person changes in a memory, step by step, and the memory that comes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from whence.evidence.choose_stored import One
from whence.evidence.edit import edit
from whence.memory.bank import Bank
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.records.labels import list_names

ChangeKind = Literal[
    "untick", "tick", "untick_class", "untick_files", "relabel", "pin", "unpin", "add"
]


@dataclass(frozen=True)
class MemoryChange:
    """One step of a person.

    Attributes:
        kind: what it does.
        index: dataset index of the stored image, for "untick", "tick", "relabel", "pin", "unpin".
        label: a class, for "untick_class", "relabel" and "add".
        pattern: of files, such as "cat/*", for "untick_files".
        upload: number of the image at hand, for "add".
    """

    kind: ChangeKind
    index: int | None = None
    label: str | None = None
    pattern: str | None = None
    upload: int | None = None


@dataclass(frozen=True)
class EditedMemory:
    """What all steps together come to.

    Attributes:
        removed: dataset indices that are out of the memory.
        labels: new labels by dataset index.
        pinned: dataset indices that classes and patterns do not take out.
        added: numbers of the images at hand that come, with their labels, in order.
    """

    removed: frozenset[int] = frozenset()
    labels: Mapping[int, str] = field(default_factory=dict)
    pinned: frozenset[int] = frozenset()
    added: tuple[tuple[int, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether the memory is what it was."""
        return not (self.removed or self.labels or self.added)


def take_step(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Take one step.

    Args:
        standing: of the steps before.
        change: the step.
        bank: the memory as it was saved.
        names: of the classes.

    Raises:
        ValueError: if it names no stored image, no class, no file, or leaves nothing.
    """
    if change.label is not None and change.label not in names:
        raise ValueError(f"Unknown class {quote(change.label)}; the run has {list_names(names)}.")
    if change.index is not None:
        known_index(change, bank)
    found = TAKEN[change.kind](standing, change, bank, names)
    if len(found.removed) >= len(bank) + len(found.added):
        raise ValueError("At least one stored image must stay in the memory.")
    return found


def untick(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Take one image out, also one that is pinned, which then is not any more."""
    gone = {known_index(change, bank)}
    return replace(standing, removed=standing.removed | gone, pinned=standing.pinned - gone)


def tick(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Take one image in again."""
    return replace(standing, removed=standing.removed - {known_index(change, bank)})


def untick_many(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Take all images of a class or a pattern of files out, but those that are pinned."""
    gone = find_named(change, bank, names, standing.labels) - standing.pinned
    return replace(standing, removed=standing.removed | gone)


def relabel(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Give one image another label, or its saved one again."""
    place, label = known_index(change, bank), given_label(change)
    labels = {index: one for index, one in standing.labels.items() if index != place}
    if label != stored_label(bank, place, names):
        labels[place] = label
    return replace(standing, labels=labels)


def pin(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Keep one image in, whatever classes and patterns say."""
    kept = {known_index(change, bank)}
    return replace(standing, removed=standing.removed - kept, pinned=standing.pinned | kept)


def unpin(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Let one image go with its class or its files again."""
    return replace(standing, pinned=standing.pinned - {known_index(change, bank)})


def add(
    standing: EditedMemory, change: MemoryChange, bank: Bank, names: Sequence[str]
) -> EditedMemory:
    """Let the image at hand come."""
    if change.upload is None:
        raise ValueError("An image that is added must be one that you chose; choose one.")
    return replace(standing, added=(*standing.added, (change.upload, given_label(change))))


TakeStep = Callable[[EditedMemory, MemoryChange, Bank, Sequence[str]], EditedMemory]

TAKEN: Mapping[ChangeKind, TakeStep] = {
    "untick": untick,
    "tick": tick,
    "untick_class": untick_many,
    "untick_files": untick_many,
    "relabel": relabel,
    "pin": pin,
    "unpin": unpin,
    "add": add,
}
"""What each kind of step does."""


def known_index(change: MemoryChange, bank: Bank) -> int:
    """Return the dataset index of a step.

    Raises:
        ValueError: if no stored image has it.
    """
    if change.index is None or not bool((bank.indices == change.index).any()):
        raise ValueError(f"The memory holds no training image {change.index}.")
    return change.index


def given_label(change: MemoryChange) -> str:
    """Return the class of a step.

    Raises:
        ValueError: if it has none.
    """
    if change.label is None:
        raise ValueError("This change needs a class; choose one.")
    return change.label


def stored_label(bank: Bank, index: int, names: Sequence[str]) -> str | None:
    """Name the saved label of a stored image; None where it has none."""
    label = int(bank.labels[bank.indices == index][0])
    return None if label < 0 else names[label]


def find_named(
    change: MemoryChange, bank: Bank, names: Sequence[str], labels: Mapping[int, str]
) -> set[int]:
    """Find the dataset indices that a class or a pattern of files names.

    Raises:
        ValueError: if there are none.
    """
    indices = bank.indices.tolist()
    if change.kind == "untick_class":
        wanted = given_label(change)
        saved = [None if one < 0 else names[one] for one in bank.labels.tolist()]
        found = {
            index
            for index, label in zip(indices, saved, strict=True)
            if labels.get(index, label) == wanted
        }
        if not found:
            raise ValueError(f"No stored image has the label {quote(wanted)}.")
        return found
    if bank.sources is None:
        raise ValueError("The stored images of this run have no file names.")
    pattern = change.pattern or ""
    found = {
        index
        for index, name in zip(indices, bank.sources, strict=True)
        if fnmatchcase(name, pattern)
    }
    if not found:
        raise ValueError(f"No stored image has a file like {quote(pattern)}.")
    return found


def apply_standing(
    model: Classifier, standing: EditedMemory, uploads: Mapping[int, Tensor], *, batch_size: int
) -> Classifier:
    """Make the model with the memory that a person made; it encodes what was added, nothing else.

    Args:
        model: of the run, with its bank.
        standing: what all steps come to.
        uploads: `(C, H, W)` images at hand by their number.
        batch_size: images encoded at once.
    """
    if standing.is_empty:
        return model
    if standing.added:
        given = ImageSet(
            torch.stack([uploads[number] for number, _ in standing.added]),
            torch.tensor([model.class_names.index(label) for _, label in standing.added]),
            model.class_names,
        )
        model = edit(model, add=given, batch_size=batch_size)
    if standing.labels:
        labels: dict[One, int | str] = dict(standing.labels.items())
        model = edit(model, relabel=labels, batch_size=batch_size)
    if standing.removed:
        model = edit(model, remove=sorted(standing.removed), batch_size=batch_size)
    return model


def describe_change(change: MemoryChange, bank: Bank, brought: Mapping[int, str]) -> str:
    """Say one step in words.

    Args:
        change: the step.
        bank: the memory as it was saved.
        brought: names of the images at hand, by their number.
    """
    what = "" if change.upload is None else brought[change.upload]
    if change.index is not None:
        what = f"training image {change.index}"
        if bank.sources is not None:
            place = int((bank.indices == change.index).nonzero()[0])
            what = bank.sources[place]
    texts = {
        "untick": f"left out {what}",
        "tick": f"took {what} in again",
        "untick_class": f"left out all labelled {change.label}",
        "untick_files": f"left out all files like {change.pattern}",
        "relabel": f"labelled {what} {change.label}",
        "pin": f"pinned {what}",
        "unpin": f"unpinned {what}",
        "add": f"added {what} as {change.label}",
    }
    return texts[change.kind]
