"""Draw whole groups of images, so that no module, patient or batch is on both sides."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from whence.messages import quote
from whence.shapes import check_shape

SEEDS = 2**32
"""Seeds of NumPy's random states, which divide groups, are below this."""


def list_groups(groups: Sequence[object] | Tensor, total: int) -> list[str]:
    """List the name of the group of each of so many stored images.

    Raises:
        ValueError: if they are more, or fewer.
    """
    listed = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    if len(listed) != total:
        raise ValueError(
            f"groups must name the group of each of {total} stored images, got {len(listed)}."
        )
    return list(map(str, listed))


def number_groups(groups: Sequence[str]) -> Tensor:
    """Number groups from 0 on, in the order in which they come; `(N,)` int64.

    >>> number_groups(["b", "a", "b"])
    tensor([0, 1, 0])
    """
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(one, len(first)) for one in groups], dtype=torch.int64)


def divide_groups(labels: Tensor, groups: Tensor, parts: int, *, seed: int) -> Tensor:
    """Divide images into parts of about equal size and classes that no group is divided between.

    By scikit-learn's ``StratifiedGroupKFold``.

    Args:
        labels: `(N,)` classes.
        groups: `(N,)` number of the group of each.
        parts: at least 2.
        seed: of the order in which groups are given away.

    Returns:
        `(N,)` int64, the part of each in 0 .. parts-1.

    Raises:
        ValueError: if there are fewer groups than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # late: most images have no groups

    total = check_shape("labels", labels, "N")["N"]
    check_shape("groups", groups, "N", N=total)
    count = len(groups.unique())
    if count < parts:
        raise ValueError(
            f"groups must be at least {parts} to be divided into {parts} parts, got {count}; "
            "no group is divided."
        )
    divider = StratifiedGroupKFold(parts, shuffle=True, random_state=seed % SEEDS)
    found = torch.empty(total, dtype=torch.int64)
    with warnings.catch_warnings():  # of all threads, for a moment: scikit-learn has no switch
        warnings.simplefilter("ignore", UserWarning)  # a class rarer than parts; ours to judge
        # stratification needs one class of that many images, and without one there is none to keep
        classes = labels if int(labels.bincount().max()) >= parts else torch.zeros_like(labels)
        for part, (_, inside) in enumerate(
            divider.split(classes.numpy(), classes.numpy(), groups.numpy())
        ):
            found[torch.from_numpy(inside)] = part
    return found


def draw_groups(
    labels: Tensor, groups: Tensor, examples: int, *, seed: int, class_names: Sequence[str]
) -> Tensor:
    """Draw whole groups that hold about ``examples`` images, of all classes in proportion.

    Of the parts that ``divide_groups`` makes, the one that leaves every class outside, holds every
    class, and is nearest to the size asked for, in this order.

    Args:
        labels: `(N,)` classes.
        groups: `(N,)` number of the group of each, at least two of them.
        examples: images that are wanted.
        seed: of the draw.
        class_names: K names, for messages.

    Returns:
        Positions in ``labels``, ascending.

    Raises:
        ValueError: if all images of a class are in one group, or no draw of whole groups leaves an
            image of every class.
    """
    count = len(groups.unique())
    parts = max(2, min(count, round(len(labels) / max(1, examples))))
    part_of = divide_groups(labels, groups, parts, seed=seed)
    present = labels.bincount(minlength=len(class_names)) > 0  # (K,)
    ranked = []
    for part in range(parts):
        inside = part_of == part
        held = labels[inside].bincount(minlength=len(class_names))
        left = labels[~inside].bincount(minlength=len(class_names))
        lost, lacking = (int((present & (one == 0)).sum()) for one in (left, held))
        ranked.append((lost, lacking, abs(int(inside.sum()) - examples), part))
    lost, *_, best = min(ranked)
    if lost:
        alone = [
            k
            for k in present.nonzero().flatten().tolist()
            if len(groups[labels == k].unique()) == 1
        ]
        if alone:
            raise ValueError(
                f"Class {quote(class_names[alone[0]])} must have images of at least two groups, "
                "all of them are in one; no group is divided."
            )
        raise ValueError(
            f"Whole groups must leave an image of every class to learn from, {count} groups do "
            "not; say yourself which images are for the test, in a column split."
        )
    return (part_of == best).nonzero().flatten()
