"""The stored images that look most like a stored image, whatever their labels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whence.memory.attention import at_least_float32, score
from whence.models.classifier import Classifier
from whence.records.measures import NearStored

NAMED_NEAREST = 5
"""Images that are named for each."""

ROWS_AT_ONCE = 256


@torch.no_grad()
def find_nearest_stored(
    model: Classifier,
    indices: Sequence[int],
    *,
    nearest: int = NAMED_NEAREST,
    features: Tensor | None = None,
) -> dict[int, tuple[NearStored, ...]]:
    """Find the stored images that are most alike to others by the cosine of their features.

    An image itself and its copies are left out.

    Args:
        model: with a bank.
        indices: of the stored images that are asked about.
        nearest: how many to name for each; fewer where there are not so many others.
        features: `(M, D)` of the stored images, by which they are compared; None takes what the
            head compares.

    Returns:
        By index, the most similar first.
    """
    bank = model.fitting_bank()
    place_of = {index: place for place, index in enumerate(bank.indices.tolist())}
    rows = torch.tensor([place_of[index] for index in indices], device=bank.features.device)
    found: dict[int, tuple[NearStored, ...]] = {}
    compared = at_least_float32(bank.features if features is None else features)
    for part in rows.split(ROWS_AT_ONCE):
        alike = score(compared[part], compared, similarity="cosine")  # (b, M)
        alike = alike.masked_fill(bank.groups[part, None] == bank.groups, -torch.inf)
        best = alike.topk(min(nearest, len(bank)), 1)
        for place, values, places in zip(part.tolist(), *best, strict=True):
            kept = places[values.isfinite()]
            found[int(bank.indices[place])] = tuple(
                NearStored(one.index, one.label, one.source, value)
                for one, value in zip(bank.stored(kept), values.tolist(), strict=False)
            )
    return found
