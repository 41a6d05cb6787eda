"""Choosing stored images: by index, class, file, pattern, evidence record or predicate."""

import operator
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

import torch
from torch import Tensor

from whence.data.names import compose
from whence.memory.bank import Bank
from whence.messages import quote
from whence.records.answers import Evidence, StoredImage
from whence.records.labels import list_names

One: TypeAlias = int | str | Evidence | Callable[[StoredImage], bool]
Selection: TypeAlias = One | Iterable[One]


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
            raise ValueError(describe_miss(bank, part, names, argument))
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
    """Compare a class name, a file or a predicate with every stored image; returns `(M,)` bool."""
    if isinstance(part, str):
        return bank.labels == names.index(part) if part in names else match_file(bank, part)
    if callable(part):
        everywhere = torch.arange(len(bank), device=bank.indices.device)
        hits = [bool(part(stored)) for stored in bank.stored(everywhere)]
        return torch.tensor(hits, device=bank.indices.device)
    raise TypeError(
        f"{argument} must choose by index (int), class name or file (str), Evidence or predicate, "
        f"got {type(part).__name__}."
    )


def match_file(bank: Bank, name: str) -> Tensor:
    """Compare a file name with those of the stored images, `(M,)` bool; as a pattern if none is it.

    Composed and decomposed characters are the same.
    """
    sources, name = [compose(source) for source in bank.sources or ()], compose(name)
    hits = [source == name for source in sources]
    if not any(hits):
        hits = [fnmatchcase(source, name) for source in sources]
    return torch.tensor(hits or [False] * len(bank), device=bank.indices.device)


def describe_miss(bank: Bank, part: object, names: tuple[str, ...], argument: str) -> str:
    """Say that a choice names no stored image, and what there is."""
    total = len(bank)
    if isinstance(part, str) and part in names:
        return (
            f"{argument} must choose at least one stored image, "
            f"none of {total} has label {quote(part)}."
        )
    if isinstance(part, str):
        files = "their files are not known"
        if bank.sources is not None:
            files = f"the files {list_names(bank.sources)}"
        return (
            f"{argument} names {quote(part)}, which is no class and no file of a stored image; "
            f"there are the classes {list_names(names)} and {files}."
        )
    if callable(part):
        return f"{argument} must choose at least one stored image, the predicate holds for none."
    index = part.index if isinstance(part, Evidence) else part
    some = ", ".join(map(str, bank.indices[:3].tolist()))
    return (
        f"{argument} names no stored image with index {quote(index)}; "
        f"the memory of {total} has {some}, ..."
    )


def others(bank: Bank, places: Tensor) -> Tensor:
    """List all places of a bank but the given ones."""
    left = torch.ones(len(bank), dtype=torch.bool, device=places.device)
    left[places] = False
    return left.nonzero().squeeze(1)
