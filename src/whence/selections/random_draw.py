"""Stored images drawn by chance, the control of every other selection."""

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates, lead_with_each_class


def draw_any(candidates: StoredCandidates, size: int) -> Tensor:
    """Draw images whatever their class, but one of each class first.

    Returns:
        `(size,)` places.
    """
    total = len(candidates.labels)
    drawn = torch.randperm(total, generator=candidates.generator).to(candidates.labels.device)
    return lead_with_each_class(drawn, candidates)[:size]


RANDOM_DRAW = SelectionMethod(draw_any, asks=False, sentence="any, drawn by chance (the control)")
