"""What moves on the way to images and their evidence, and the gradients at its points."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.baseline_images import Baseline
from whence.attribution.classifier_score import ClassifierScore, stored_pixels
from whence.attribution.feature_gradients import (
    Gradients,
    Memory,
    differentiate,
)
from whence.attribution.path import differentiate_along, encode_along


class Scene(NamedTuple):
    """Images and stored images."""

    score: ClassifierScore  # of these images
    images: Tensor  # (B, C, H, W) on the model's device
    stored: Tensor  # (M, C, H, W) on the CPU
    features: Tensor  # (M, D) of the stored images as they are
    moves: Tensor  # (B, M) bool, True where a stored image moves for an input
    places: Tensor  # (U,) the stored images that move for some input
    everything: bool  # the whole memory moves, not only the evidence
    baseline: Baseline


def set_scene(
    score: ClassifierScore, images: Tensor, baseline: Baseline, *, everything: bool
) -> Scene:
    """Choose what moves with images `(B, C, H, W)`: their evidence, or every stored image."""
    images = images.to(score.values.device)
    bank = score.model.checked_bank()
    moves = torch.full((len(images), len(bank)), everything, device=images.device)
    for row, places in enumerate(score.places):
        moves[row, places] = True
    places = moves.any(0).nonzero()[:, 0]
    stored = stored_pixels(bank)
    return Scene(score, images, stored, bank.features, moves, places, everything, baseline)


def number_evidence(scene: Scene) -> Tensor:
    """Number all evidence images in a row, input by input; `(B, M)`, -1 outside the evidence."""
    slots = torch.full(scene.moves.shape, -1, device=scene.moves.device)
    first = 0
    for row, places in enumerate(scene.score.places):
        slots[row, places] = torch.arange(first, first + len(places), device=places.device)
        first += len(places)
    return slots


def differentiate_at(scene: Scene, times: Tensor, moved: Tensor) -> Iterator[Gradients]:
    """Differentiate the score with respect to features at points `(S,)` of the path.

    Args:
        scene: what moves; its model in eval mode, with gradients.
        times: `(S,)`.
        moved: `(S, U, D)` features of the stored images that move.
    """
    score, inputs = scene.score, torch.arange(len(scene.images), device=times.device)
    queries = encode_along(
        score.model, scene.images, inputs, times, scene.baseline, batch_size=score.batch_size
    )  # (S, B, D)
    labels = score.model.checked_bank().labels
    memory = Memory(scene.features, labels, moved, scene.places, scene.moves, score.mask)
    return differentiate(score.model.memory_head, queries, memory, score.target, score.rows)


def encode_stored(scene: Scene, times: Tensor) -> Tensor:
    """Encode the stored images that move, at points `(S,)` of the path; `(S, U, D)`."""
    score = scene.score
    if len(scene.places) == 0:
        return times.new_zeros((len(times), 0, score.model.head.width))
    return encode_along(
        score.model,
        scene.stored,
        scene.places,
        times,
        scene.baseline,
        batch_size=score.batch_size,
    )


def differentiate_stored(scene: Scene, times: Tensor) -> tuple[Tensor, Tensor]:
    """Encode the whole memory at points `(S,)`; features and their speed, `(S, M, D)` both."""
    return differentiate_along(
        scene.score.model,
        scene.stored,
        scene.places,
        times,
        scene.baseline,
        batch_size=scene.score.batch_size,
    )
