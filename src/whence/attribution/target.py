"""What of a model's logits is explained: a class, a difference of two, or any function."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whence.messages import quote

Classes: TypeAlias = int | str | Sequence[int | str] | NDArray[np.integer[Any]] | Tensor | None
TargetLike: TypeAlias = Classes | tuple[Classes, Classes] | Callable[[Tensor], Tensor]


class Target(NamedTuple):
    """One number out of the logits of each of B images."""

    of: Callable[[Tensor, Tensor], Tensor]  # logits (n, K), and of which images (n,); (n,)
    names: tuple[str, ...]  # in words, for each of the B images


def find_target(target: TargetLike, logits: Tensor, class_names: Sequence[str]) -> Target:
    """Understand what is to be explained.

    Args:
        target: None for the class of the highest logit; a class by index or name; a list, array or
            tensor of B classes; a tuple (a, b) of two of these, for logit a minus logit b; or a
            function of logits `(n, K)` that gives `(n,)`, each row for itself.
        logits: `(B, K)` of the images.
        class_names: K of them.

    Raises:
        TypeError: if the target is of no such kind.
        ValueError: if a class is not one of the K, there are not B of them, both of a pair are one,
            or the function gives something else than one number per image.
    """
    if callable(target):
        return use_function(target, logits)
    if not isinstance(target, tuple):
        classes = find_classes(target, logits, class_names)
        return Target(read_logit(classes), name_logits(classes, class_names))
    if len(target) != 2:
        raise ValueError(
            "target must be a pair (a, b) if it is a tuple; give one class per image as a list, "
            f"got {len(target)} in a tuple."
        )
    one, other = (find_classes(side, logits, class_names) for side in target)
    if torch.equal(one, other):
        twice = quote(class_names[int(one[0])])
        raise ValueError(f"target must be a pair of two classes, got {twice} twice.")
    first, second = read_logit(one), read_logit(other)
    names = (name_logits(classes, class_names) for classes in (one, other))
    return Target(
        lambda logits, rows: first(logits, rows) - second(logits, rows),
        tuple(f"{a} minus {b}" for a, b in zip(*names, strict=True)),
    )


def read_logit(classes: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Read the logit of the class `(B,)` of each image."""
    return lambda logits, rows: logits.gather(1, classes[rows.to(classes.device), None])[:, 0]


def name_logits(classes: Tensor, class_names: Sequence[str]) -> tuple[str, ...]:
    """Say in words which logits are read."""
    return tuple(f"logit of {class_names[one]}" for one in classes.tolist())


def find_classes(classes: Classes, logits: Tensor, class_names: Sequence[str]) -> Tensor:
    """Find one class per image, `(B,)`, on the device of the logits.

    Raises:
        TypeError: if they are not named by integers or names.
        ValueError: if one of them is not a class, or there are not B of them.
    """
    if classes is None:
        return logits.max(1).indices
    total = len(logits)
    if isinstance(classes, Tensor | np.ndarray):
        if classes.ndim > 1:
            raise ValueError(
                f"target must be a class or ({total},) classes, got shape {tuple(classes.shape)}."
            )
        classes = classes.tolist()
    if isinstance(classes, list | range):
        if len(classes) != total:
            raise ValueError(
                f"target must have one class per image ({total}), got {len(classes)}; "
                "a pair (a, b) is a tuple."
            )
        found = [find_class_index(one, class_names) for one in classes]
    else:
        found = [find_class_index(classes, class_names)] * total
    return torch.tensor(found, device=logits.device)


def find_class_index(one: object, class_names: Sequence[str]) -> int:
    """Find the index of a class that is given by index or name.

    Raises:
        TypeError: if it is neither.
        ValueError: if there is none of that index or name.
    """
    if isinstance(one, str):
        if one not in class_names:
            shown = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
            raise ValueError(f"Unknown target {quote(one)}. Choose from: {shown}.")
        return class_names.index(one)
    if isinstance(one, bool) or not isinstance(one, SupportsIndex):
        raise TypeError(
            "target must be None, a class, a list of classes, a pair (a, b) or a function of the "
            f"logits, got {type(one).__name__}."
        )
    place = operator.index(one)
    if not 0 <= place < len(class_names):
        raise ValueError(f"target must be in 0 to {len(class_names) - 1}, got {place}.")
    return place


def use_function(function: Callable[[Tensor], Tensor], logits: Tensor) -> Target:
    """Explain a function of the logits, once it was seen to give one number per image.

    Raises:
        ValueError: if it gives something else.
    """
    found = function(logits)
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != (len(logits),):
        raise ValueError(
            f"target must give one number per image, ({len(logits)},), from logits of shape "
            f"{tuple(logits.shape)}, got {shape}."
        )
    return Target(lambda logits, _: function(logits), ("function of the logits",) * len(logits))
