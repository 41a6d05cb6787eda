"""Integrated Gradients of images whose evidence moves with them, without maps of the evidence."""

import torch
from torch import Tensor

from whence.attribution.baseline_images import Baseline
from whence.attribution.classifier_score import ClassifierScore, stored_pixels
from whence.attribution.found import FoundRelevance
from whence.attribution.path import differentiate_along
from whence.attribution.score import find_slopes
from whence.records.relevance import EVIDENCE


def move_features(
    score: ClassifierScore, images: Tensor, baseline: Baseline, points: tuple[Tensor, Tensor]
) -> FoundRelevance:
    """Add up the gradient at points of the straight path to images; of their evidence the sum.

    What the evidence of an image gets in all is the gradient with respect to its features times
    the speed of these along the path. Features and speed are found once for each stored image and
    point, whichever images read it, and no gradient goes back to its pixels.

    Args:
        score: of B images, with evidence as features.
        images: `(B, C, H, W)`.
        baseline: where the path starts.
        points: `(S,)` on the path, and their shares.

    Returns:
        Relevance of the images, and a line for the evidence.

    Raises:
        NoForwardModeError: if a layer of the encoder has no forward-mode derivative.
    """
    parts = [
        walk_features(score.take(some), score.pixels(images[some]), baseline, points)
        for some in torch.arange(len(images), device=images.device).split(score.batch_size)
    ]
    relevance, begin, amounts = (torch.cat(column) for column in zip(*parts, strict=True))
    return FoundRelevance(relevance, None, "", start=begin, lines={EVIDENCE: amounts})


def walk_features(
    score: ClassifierScore, images: Tensor, baseline: Baseline, points: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Do so for images that go through the encoder at once.

    Returns:
        Relevance `(B, C, H, W)`, the score `(B,)` where the path starts, and what falls on the
        evidence, `(B,)`.
    """
    places, columns = torch.cat(score.places).unique(return_inverse=True)  # (U,), (E,)
    counts = torch.tensor(score.counts, device=images.device)
    owners = torch.arange(len(images), device=images.device).repeat_interleave(counts)  # (E,)
    stored, begins = stored_pixels(score.model.checked_bank()), baseline(images)
    changes, total = images - begins, torch.zeros_like(images)
    amounts = images.new_zeros(len(images))
    together = max(1, score.batch_size // max(len(images), len(places)))
    times, shares = (one.to(images) for one in points)
    for some, share in zip(times.split(together), shares.split(together), strict=True):
        features, speeds = (
            one[:, columns].flatten(0, 1)  # (S * E, D)
            for one in differentiate_along(
                score.model, stored, places, some, baseline, batch_size=score.batch_size
            )
        )
        at = begins + some.view(-1, 1, 1, 1, 1) * changes  # (S, B, C, H, W)
        rows = torch.arange(len(images)).repeat(len(some))
        slopes, feature_slopes = find_slopes(score.take(rows), at.flatten(0, 1), features)
        total += torch.einsum("s,sbchw->bchw", share, slopes.view(at.shape))
        falls = (feature_slopes * speeds).sum(1).view(len(some), -1)  # (S, E)
        amounts.index_add_(0, owners, share.to(falls) @ falls)
    with torch.no_grad():
        return total * changes, score(begins, score.begin_evidence(baseline)), amounts
