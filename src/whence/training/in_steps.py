"""Training of a classifier, or of its head alone, on one batch after another."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from whence.data import AUGMENTATIONS, MIXINGS
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.distributed import Team
from whence.training.follow_recipe import follow_recipe
from whence.training.loop import OnStep
from whence.training.plan import Plan
from whence.training.progress import OnEpoch
from whence.training.recipes import Recipe
from whence.training.shared_step import Part, SharedStep
from whence.training.state import RandomState
from whence.training.step import BatchDraws, Criterion, LoneStep, choose_criterion


def train_in_steps(
    model: Classifier,
    train: ImageSet,
    features: Tensor | None,
    randomness: RandomState,
    *,
    recipe: Recipe,
    plan: Plan,
    counts: Tensor | None,
    resume: Checkpoint | None,
    on_step: OnStep | None,
    on_epoch: OnEpoch | None,
    team: Team,
) -> float:
    """Train on one batch after another, each with a memory of its own; returns the last loss.

    Arguments as for ``fit``; features where the encoder is frozen, None where it learns.
    """
    if features is None:
        look_up = look_up_augmented(train.images, recipe.augmentation, randomness.generator)
    else:
        look_up = look_up_in(features)
    mix = None
    if recipe.mixing is not None:
        mix = partial(MIXINGS.find(recipe.mixing), generator=randomness.generator)
    draws = BatchDraws(
        look_up,
        train.labels,
        plan.memory_size if model.has_memory else None,
        plan.self_attention,
        randomness.generator,
        plan.balance,
        counts,
        mix,
    )
    criterion = choose_criterion(recipe, plan, train.labels, len(train.class_names))
    return follow_recipe(
        model if features is None else model.head,
        draws.draw,
        choose_step(model, criterion, plan, team),
        randomness,
        total=len(train),
        recipe=recipe,
        plan=plan,
        resume=resume,
        on_step=on_step,
        on_epoch=on_epoch,
        whole=model,
    )


def choose_step(
    model: Classifier, criterion: Criterion, plan: Plan, team: Team
) -> LoneStep | SharedStep:
    """Return how a batch becomes a loss: in this process alone, or shared by several."""
    frozen = plan.freeze_encoder
    if team.size > 1:
        part = Part(model, team, frozen=frozen)
        return SharedStep(part, team, criterion, seed=plan.seed, frozen=frozen)
    return LoneStep(model.head.embed if frozen else model.encode, model.head, criterion)


def look_up_augmented(
    images: Tensor, augmentation: str, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """Return what looks images `(n, C, H, W)` up at places `(n,)` and augments them."""
    augment = AUGMENTATIONS[augmentation]

    def look_up(places: Tensor) -> Tensor:
        found: Tensor = augment(images[places], generator=generator)
        return found

    return look_up


def look_up_in(features: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what looks features `(n, D)` up at places `(n,)`."""
    return lambda places: features[places]
