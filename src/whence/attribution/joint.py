"""Heatmaps on an image and on the stored images that its answer was computed from."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from whence.attribution.answer import check_request, differentiating, precision
from whence.attribution.baselines import BASELINES
from whence.attribution.path import midpoints, pull_back
from whence.attribution.scene import (
    Scene,
    differentiate_at,
    differentiate_stored,
    encode_stored,
    number_evidence,
    set_scene,
)
from whence.memory.bank import take_images
from whence.models.classifier import Classifier
from whence.records.relevance import Heatmaps

Moved = Literal["evidence", "all"]
MOVED: tuple[str, ...] = get_args(Moved)


def heatmaps(
    model: Classifier,
    images: Tensor,
    *,
    steps: int = 32,
    baseline: str = "white",
    memory: Moved = "evidence",
    batch_size: int = 128,
) -> Heatmaps:
    """Say how much every pixel of images and of their evidence adds to the predicted class.

    Integrated Gradients (Sundararajan, Taly and Yan, 2017, arXiv:1703.01365) of the logit of the
    predicted class, by the midpoint rule. Unlike the paper, the input and its evidence images move
    from the baseline to themselves together, and at every step each input reads a memory of its
    own. The relevance of all pixels adds up to the change of the logit on that path. Of images
    outside the evidence only the sum is wanted: there the gradient with respect to their features
    is multiplied by how fast the features change along the path, which is the same number and
    needs no way back to the pixels.

    Args:
        model: with a bank, unless it is a standard model, which gives maps of the inputs only.
        images: `(B, C, H, W)` uint8 or float in [0, 1]. An image that is itself stored does not
            read itself.
        steps: points on the path; more make the sum more exact.
        baseline: where the path starts, a name from ``BASELINES``.
        memory: "evidence" moves the evidence images, and every other stored image stays as it is;
            "all" moves the whole memory, and what falls on other images comes back as ``rest``.
        batch_size: how many images are encoded at once, and how many inputs share the encoded
            path of the memory; changes memory use and time, not the result.

    Returns:
        Maps on the CPU, float32 (float64 from a float64 model), in logit units.

    Raises:
        ValueError: on an unknown name, a number below 1, no image, or a bank without pixels.
        RuntimeError: if the model has no bank that fits it, or its encoder has no gradient.
    """
    start = BASELINES.find(baseline)
    if memory not in MOVED:
        raise ValueError(f"Unknown memory {memory!r}. Choose from: {', '.join(MOVED)}.")
    points = midpoints(steps)
    check_request(model, images, batch_size)
    with differentiating(model):
        parts = [
            explain_scene(
                model,
                set_scene(model, batch, start, everything=memory == "all", batch_size=batch_size),
                points,
            )
            for batch in images.detach().split(batch_size)
        ]
    maps, rests, changes, evidence = zip(*parts, strict=True)
    relevance, rest, change = torch.cat(maps), torch.cat(rests), torch.cat(changes)
    found = tuple(one for part in evidence for one in part)
    total = torch.stack([one.sum(dtype=torch.float64) for one in found])  # (B,)
    total += relevance.sum((1, 2, 3), dtype=torch.float64) + rest
    return Heatmaps(
        images=relevance,
        evidence=found,
        rest=rest if memory == "all" and model.has_memory else None,
        score_change=change,
        completeness_error=(total - change).abs().to(change.dtype),
        baseline=baseline,
        steps=steps,
    )


class Part(NamedTuple):
    """The maps of one batch, on the CPU."""

    images: Tensor  # (B, C, H, W)
    rest: Tensor  # (B,) zero when nothing outside the evidence moves
    score_change: Tensor  # (B,)
    evidence: tuple[Tensor, ...]  # B times (A, C, H, W)


def explain_scene(model: Classifier, scene: Scene, points: tuple[Tensor, Tensor]) -> Part:
    """Add up relevance over ``points``, as :func:`midpoints` gives them."""
    times, shares = (one.to(scene.images.device, precision(model)) for one in points)
    total, counts, slots = len(scene.images), scene.counts, number_evidence(scene)
    maps, rest = times.new_zeros(scene.images.shape), times.new_zeros(total)
    evidence = times.new_zeros((sum(counts), *scene.stored.shape[1:]))
    for some, share, moved, speed in walk(model, scene, times, shares):
        for part in differentiate_at(model, scene, some, moved):
            step, image = part.rows // total, part.rows % total
            slot = torch.where(part.moving, slots[image].gather(1, part.places), -1)  # (n, A)
            gradients = share[step, None] * part.queries
            found = pull_back(model, scene.images[image], some[step], gradients, scene.baseline)
            maps.index_add_(0, image, found)
            for row, column in chunk_pairs(slot >= 0, scene.batch_size):
                stored, at = take_images(scene.stored, part.places[row, column]), some[step[row]]
                gradients = share[step[row], None] * part.read[row, column]
                found = pull_back(model, stored, at, gradients, scene.baseline)
                evidence.index_add_(0, slot[row, column], found)
            if speed is not None:
                changes = (part.read * speed[step[:, None], part.places]).sum(-1)  # (n, A)
                changes = changes * (part.moving & (slot < 0)) * share[step, None]
                rest.index_add_(0, image, changes.sum(1))
    start = 0 * times[:1]
    first = differentiate_at(model, scene, start, encode_stored(model, scene, start))
    begin = torch.cat([part.logits for part in first])
    change = scene.answer.logits - begin
    return Part(maps.cpu(), rest.cpu(), change.cpu(), evidence.cpu().split(counts))


def walk(
    model: Classifier, scene: Scene, times: Tensor, shares: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Take as many points of the path at once as fill a batch.

    Yields:
        Points `(S,)`, their shares `(S,)`, the features of the stored images that move there
        `(S, U, D)`, and, only where the whole memory moves, how fast these change, `(S, M, D)`.
    """
    together = max(1, scene.batch_size // max(len(scene.images), len(scene.places)))
    for some, share in zip(times.split(together), shares.split(together), strict=True):
        if scene.everything:
            yield some, share, *differentiate_stored(model, scene, some)
        else:
            yield some, share, encode_stored(model, scene, some), None


def chunk_pairs(chosen: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """List rows and columns where ``chosen`` is True, at most ``size`` of them at once."""
    pairs = chosen.nonzero()  # (P, 2)
    for first in range(0, len(pairs), size):
        yield pairs[first : first + size, 0], pairs[first : first + size, 1]
