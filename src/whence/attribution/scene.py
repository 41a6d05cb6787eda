"""What moves on the path of a heatmap, and the gradients at its points."""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor

from whence.attribution.answer import Answer, answer, stored_pixels
from whence.attribution.feature_gradients import (
    Gradients,
    Memory,
    differentiate,
    differentiate_alone,
)
from whence.attribution.path import Baseline, differentiate_along, encode_along
from whence.memory.heads import Standard
from whence.models.classifier import Classifier


class Scene(NamedTuple):
    """Images and stored images; M and U are 0 for a standard model."""

    images: Tensor  # (B, C, H, W) on the model's device
    answer: Answer
    stored: Tensor  # (M, C, H, W) on the CPU
    features: Tensor  # (M, D) of the stored images as they are
    moves: Tensor  # (B, M) bool, True where a stored image moves for an input
    places: Tensor  # (U,) the stored images that move for some input
    everything: bool  # the whole memory moves, not only the evidence
    baseline: Baseline
    batch_size: int

    @property
    def counts(self) -> list[int]:
        """How many evidence images each input has."""
        return [len(places) for places in self.answer.evidence]


def set_scene(
    model: Classifier, images: Tensor, baseline: Baseline, *, everything: bool, batch_size: int
) -> Scene:
    """Classify images `(B, C, H, W)` and choose what moves: their evidence, or every image."""
    images = images.to(model.mean.device)
    found = answer(model, images)
    if not model.has_memory:
        none, moves = images[:0], images.new_zeros((len(images), 0), dtype=torch.bool)
        places = found.classes[:0]
        return Scene(images, found, none, none, moves, places, False, baseline, batch_size)
    bank = model.checked_bank()
    moves = torch.full((len(images), len(bank)), everything, device=images.device)
    for row, places in enumerate(found.evidence):
        moves[row, places] = True
    places = moves.any(0).nonzero()[:, 0]
    return Scene(
        images,
        found,
        stored_pixels(bank),
        bank.features,
        moves,
        places,
        everything,
        baseline,
        batch_size,
    )


def number_evidence(scene: Scene) -> Tensor:
    """Number all evidence images in a row, input by input; `(B, M)`, -1 outside the evidence."""
    slots = torch.full(scene.moves.shape, -1, device=scene.moves.device)
    first = 0
    for row, places in enumerate(scene.answer.evidence):
        slots[row, places] = torch.arange(first, first + len(places), device=places.device)
        first += len(places)
    return slots


def differentiate_at(
    model: Classifier, scene: Scene, times: Tensor, moved: Tensor
) -> Iterator[Gradients]:
    """Differentiate the score with respect to features at points `(S,)` of the path.

    Args:
        model: in eval mode, with gradients.
        scene: what moves.
        times: `(S,)`.
        moved: `(S, U, D)` features of the stored images that move; not read without a memory.
    """
    inputs = torch.arange(len(scene.images), device=times.device)
    classes, size = scene.answer.classes, scene.batch_size
    queries = encode_along(
        model, scene.images, inputs, times, scene.baseline, batch_size=size
    )  # (S, B, D)
    if not model.has_memory:
        return iter([differentiate_alone(cast(Standard, model.head), queries, classes)])
    memory = Memory(scene.features, moved, scene.places, scene.moves, scene.answer.mask)
    return differentiate(model.memory_head, queries, memory, classes)


def encode_stored(model: Classifier, scene: Scene, times: Tensor) -> Tensor:
    """Encode the stored images that move, at points `(S,)` of the path; `(S, U, D)`."""
    if len(scene.places) == 0:
        return times.new_zeros((len(times), 0, model.features))
    return encode_along(
        model, scene.stored, scene.places, times, scene.baseline, batch_size=scene.batch_size
    )


def differentiate_stored(model: Classifier, scene: Scene, times: Tensor) -> tuple[Tensor, Tensor]:
    """Encode the whole memory at points `(S,)`; features and their speed, `(S, M, D)` both."""
    return differentiate_along(
        model, scene.stored, scene.places, times, scene.baseline, batch_size=scene.batch_size
    )
