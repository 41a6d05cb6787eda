"""DeepLIFT: differences from a baseline, carried back by the slopes of chords."""

import torch
from torch import Tensor

from whence.attribution.baseline_images import PathStart, find_start
from whence.attribution.classifier_score import ClassifierScore
from whence.attribution.found import FoundRelevance
from whence.attribution.graph.chords import ChordPass
from whence.attribution.graph.layers import (
    FoundByLayers,
    gather_rows,
    is_of_weights,
    list_stored_maps,
    record_part,
    split_found,
)
from whence.attribution.graph.tape import Everything
from whence.attribution.graph.walk_back import walk_back
from whence.attribution.method import Method
from whence.attribution.score import Score

BEGIN, END = "begin", "end"
"""The score of the baseline and that of the image."""


def deeplift(score: Score, images: Tensor, *, baseline: str | Tensor = "white") -> FoundRelevance:
    """Split the difference to the score of a baseline, operation by operation.

    Shrikumar, Greenside and Kundaje (2017), arXiv:1704.02685, the rescale rule (section 3.5.1): an
    activation multiplies by the slope of its chord, by its own slope where the chord is shorter
    than 1e-7 or so. A max pool gives what its maximum rose by to its largest input, and what it
    fell by to the largest of the baseline. Of products that both sides of depend on the images the
    other side counts as the mean of both; softmax, sparsemax and normalisation count with their
    mean slope on the straight way, by 8 points. Evidence moves with the image, which reads no other
    stored image on the way.

    Args:
        score: of B images; of votes the weight of a class.
        images: `(B, C, H, W)`.
        baseline: a name from ``BASELINES``, or one image `(C, H, W)` in the units of ``images``.

    Returns:
        Signed shares in score units; they add up to the score's difference to its start, but for
        what 8 points miss.

    Raises:
        ValueError: on an unknown baseline, or one that does not fit.
        RuntimeError: if the score does not depend on the images.
    """
    start = find_start(baseline, images, pixels=score.bounded)
    parts = [
        explain_part(score.take(rows), images[rows.to(images.device)], start)
        for rows in gather_rows(score, len(images))
    ]
    stored = list_stored_maps(score, parts)
    return FoundRelevance(
        torch.cat([one.images for one in parts]),
        torch.cat(stored) if stored else None,
        "A pixel's number is its share of the difference between the score and that of "
        f"{start.words}, by DeepLIFT, in units of the score.",
        start=torch.cat([one.lines[BEGIN] for one in parts]),
        lines={},
        score=torch.cat([one.lines[END] for one in parts]) if is_of_weights(score) else None,
    )


def explain_part(score: Score, images: Tensor, start: PathStart) -> FoundByLayers:
    """Multiply changes by slopes, for images `(n, C, H, W)` that go through the network at once.

    Returns:
        Relevance, and as lines the score `(n,)` at both ends.
    """
    pixels = score.pixels(images)
    here = record_part(score, pixels, Everything(), constant=False)
    there = record_part(
        score,
        start.of(pixels),
        Everything(),
        constant=False,
        evidence=score.begin_evidence(start.of) if isinstance(score, ClassifierScore) else None,
    )
    own = ChordPass(here, there)
    slopes = walk_back(here, torch.ones_like(here.output.value), own, own.enter)
    changes = [a.value - b.value for a, b in zip(here.inputs, there.inputs, strict=True)]
    found = [slope * change for slope, change in zip(slopes, changes, strict=True)]
    return split_found(found, {BEGIN: there.output.value, END: here.output.value})


DEEPLIFT = Method("deeplift", deeplift, adds_up=True, lighter="pixels")
