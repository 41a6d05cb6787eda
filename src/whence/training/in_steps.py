"""Training of a classifier, or of its head alone, on one batch after another."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from whence.data import AUGMENTATIONS, MIXINGS
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.averaging import choose_average
from whence.training.distributed import Team
from whence.training.loop import Loop, OnStep
from whence.training.plan import Plan
from whence.training.progress import (
    EpochReport,
    OnEpoch,
    Progress,
    describe_loss,
)
from whence.training.recipes import Recipe, build_optimizer, rate_at
from whence.training.shared_step import Part, SharedStep
from whence.training.sharpness import choose_climb
from whence.training.state import ModuleState, RandomState
from whence.training.step import BatchDraws, LoneStep, choose_criterion


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
    progress = Progress(
        len(train),
        recipe.batch_size,
        plan.epochs,
        device=train.labels.device,
        names=("losses", "hits"),
        word=describe_loss,
    )

    def end_epoch(rate: float) -> None:
        loss, accuracy = progress.mean_loss(), float(progress.numbers_of("hits").mean())
        if on_epoch is not None:
            on_epoch(EpochReport(progress.epoch, loss, accuracy, rate))
            model.train()  # what was called may have measured it in eval mode

    mix = None
    if recipe.mixing is not None:
        mix = partial(MIXINGS.find(recipe.mixing), generator=randomness.generator)
    learned: nn.Module = model
    encode: Callable[[Tensor], Tensor] = model.encode
    if features is None:
        look_up = look_up_augmented(train.images, recipe.augmentation, randomness.generator)
    else:
        learned, encode, look_up = model.head, model.head.embed, look_up_in(features)
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
    frozen = plan.freeze_encoder
    loop = Loop(
        draw=draws.draw,
        step=LoneStep(encode, model.head, criterion)
        if team.size == 1
        else SharedStep(
            Part(model, team, frozen=frozen), team, criterion, seed=plan.seed, frozen=frozen
        ),
        optimizer=build_optimizer(recipe, learned.parameters()),
        rate_at=lambda step: rate_at(
            recipe, step=step, steps_per_epoch=progress.steps_per_epoch, epochs=plan.epochs
        ),
        end_epoch=end_epoch,
        progress=progress,
        randomness=randomness,
        others=(ModuleState(model),),
        climb=choose_climb(learned, recipe.sharpness_radius),
        average=choose_average(learned, recipe.weight_averaging),
    )
    loop.run(resume, on_step)
    return progress.last_loss()


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
