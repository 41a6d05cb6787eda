"""Training recipes: everything about the optimiser, its schedule and the images it is shown."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import nn

from whence.bounds import check_number, check_numbers
from whence.data import AUGMENTATIONS, MIXINGS
from whence.kinds import check_fields
from whence.messages import quote


@dataclass(frozen=True)
class Recipe:
    """How a model is trained; the defaults are the paper's (La Rosa et al. 2021, A.1.2).

    Attributes:
        optimizer: "sgd", "adam" or "adamw".
        learning_rate: at the start, or after the warm-up.
        momentum: of SGD; the first beta of Adam.
        nesterov: Nesterov's momentum, SGD only.
        weight_decay: on every parameter.
        schedule: "steps" multiplies the rate by 0.1 at each milestone, "cosine" lets it fall along
            half a cosine to ``final_learning_rate``.
        milestones: epochs after which the rate falls; None is 50 % and 75 % of the epochs.
        warmup_epochs: epochs in which the rate rises linearly from 0; at most half of all.
        final_learning_rate: where the cosine ends.
        batch_size: images per step; the last, incomplete batch of an epoch is dropped.
        augmentation: a name from ``AUGMENTATIONS``, applied to the batch and to the memory.
        mixing: a name from ``MIXINGS``, by which images of a batch are put together in pairs; None
            leaves them apart.
        label_smoothing: in [0, 1).
        sharpness_radius: how far from the parameters, uphill, a step looks for its gradient (Foret
            et al. 2021, arXiv:2010.01412, equation 2); 0 takes it where the parameters are.
        weight_averaging: in [0, 1): how much of the mean of the weights stays at every step; the
            mean is what answers. 0 answers by the weights of the last step.
        least_steps: that a training takes unless its epochs are given.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] | None = None
    warmup_epochs: int = 0
    final_learning_rate: float = 0.0
    batch_size: int = 128
    augmentation: str = "none"
    mixing: str | None = None
    label_smoothing: float = 0.0
    sharpness_radius: float = 0.0
    weight_averaging: float = 0.0
    least_steps: int = 800


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "default": Recipe(
            weight_decay=5e-3,
            schedule="cosine",
            warmup_epochs=3,
            batch_size=32,
            augmentation="shift",
            label_smoothing=0.1,
            least_steps=2000,
        ),
        "paper": Recipe(),
        "vit": Recipe(
            optimizer="adam",
            learning_rate=1e-3,
            weight_decay=5e-5,
            schedule="cosine",
            warmup_epochs=5,
            final_learning_rate=1e-5,
        ),
        "finetune": Recipe(
            optimizer="adamw",
            learning_rate=1e-3,
            weight_decay=1e-2,
            schedule="cosine",
            warmup_epochs=1,
            batch_size=64,
        ),
        "at-once": Recipe(
            optimizer="adamw",
            learning_rate=2e-3,
            weight_decay=3.0,
            schedule="cosine",
            batch_size=2500,
        ),
    }
)
"""Recipes by name: ours, which also mirrors images that may be mirrored, the paper's, the one of
its ViT runs, one for pretrained encoders, and one for votes of a frozen encoder, which are trained
on all images at once."""


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe with a value that no training takes.

    Raises:
        TypeError: if a value is of another kind than its field.
        ValueError: if a number is out of its bounds, or a name is unknown.
    """
    check_fields(recipe)
    for milestone in recipe.milestones or ():
        check_number("milestones", milestone)
    check_numbers(asdict(recipe).items())
    AUGMENTATIONS.check(recipe.augmentation)
    if recipe.mixing is not None:
        MIXINGS.check(recipe.mixing)


def build_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the recipe's optimiser; fused where the device has it."""
    chosen = list(parameters)
    shared: dict[str, Any] = {
        "lr": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "fused": True,
    }
    if recipe.optimizer == "sgd":
        nesterov = recipe.nesterov and recipe.momentum > 0
        return torch.optim.SGD(chosen, momentum=recipe.momentum, nesterov=nesterov, **shared)
    betas = (recipe.momentum, 0.999)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(chosen, betas=betas, **shared)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(chosen, betas=betas, **shared)
    raise ValueError(f"Unknown optimizer {quote(recipe.optimizer)}. Choose from: sgd, adam, adamw.")


def rate_at(recipe: Recipe, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Compute the learning rate of one step.

    Args:
        recipe: with the schedule.
        step: counted from 0 over all epochs.
        steps_per_epoch: batches in an epoch.
        epochs: in the whole training.

    >>> rates = [rate_at(Recipe(), step=s, steps_per_epoch=1, epochs=4) for s in range(4)]
    >>> [round(rate, 6) for rate in rates]
    [0.1, 0.1, 0.01, 0.001]
    """
    epoch = step // steps_per_epoch
    warmup = min(recipe.warmup_epochs, epochs // 2) * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "steps":
        milestones = recipe.milestones
        if milestones is None:
            milestones = (epochs // 2, epochs * 3 // 4)
        return recipe.learning_rate * 0.1 ** sum(epoch >= milestone for milestone in milestones)
    if recipe.schedule == "cosine":
        done = (step - warmup) / max(1, epochs * steps_per_epoch - warmup)
        span = recipe.learning_rate - recipe.final_learning_rate
        return recipe.final_learning_rate + span * (1 + math.cos(math.pi * done)) / 2
    raise ValueError(f"Unknown schedule {quote(recipe.schedule)}. Choose from: steps, cosine.")
