"""Integrated Gradients on the straight path from a baseline, of images and their evidence."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from whence.attribution.baseline_images import Baseline, PathStart, find_start
from whence.attribution.classifier_score import ClassifierScore
from whence.attribution.enough_steps import FIRST_STEPS, Walked, walk_until_told
from whence.attribution.found import FoundRelevance
from whence.attribution.joint import explain_scene
from whence.attribution.mean_found import average_found
from whence.attribution.method import Method
from whence.attribution.moved import MOVED, Moved
from whence.attribution.path import midpoints
from whence.attribution.scene import set_scene
from whence.attribution.score import Score, batches, find_slopes
from whence.kinds import check_kind
from whence.messages import count, quote
from whence.records.relevance import OUTSIDE


def integrated_gradients(
    score: Score,
    images: Tensor,
    *,
    steps: int | None = None,
    baseline: str | Tensor | Sequence[str | Tensor] = "white",
    memory: Moved = "evidence",
) -> FoundRelevance:
    """Split the change of a score on the way from a baseline over all pixels.

    Sundararajan, Taly and Yan (2017), arXiv:1703.01365, equation 1, by the midpoint rule. Unlike
    in the paper, images and their evidence move from the baseline to themselves together, at
    every step each image reads a memory of its own, and a path has as many steps as it needs.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        steps: points on the path, at equal distances; None takes 32, nearer to each other at the
            baseline, and 96 or 288 for images of which more than 1 % would be unexplained.
        baseline: where the path starts: a name from ``BASELINES``, or one image `(C, H, W)` in the
            units of ``images``; of a list of these the mean over all of them is taken.
        memory: "evidence" moves the evidence images, and every other stored image stays as it is;
            "all" moves the whole memory, and what falls on other images is a line of its own.

    Returns:
        Signed shares in score units; they add up to the score's change on the path, but for what
        the midpoint rule misses.

    Raises:
        ValueError: on an unknown name, a baseline that does not fit, or no step.
        RuntimeError: if the score has no gradient.
    """
    if memory not in MOVED:
        raise ValueError(f"Unknown memory {quote(memory)}. Choose from: {', '.join(MOVED)}.")
    points = None if steps is None else midpoints(steps)
    starts = find_starts(baseline, images, bounded=score.bounded)

    def follow(start: PathStart) -> Walked:
        walk = partial(follow_straight_path, start=start, everything=memory == "all")
        if points is not None:
            return Walked(walk(score, images, points=points), len(points[0]))
        return walk_until_told(score, images, walk)

    walked = [follow(start) for start in starts]
    most = max(one.steps for one in walked)
    sentence = say_straight_path([start.words for start in starts], most, chosen=steps is None)
    return average_found((one.found for one in walked), len(starts), sentence)


def find_starts(
    baseline: str | Tensor | Sequence[str | Tensor], images: Tensor, *, bounded: bool
) -> list[PathStart]:
    """Understand one baseline, or a list of them.

    Raises:
        ValueError: if one is unknown or does not fit, or the list is empty.
    """
    check_kind("baseline", baseline, (str, Tensor, Sequence))
    given = [baseline] if isinstance(baseline, str | Tensor) else list(baseline)
    if not given:
        raise ValueError("baseline must be a name, an image or a list of these, got an empty list.")
    return [find_start(one, images, pixels=bounded) for one in given]


def follow_straight_path(
    score: Score,
    images: Tensor,
    points: tuple[Tensor, Tensor],
    *,
    start: PathStart,
    everything: bool,
) -> FoundRelevance:
    """Move images `(B, C, H, W)` on the straight path from one baseline, through ``points``."""
    if isinstance(score, ClassifierScore) and score.sides is None and score.model.has_memory:
        return move_together(score, images, start, points, everything=everything)
    parts = [go_straight(part, some, start.of, points) for part, some in batches(score, images)]
    relevance, begin, evidence = zip(*parts, strict=True)
    stored = [one for one in evidence if one is not None]
    lines = {OUTSIDE: torch.zeros_like(torch.cat(begin))} if everything and stored else {}
    return FoundRelevance(
        torch.cat(relevance),
        torch.cat(stored) if stored else None,
        "",
        start=torch.cat(begin),
        lines=lines,  # what a score of its evidence alone does not read has no part in it
    )


def move_together(
    score: ClassifierScore,
    images: Tensor,
    start: PathStart,
    points: tuple[Tensor, Tensor],
    *,
    everything: bool,
) -> FoundRelevance:
    """Move images and their evidence, or the whole memory, on one path."""
    rows = torch.arange(len(images)).split(score.batch_size)
    parts = [
        explain_scene(
            set_scene(score.take(some), images[some], start.of, everything=everything), points
        )
        for some in rows
    ]
    relevance, rest, begin, evidence = (torch.cat(column) for column in zip(*parts, strict=True))
    lines = {OUTSIDE: rest} if everything else {}
    return FoundRelevance(relevance, evidence, "", start=begin, lines=lines)


def go_straight(
    score: Score, images: Tensor, baseline: Baseline, points: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Add up the gradient at ``points`` of the straight path to images and their evidence.

    Returns:
        Relevance `(B, C, H, W)`, the score `(B,)` where the path starts, and `(E, C, h, w)` of the
        evidence, None without any.
    """
    ends = [images] if score.evidence is None else [images, score.evidence]
    begins = [baseline(one) for one in ends]
    changes = [end - begin for end, begin in zip(ends, begins, strict=True)]
    totals, count = [torch.zeros_like(one) for one in ends], len(images)
    together = max(1, score.batch_size // max(map(len, ends)))  # as many points as fill a batch
    times, shares = (one.to(images) for one in points)
    for some, share in zip(times.split(together), shares.split(together), strict=True):
        at = [
            begin + some.view(-1, 1, 1, 1, 1) * change  # (S, n, C, H, W)
            for begin, change in zip(begins, changes, strict=True)
        ]
        rows = torch.arange(count).repeat(len(some))
        slopes = find_slopes(score.take(rows), *(one.flatten(0, 1) for one in at))
        for place, (slope, one) in enumerate(zip(slopes, at, strict=True)):
            totals[place] += torch.einsum("s,sbchw->bchw", share, slope.view(one.shape))
    found = [total * change for total, change in zip(totals, changes, strict=True)]
    with torch.no_grad():
        return found[0], score(*begins), found[1] if len(found) > 1 else None


def say_straight_path(starts: Sequence[str], steps: int, *, chosen: bool) -> str:
    """Say what was done, with baselines in words; ``chosen``: more steps where they were needed."""
    points = count(steps, "step")
    if chosen and steps > FIRST_STEPS:
        points = f"{FIRST_STEPS:,} to {points}"
    mean = f", the mean over {len(starts):,} baselines" if len(starts) > 1 else ""
    return (
        "A pixel's number is its share of the change of the score on the way from "
        f"{' and from '.join(dict.fromkeys(starts))} to the images as they are ({points}{mean}), "
        "in units of the score."
    )


INTEGRATED_GRADIENTS = Method("integrated_gradients", integrated_gradients, adds_up=True)
