"""The nearest image of a class: the thesis's first choice of the other image (section 4.3)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.shapes import check_shape

BLOCK = 4096
"""Stored codes compared at once."""


class Nearest(NamedTuple):
    """Places of stored codes, `(B,)` int64, and their cosines with the codes asked about."""

    places: Tensor
    similarities: Tensor


def nearest_of_class(
    codes: Tensor,
    wanted: Tensor,
    stored: Tensor,
    labels: Tensor,
    *,
    leave_out: Sequence[Sequence[int]] | None = None,
    class_names: Sequence[str] | None = None,
    block: int = BLOCK,
) -> Nearest:
    """Find the stored code of a class with the highest cosine to each code; exactly, in blocks.

    Args:
        codes: `(B, Z)` codes asked about.
        wanted: `(B,)` the class to look in, for each of them.
        stored: `(N, Z)` codes of the training images, on the same device.
        labels: `(N,)` their classes.
        leave_out: for each of the B codes the places of stored codes that do not count, such as
            those of the image itself.
        class_names: for the message; the class's number by default.
        block: stored codes compared at once; changes memory use, not the result.

    Returns:
        Of equal ones the first. The cosine with a code of length 0 is 0.

    Raises:
        ValueError: if the shapes do not fit, or a class has no stored code that counts.
    """
    sizes = check_shape("codes", codes, "B Z")
    check_shape("wanted", wanted, "B", B=sizes["B"])
    stored_sizes = check_shape("stored", stored, "N Z", Z=sizes["Z"])
    check_shape("labels", labels, "N", N=stored_sizes["N"])
    leave_out = [()] * sizes["B"] if leave_out is None else leave_out
    if len(leave_out) != sizes["B"]:
        raise ValueError(
            f"leave_out must have an entry for each of {sizes['B']} codes, got {len(leave_out)}."
        )
    for name, values in (("codes", codes), ("stored", stored)):
        if bool(values.isnan().any()):
            raise ValueError(f"{name} must be numbers, got NaN.")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}.")
    wanted, labels = wanted.to(codes.device), labels.to(codes.device)
    places = torch.full((sizes["B"],), -1, device=codes.device)
    highest = torch.full((sizes["B"],), -torch.inf, device=codes.device, dtype=codes.dtype)
    directions = F.normalize(codes, dim=1)
    for label in wanted.unique().tolist():
        rows = (wanted == label).nonzero().squeeze(1)
        members = (labels == label).nonzero().squeeze(1)
        for first in range(0, len(members), block):
            some = members[first : first + block]
            cosines = directions[rows] @ F.normalize(stored[some], dim=1).T
            for line, row in zip(cosines, rows.tolist(), strict=True):
                if leave_out[row]:
                    left = torch.tensor(leave_out[row], device=some.device)
                    line[torch.isin(some, left)] = -torch.inf
            value, place = cosines.max(1)
            better = value > highest[rows]
            highest[rows[better]], places[rows[better]] = value[better], some[place[better]]
        if bool((places[rows] < 0).any()):
            name = label if class_names is None else class_names[label]
            raise ValueError(
                f"Class {name} has no stored image to compare with; choose another class, or "
                "store images of it."
            )
    return Nearest(places, highest)
