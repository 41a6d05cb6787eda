"""Gradients of a score at its images and their evidence, a batch at a time."""

import torch
from torch import Tensor

from whence.attribution.score import Score, batches, find_slopes


def find_all_slopes(score: Score, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Differentiate a score of images `(B, C, H, W)` and of their evidence, all at once.

    Returns:
        `(B, C, H, W)`, and `(E, C, h, w)` of the evidence; None without any.
    """
    images_found: list[Tensor] = []
    evidence_found: list[Tensor] = []
    for part, some in batches(score, images):
        stored = part.evidence
        slopes = find_slopes(part, some, *([] if stored is None else [stored]))
        images_found.append(slopes[0])
        evidence_found += slopes[1:]
    return torch.cat(images_found), torch.cat(evidence_found) if evidence_found else None
