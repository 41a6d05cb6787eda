"""The path of images and their evidence together, with a memory of its own at every step."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.path import pull_back
from whence.attribution.scene import (
    Scene,
    differentiate_at,
    differentiate_stored,
    encode_stored,
    number_evidence,
)
from whence.memory.bank import take_images


class JointPart(NamedTuple):
    """The relevance of one batch, on the CPU."""

    images: Tensor  # (B, C, H, W)
    rest: Tensor  # (B,) zero when nothing outside the evidence moves
    start: Tensor  # (B,) the score where the path starts
    evidence: Tensor  # (E, C, h, w)


def explain_scene(scene: Scene, points: tuple[Tensor, Tensor]) -> JointPart:
    """Add up gradient times change over ``points``, as :func:`midpoints` gives them.

    Of stored images outside the evidence only the sum is wanted: there the gradient with respect to
    their features is multiplied by how fast the features change along the path, which is the same
    number and needs no way back to the pixels.
    """
    score = scene.score
    model, batch_size = score.model, score.batch_size
    times, shares = (one.to(scene.images.device, score.precision) for one in points)
    total, slots = len(scene.images), number_evidence(scene)
    maps, rest = times.new_zeros(scene.images.shape), times.new_zeros(total)
    evidence = times.new_zeros((sum(score.counts), *scene.stored.shape[1:]))
    for some, share, moved, speed in walk(scene, times, shares):
        for part in differentiate_at(scene, some, moved):
            step, image = part.rows // total, part.rows % total
            slot = torch.where(part.moving, slots[image].gather(1, part.places), -1)  # (n, A)
            gradients = share[step, None] * part.queries
            found = pull_back(model, scene.images[image], some[step], gradients, scene.baseline)
            maps.index_add_(0, image, found)
            for row, column in chunk_pairs(slot >= 0, batch_size):
                stored, at = take_images(scene.stored, part.places[row, column]), some[step[row]]
                gradients = share[step[row], None] * part.read[row, column]
                found = pull_back(model, stored, at, gradients, scene.baseline)
                evidence.index_add_(0, slot[row, column], found)
            if speed is not None:
                changes = (part.read * speed[step[:, None], part.places]).sum(-1)  # (n, A)
                changes = changes * (part.moving & (slot < 0)) * share[step, None]
                rest.index_add_(0, image, changes.sum(1))
    start = 0 * times[:1]
    first = differentiate_at(scene, start, encode_stored(scene, start))
    begin = torch.cat([part.scores for part in first])
    return JointPart(maps.cpu(), rest.cpu(), begin.cpu(), evidence.cpu())


def walk(
    scene: Scene, times: Tensor, shares: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Take as many points of the path at once as fill a batch.

    Yields:
        Points `(S,)`, their shares `(S,)`, the features of the stored images that move there
        `(S, U, D)`, and, only where the whole memory moves, how fast these change, `(S, M, D)`.
    """
    together = max(1, scene.score.batch_size // max(len(scene.images), len(scene.places)))
    for some, share in zip(times.split(together), shares.split(together), strict=True):
        if scene.everything:
            yield some, share, *differentiate_stored(scene, some)
        else:
            yield some, share, encode_stored(scene, some), None


def chunk_pairs(chosen: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """List rows and columns where ``chosen`` is True, at most ``size`` of them at once."""
    pairs = chosen.nonzero()  # (P, 2)
    for first in range(0, len(pairs), size):
        yield pairs[first : first + size, 0], pairs[first : first + size, 1]
