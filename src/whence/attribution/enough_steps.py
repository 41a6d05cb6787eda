"""As many points on a path as its images need, found by what is still unexplained."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.classifier_score import ClassifierScore
from whence.attribution.found import FoundRelevance
from whence.attribution.path import balance_points, crowd_start
from whence.attribution.score import Score, find_values

FIRST_STEPS, MOST_STEPS = 32, 288
"""Points on the path of every image, and of one that is still not explained."""

FACTOR = 3
"""By which points grow; those that were looked at are among them."""

MOST_UNEXPLAINED = 0.01
"""The share of the largest line of a ledger that may be unexplained."""

PathWalk = Callable[[Score, Tensor, tuple[Tensor, Tensor]], FoundRelevance]
"""Takes a score of B images, these `(B, C, H, W)`, and points of a path with their shares."""


class Walked(NamedTuple):
    """What was found, and by how many points at most."""

    found: FoundRelevance
    steps: int


def walk_until_told(score: Score, images: Tensor, walk: PathWalk) -> Walked:
    """PathWalk paths, and again through more points those that leave too much unexplained.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        walk: finds relevance and lines, sums over the points, and a start.
    """
    values, counts = find_values(score, images), count_by_image(score, len(images))
    steps = FIRST_STEPS
    found = walk(score, images, balance_points(*crowd_start(steps)))
    rows = find_untold(found, values, counts)
    while len(rows) and steps < MOST_STEPS:
        steps *= FACTOR
        more = walk(score.take(rows), images[rows.to(images.device)], find_new_points(steps))
        found = add_points(found, more, rows, counts)
        rows = rows[torch.isin(rows, find_untold(found, values, counts))]
    return Walked(found, steps)


def find_new_points(steps: int) -> tuple[Tensor, Tensor]:
    """Find the points that were not there with fewer steps, and their shares.

    Each round of points is balanced by itself, so that all of them together are.
    """
    times, shares = crowd_start(steps)
    new = torch.arange(steps) % FACTOR != FACTOR // 2
    return balance_points(times[new], shares[new])


def count_by_image(score: Score, total: int) -> Tensor:
    """Count the evidence images of each of ``total`` images, `(B,)`."""
    counts = score.counts if isinstance(score, ClassifierScore) else [0] * total
    return torch.tensor(counts)


def find_untold(found: FoundRelevance, values: Tensor, counts: Tensor) -> Tensor:
    """Find the images of which more than enough is unexplained, `(n,)` on the CPU.

    Args:
        found: with a start.
        values: `(B,)` the score.
        counts: `(B,)` evidence images of each.
    """
    begin = torch.zeros_like(values) if found.start is None else found.start
    lines = [found.images.sum((1, 2, 3), dtype=torch.float64).cpu()]
    if found.evidence is not None:
        owners = torch.arange(len(counts)).repeat_interleave(counts)
        shares = found.evidence.sum((1, 2, 3), dtype=torch.float64).cpu()
        lines.append(torch.zeros_like(lines[0]).index_add(0, owners, shares))
    lines += [amounts.double().cpu() for amounts in (found.lines or {}).values()]
    change = (values.double() - begin.double()).cpu()
    missing = change - torch.stack(lines).sum(0)
    largest = torch.stack([*lines, change]).abs().amax(0)
    return (missing.abs() > MOST_UNEXPLAINED * largest).nonzero()[:, 0]


def add_points(
    found: FoundRelevance, more: FoundRelevance, rows: Tensor, counts: Tensor
) -> FoundRelevance:
    """Add what new points give to the images at ``rows`` `(n,)`, whose old ones count less now."""

    def add(old: Tensor, new: Tensor, at: Tensor) -> Tensor:
        at = at.to(old.device)
        return old.index_copy(0, at, old[at] / FACTOR + new)

    evidence = found.evidence
    if evidence is not None and more.evidence is not None:
        owners = torch.arange(len(counts)).repeat_interleave(counts)
        evidence = add(evidence, more.evidence, torch.isin(owners, rows).nonzero()[:, 0])
    news = more.lines or {}
    return found._replace(
        images=add(found.images, more.images, rows),
        evidence=evidence,
        lines={name: add(old, news[name], rows) for name, old in (found.lines or {}).items()},
    )
