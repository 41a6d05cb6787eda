"""How far images are from what a model has stored, beside how far stored images are."""

import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.evidence.answers import rows_at_once
from whence.memory.attention import score
from whence.memory.copies import mask_copies
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating

FAR_SHARE = 0.05
"""Share of the stored images that count as far from the others."""

LOOKED_AT = 2000
"""Stored images whose own distances are looked at, evenly taken."""


def nearest_of_images(model: Classifier, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Find the highest similarity of each image to a stored one; copies of it do not count.

    Args:
        model: in eval mode, with a bank.
        images: `(N, C, H, W)`.
        batch_size: images encoded at once.

    Returns:
        `(N,)` similarities; the lower, the farther.
    """
    with evaluating(model):
        bank = model.checked_bank()
        found = [
            highest(model, model.encode(part), mask_copies(bank, part))
            for part in images.split(rows_at_once(batch_size, len(bank)))
        ]
    return torch.cat(found).cpu()


def nearest_of_stored(model: Classifier, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Find the highest similarity of stored images to another stored one, copies left out.

    Returns:
        `(n,)` of at most ``LOOKED_AT`` of them.
    """
    found = []
    with evaluating(model):
        bank = model.checked_bank()
        step = max(1, -(-len(bank) // LOOKED_AT))
        places = torch.arange(0, len(bank), step, device=bank.features.device)
        alone = bool((bank.groups == bank.groups[0]).all())
        for part in places.split(rows_at_once(batch_size, len(bank))):
            mask = None if alone else bank.groups[part, None] != bank.groups
            found.append(highest(model, bank.features[part], mask))
    return torch.cat(found).cpu()


def highest(model: Classifier, queries: Tensor, mask: Tensor | None) -> Tensor:
    """Compare keys `(B, E)` with all stored ones; the highest similarity `(B,)` that is allowed."""
    bank, head = model.checked_bank(), model.memory_head
    asked, stored = head.pair(queries, bank.features, bank.labels)
    scores = score(asked, stored, similarity=head.similarity, scale=bank.scale(head.similarity))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    best, places = scores.max(1)
    return head.unscale(best, bank.labels[places]).double()


def share_beyond(images: Tensor, stored: Tensor) -> float:
    """Count the images `(N,)` that are farther than all but the farthest 5 % of the stored ones.

    >>> share_beyond(torch.tensor([0.5, 0.7, 0.95]), torch.linspace(0.8, 1, 101))
    0.6666666666666666
    """
    return float((images < torch.quantile(stored, FAR_SHARE)).double().mean())


def compare_distances(images: Tensor, others: Tensor) -> tuple[float, float]:
    """Compare the nearest similarities of images `(N,)` with those of others `(n,)`.

    Mann and Whitney (1947).

    Returns:
        The chance that an image is farther than one of the others, and the two-sided p-value of
        that being a half.

    >>> compare_distances(torch.tensor([0.5, 0.7]), torch.tensor([0.6, 0.8]))[0]
    0.75
    """
    test = mannwhitneyu(-images.numpy(), -others.numpy(), alternative="two-sided")
    return float(test.statistic) / (len(images) * len(others)), float(test.pvalue)
