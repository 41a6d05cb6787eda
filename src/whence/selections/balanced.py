"""As many stored images of every class, drawn by chance."""

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates, take_turns


def draw_balanced(candidates: StoredCandidates, size: int) -> Tensor:
    """Draw images, the parts in turns; where one has no more the others go on.

    Returns:
        `(size,)` places.
    """
    total = len(candidates.labels)
    drawn = torch.randperm(total, generator=candidates.generator).to(candidates.labels.device)
    return take_turns(drawn, candidates.parts)[:size]


BALANCED = SelectionMethod(
    draw_balanced, asks=False, sentence="as many of every class, drawn by chance", divides=True
)
