"""Labels and class names as people hold them, brought to one form or refused."""

import operator
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from whence.kinds import check_kind
from whence.messages import quote, shorten_text

MOST_CLASSES = 100_000

NAMED = 5
"""Class names that a message lists."""


def read_class_names(classes: object) -> tuple[str, ...]:
    """Bring class names to a tuple; a number of classes K names them "0" to "K-1".

    Args:
        classes: K, or names in the order of the labels.

    Raises:
        ValueError: if there are under two, or a name is empty, unprintable, or there twice.
        TypeError: if they are neither a number nor names.

    >>> read_class_names(3), read_class_names(["cat", "dog"])
    (('0', '1', '2'), ('cat', 'dog'))
    """
    check_kind("classes", classes, (int, Iterable))
    if isinstance(classes, Iterable):
        names = tuple(classes)
    else:
        total = operator.index(classes)  # type: ignore[arg-type]  # a whole number, as checked
        if total > MOST_CLASSES:
            raise ValueError(f"classes must be at most {MOST_CLASSES}, got {total}.")
        names = tuple(map(str, range(total)))
    problem = find_problem_of_names(names)
    if problem is not None:
        raise ValueError(f"classes must be {problem}.")
    return names


def find_problem_of_names(names: Sequence[object]) -> str | None:
    """Say what class names must be and what came, as a clause; None where nothing is wrong."""
    for place, name in enumerate(names):
        if not isinstance(name, str):
            return f"named by text, got {quote(name)} for class {place}"
        if not name.strip():
            return f"named by text that is not empty, got {quote(name)} for class {place}"
        if not name.isprintable():
            return f"named by printable text, got {quote(name)} for class {place}"
    if not 2 <= len(names) <= MOST_CLASSES:
        return f"2 to {MOST_CLASSES} different names, got {len(names)}"
    seen: set[object] = set()
    for name in names:
        if name in seen:
            return f"2 to {MOST_CLASSES} different names, got {quote(name)} twice"
        seen.add(name)
    return None


def read_labels(
    labels: object,
    class_names: Sequence[str],
    total: int,
    *,
    least: int = 0,
) -> Tensor:
    """Bring labels to `(N,)` int64; int64 tensors that are fine pass as they are.

    Args:
        labels: `(N,)` tensor, array or list of class indices, of any kind of whole number, or of
            class names.
        class_names: what the indices, or names, stand for.
        total: N.
        least: the smallest index: 0, or -1 where an image may be without a label.

    Raises:
        ValueError: if there are more or fewer labels, one is none of the classes, or is not whole.
        TypeError: if they are neither numbers nor names.
    """
    found = labels
    if not isinstance(labels, Tensor | np.ndarray):
        found = _look_up(labels, class_names)
    elif isinstance(labels, np.ndarray) and labels.dtype.kind not in "biuf":
        found = _look_up(labels.tolist(), class_names)
    shape = tuple(found.shape) if isinstance(found, Tensor | np.ndarray) else ()
    if len(shape) == 2 and shape[1] == len(class_names):
        raise ValueError(
            f"labels must be ({total},), got shape {shape}; name the classes by index, with "
            "labels.argmax(1)."
        )
    whole = read_whole_numbers("labels", found, total)
    if total == 0:
        return whole
    low, high = int(whole.min()), int(whole.max())
    if low < least or high >= len(class_names):
        hint = "; count classes from 0, with labels - 1" if high == len(class_names) else ""
        raise ValueError(
            f"labels must be in {least} to {len(class_names) - 1}, got {low} to {high}{hint}."
        )
    return whole


def _look_up(labels: object, class_names: Sequence[str]) -> object:
    """Replace names of classes by their indices; a list without names stays as it is."""
    if not isinstance(labels, Iterable) or isinstance(labels, str):
        raise TypeError(f"labels must be a tensor, an array or a list, got {quote(labels)}.")
    values = list(labels)
    if not any(isinstance(one, str) for one in values):
        return values
    places = {name: place for place, name in enumerate(class_names)}
    unknown = next((one for one in values if one not in places), None)
    if unknown is not None:
        raise ValueError(
            f"labels must be names of classes ({list_names(class_names)}), got {quote(unknown)}."
        )
    return [places[one] for one in values]


def read_whole_numbers(name: str, values: object, total: int) -> Tensor:
    """Bring whole numbers of any type to `(N,)` int64; int64 tensors pass as they are.

    Args:
        name: of the argument, for messages.
        values: `(N,)` tensor, array or list.
        total: N.

    Raises:
        ValueError: if there are more or fewer, or one is not whole.
        TypeError: if they are no numbers.
    """
    if isinstance(values, Tensor):
        found = values
    else:
        listed = values if isinstance(values, np.ndarray) else _unpack(name, values)
        try:
            array = np.asarray(listed)
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"{name} must be ({total},) numbers ({error}).") from error
        if array.size and array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be whole numbers, got {quote(array.flat[0])}.")
        kind = np.float64 if array.size and array.dtype.kind == "f" else np.int64
        found = torch.tensor(array.astype(kind))
    if tuple(found.shape) != (total,):
        shape = tuple(found.shape)
        raise ValueError(f"{name} must be ({total},), one for each image, got shape {shape}.")
    if found.is_complex():
        raise TypeError(f"{name} must be whole numbers, got {found.dtype}.")
    if found.is_floating_point():
        whole = (found == found.round()) & found.isfinite()
        if not bool(whole.all()):
            raise ValueError(f"{name} must be whole numbers, got {float(found[~whole][0]):g}.")
    return found.to(torch.int64)


def _unpack(name: str, values: object) -> list[object]:
    """List numbers, also those that come as tensors of one number each."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise TypeError(f"{name} must be a tensor, an array or a list, got {quote(values)}.")
    return [one.item() if isinstance(one, Tensor) and one.ndim == 0 else one for one in values]


def list_names(names: Iterable[str]) -> str:
    """List the first names, none longer than 40 characters."""
    listed = list(names)
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in listed[:NAMED]]
    return shorten_text(", ".join(shown) + (", ..." if len(listed) > NAMED else ""))


def check_every_label(name: str, labels: Tensor, class_names: Sequence[str]) -> None:
    """Refuse labels among which a class has none, where stored images vote for their labels.

    Args:
        name: of the argument.
        labels: `(N,)` int64, 0 or more.
        class_names: K names.

    Raises:
        ValueError: naming the classes.
    """
    counts = labels.bincount(minlength=len(class_names)).tolist()
    missing = [one for one, count in zip(class_names, counts, strict=True) if count == 0]
    if missing:
        raise ValueError(
            f"{name} must hold an image of every class, because votes never answer a class that no "
            f"stored image carries, and none is of {list_names(missing)}; add images of it, or "
            "leave the class out of class_names."
        )
