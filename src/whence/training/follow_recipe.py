"""A recipe and a plan, followed to the end by trainings in steps and of all images at once."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor, nn

from whence.storage.checkpoint import Checkpoint
from whence.training.averaging import choose_average
from whence.training.loop import Loop, OnStep, Step
from whence.training.plan import Plan
from whence.training.progress import EpochReport, OnEpoch, Progress, describe_loss
from whence.training.recipes import Recipe, build_optimizer, rate_at
from whence.training.sharpness import choose_climb
from whence.training.state import ModuleState, RandomState

Drawn = TypeVar("Drawn")


def follow_recipe(
    learned: nn.Module,
    draw: Callable[[Tensor, int], Drawn],
    step: Step[Drawn],
    randomness: RandomState,
    *,
    total: int,
    recipe: Recipe,
    plan: Plan,
    resume: Checkpoint | None,
    on_step: OnStep | None,
    on_epoch: OnEpoch | None,
    whole: nn.Module | None = None,
) -> float:
    """Train a module as a recipe and a plan say; returns the last loss.

    Args:
        learned: in training mode; its parameters are changed.
        draw: makes the batch of the images at the places `(B,)`, and of a step counted from 0.
        step: makes its loss, and the fraction of it that is right.
        randomness: of all that is drawn, on the device of the module.
        total: N, training images.
        recipe: optimiser, schedule, images per step.
        plan: epochs.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch; it may leave the module in eval mode.
        whole: what checkpoints hold, of which ``learned`` is a part; None is ``learned`` itself.

    Raises:
        ValueError: if the checkpoint is of another training.
        DivergedError: if the loss becomes NaN or infinite.
    """
    whole = learned if whole is None else whole
    progress = Progress(
        total,
        recipe.batch_size,
        plan.epochs,
        device=randomness.device,
        names=("losses", "hits"),
        word=describe_loss,
    )

    def end_epoch(rate: float) -> None:
        loss, accuracy = progress.mean_loss(), float(progress.numbers_of("hits").mean())
        if on_epoch is not None:
            on_epoch(EpochReport(progress.epoch, loss, accuracy, rate))
            whole.train()  # what was called may have measured it in eval mode

    loop = Loop(
        draw=draw,
        step=step,
        optimizer=build_optimizer(recipe, learned.parameters()),
        rate_at=lambda step: rate_at(
            recipe, step=step, steps_per_epoch=progress.steps_per_epoch, epochs=plan.epochs
        ),
        end_epoch=end_epoch,
        progress=progress,
        randomness=randomness,
        others=(ModuleState(whole),),
        climb=choose_climb(learned, recipe.sharpness_radius),
        average=choose_average(learned, recipe.weight_averaging),
    )
    loop.run(resume, on_step)
    return progress.last_loss()
