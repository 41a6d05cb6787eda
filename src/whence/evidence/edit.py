"""Editing the memory: another bank from the features that are there, nothing encoded again."""

import copy
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from whence.memory.bank import Bank
from whence.models.classifier import Classifier
from whence.records.answers import Evidence


@dataclass(frozen=True)
class Stored:
    """One image of the memory, as a predicate sees it.

    Attributes:
        index: its place in the dataset that the memory was taken from.
        label: its class, None when not known.
        predicted: the model's own class for it, made with the image itself left out.
        source: the file it came from, None when not known.
    """

    index: int
    label: int | None
    predicted: int
    source: str | None


One: TypeAlias = int | str | Evidence | Callable[[Stored], bool]
Selection: TypeAlias = One | Iterable[One]


def edit(
    model: Classifier,
    *,
    remove: Selection | None = None,
    keep: Selection | None = None,
    swap: Mapping[One, Selection] | None = None,
) -> Classifier:
    """Make a model with another memory; it predicts exactly as if it had stored only that.

    Images are chosen by dataset index (int), by label (a class name, str), by an ``Evidence``
    record, by a predicate on ``Stored`` records, or by several of these in a list. ``keep`` is
    applied first, then ``remove``, then ``swap``.

    Args:
        model: with a bank.
        remove: the images to take out.
        keep: the only images to leave in.
        swap: ``{out: in}``: the images chosen by ``out`` go, those chosen by ``in`` come, out of
            all that the model has remembered, also those that an earlier edit took out; all at
            once, so that ``{3: 7, 7: 3}`` changes nothing. An image that is in the memory already
            is then there twice, and shares its weight with itself.

    Returns:
        A new model in the same mode that shares encoder and head with the old one. The own classes
        of the stored images stay what they were; an error probability is no longer given, because
        it was calibrated with the other memory.

    Raises:
        ValueError: if the model has no memory, nothing is asked for, a choice names no stored
            image, or nothing would be left.
        RuntimeError: if the bank does not fit the model.
    """
    if not model.has_memory:
        raise ValueError("A standard model has no memory to edit; edit takes one with a bank.")
    if remove is None and keep is None and not swap:
        raise ValueError("edit must be told what to remove, keep or swap, got nothing.")
    bank = model.fitting_bank()
    pool = model.pool if model.pool is not None else bank
    names = model.class_names
    if keep is not None:
        bank = bank.take(choose(bank, keep, names, "keep"))
    if remove is not None:
        bank = drop(bank, choose(bank, remove, names, "remove"), "remove")
    if swap:
        going = [choose(bank, out, names, "swap") for out in swap]
        coming = [choose(pool, new, names, "swap") for new in swap.values()]
        bank = join(bank.take(others(bank, torch.cat(going))), pool.take(torch.cat(coming)))
    edited = copy.copy(model)
    for part in ("_parameters", "_buffers", "_modules"):
        edited.__dict__[part] = dict(edited.__dict__[part])
    edited.attach(bank)
    edited.pool = pool
    return edited


def choose(bank: Bank, wanted: Selection, names: tuple[str, ...], argument: str) -> Tensor:
    """Find the places `(n,)` of the stored images that a selection names, ascending.

    Raises:
        ValueError: if a part of the selection names none.
        TypeError: if a part is of another kind.
    """
    # is_one tells one from many, which mypy cannot follow
    parts = [wanted] if is_one(wanted) else list(wanted)  # type: ignore[arg-type]
    if not parts:
        raise ValueError(f"{argument} must choose at least one stored image, got an empty list.")
    indices = [read_index(part) for part in parts]
    # an int that a tensor cannot hold is no index of an image
    named = [index for index in indices if index is not None and abs(index) < 2**63]
    device = bank.indices.device
    chosen = torch.isin(bank.indices, torch.tensor(named, dtype=torch.int64, device=device))
    stored = set(bank.indices[chosen].tolist())
    for part, index in zip(parts, indices, strict=True):
        hit = index in stored
        if index is None:
            found = match(bank, part, names, argument)
            chosen |= found
            hit = bool(found.any())
        if not hit:
            raise ValueError(describe_miss(bank, part, argument))
    return chosen.nonzero().squeeze(1)


def is_one(wanted: object) -> bool:
    """Say whether a selection is a single choice and not a collection of them."""
    if isinstance(wanted, Tensor):
        return wanted.dim() == 0
    return (
        isinstance(wanted, str | Evidence) or callable(wanted) or not isinstance(wanted, Iterable)
    )


def read_index(part: object) -> int | None:
    """Return the dataset index that a choice is, None if it is of another kind."""
    if isinstance(part, Evidence):
        return part.index
    if isinstance(part, str | bool) or callable(part):
        return None
    try:
        # what is no integer raises TypeError, which is caught
        return operator.index(part)  # type: ignore[arg-type]
    except TypeError:
        return None


def match(bank: Bank, part: object, names: tuple[str, ...], argument: str) -> Tensor:
    """Compare a class name or a predicate with every stored image; returns `(M,)` bool."""
    if isinstance(part, str):
        if part not in names:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise ValueError(f"{argument} names an unknown class {part!r}. Choose from: {shown}.")
        return bank.labels == names.index(part)
    if callable(part):
        hits = [bool(part(stored)) for stored in list_stored(bank)]
        return torch.tensor(hits, device=bank.indices.device)
    raise TypeError(
        f"{argument} must choose by index (int), class name (str), Evidence or predicate, "
        f"got {type(part).__name__}."
    )


def describe_miss(bank: Bank, part: object, argument: str) -> str:
    """Say that a choice names no stored image."""
    total = len(bank)
    if isinstance(part, str):
        return (
            f"{argument} must choose at least one stored image, none of {total} has label {part!r}."
        )
    if callable(part):
        return f"{argument} must choose at least one stored image, the predicate holds for none."
    index = part.index if isinstance(part, Evidence) else part
    some = ", ".join(map(str, bank.indices[:3].tolist()))
    return (
        f"{argument} names no stored image with index {index}; "
        f"the memory of {total} has {some}, ..."
    )


def list_stored(bank: Bank) -> list[Stored]:
    """Describe every image of a bank."""
    sources = bank.sources or (None,) * len(bank)
    columns = zip(
        bank.indices.tolist(), bank.labels.tolist(), bank.predicted.tolist(), sources, strict=True
    )
    return [
        Stored(index, None if label < 0 else label, own, at) for index, label, own, at in columns
    ]


def drop(bank: Bank, places: Tensor, argument: str) -> Bank:
    """Take the images at ``places`` `(n,)` out of a bank.

    Raises:
        ValueError: if nothing would be left.
    """
    left = others(bank, places)
    if len(left) == 0:
        raise ValueError(
            f"{argument} must leave at least one stored image, it takes out all {len(bank)}."
        )
    return bank.take(left)


def others(bank: Bank, places: Tensor) -> Tensor:
    """List all places of a bank but the given ones."""
    left = torch.ones(len(bank), dtype=torch.bool, device=places.device)
    left[places] = False
    return left.nonzero().squeeze(1)


def join(first: Bank, second: Bank) -> Bank:
    """Put two banks of the same model together."""
    images = None
    if first.images is not None and second.images is not None:
        images = torch.cat([first.images, second.images])
    sources = None
    if first.sources is not None and second.sources is not None:
        sources = first.sources + second.sources
    return Bank(
        features=torch.cat([first.features, second.features]),
        indices=torch.cat([first.indices, second.indices]),
        labels=torch.cat([first.labels, second.labels]),
        predicted=torch.cat([first.predicted, second.predicted]),
        hashes=first.hashes + second.hashes,
        images=images,
        sources=sources,
    )
