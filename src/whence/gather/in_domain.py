"""A copy of a model that has learned with hidden patches, to which these are nothing new."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whence.attribution.randomised import remember_again
from whence.metrics.faithfulness.idsds import PATCH_GRID, cut_patches
from whence.models.classifier import Classifier
from whence.models.load import load
from whence.models.save import write_model
from whence.morphing.answers import classify_images
from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import RECIPES

EPOCHS = 4
"""How often each image is seen, once whole and once with a hidden patch."""

MOST_IMAGES = 5000
"""Training images that are drawn where there are more."""

ACCURACIES = "accuracies.json"


@dataclass(frozen=True)
class PatchAccuracy:
    """How well a model answers test images, whole and with one hidden patch; fractions."""

    whole: float
    hidden: float


def learn_hidden_patches(
    model: Classifier, train: ImageSet, *, seed: int, batch_size: int, memory_size: int
) -> Classifier:
    """Train a copy of a model further, on images of which a patch may be black.

    Hesse, Schaub-Meyer and Roth (2024), arXiv:2407.11910, section 3.

    Args:
        model: stays as it is.
        train: its training images.
        seed: of the patches and of the training.
        batch_size: images encoded at once when the memory is encoded again.
        memory_size: images drawn into the memory at every step.

    Returns:
        The copy, in eval mode, with the memory of the model, encoded again.
    """
    generator = make_generator(seed)
    chosen = torch.randperm(len(train), generator=generator)[:MOST_IMAGES]
    some, learner = train.take(chosen.sort().values), copy.deepcopy(model)
    seen = replace(
        some,
        images=torch.cat([some.images, hide_patches(some.images, generator)]),
        labels=some.labels.repeat(2),
        sources=None,
    )
    plan = Plan(EPOCHS, memory_size=min(memory_size, len(seen)), seed=seed)
    fit(learner, seen, recipe=RECIPES["finetune"], plan=plan)
    if model.has_memory:
        remember_again(learner, model, batch_size)
    return learner


def hide_patches(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make one patch of each image `(N, C, H, W)` black, drawn by chance."""
    patches = cut_patches(images.shape[2], images.shape[3], PATCH_GRID)
    drawn = torch.randint(len(patches), (len(images),), generator=generator)
    return images.masked_fill(patches[drawn][:, None].to(images.device), 0)


def measure_patches(
    model: Classifier, images: ImageSet, *, seed: int, batch_size: int
) -> PatchAccuracy:
    """Measure a model on test images, whole and with one hidden patch each."""
    hidden = hide_patches(images.images, make_generator(seed))
    shares = [
        float(
            (classify_images(model, some, batch_size=batch_size).argmax(1).cpu() == images.labels)
            .double()
            .mean()
        )
        for some in (images.images, hidden)
    ]
    return PatchAccuracy(*shares)


def write_in_domain(
    learner: Classifier, folder: Path, accuracies: dict[str, dict[str, float]]
) -> None:
    """Keep a copy that has learned with hidden patches, and how well it answers."""
    write_model(learner, folder, pixels=True)
    write_json(folder / ACCURACIES, accuracies)


def read_in_domain(folder: Path, device: str) -> tuple[Classifier, dict[str, Any]] | None:
    """Read such a copy, and how well it answers; None where there is no finished one.

    Raises:
        ValueError: if it is damaged.
    """
    if not (folder / ACCURACIES).exists():
        return None
    return load(folder, device=device), read_json(folder / ACCURACIES)
