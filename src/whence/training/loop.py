"""The training loop: plain, seeded, and able to go on from any step to the same bits."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from whence.data import AUGMENTATIONS
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.seeds import make_generator, seed_global
from whence.shapes import check_shape
from whence.storage.checkpoint import Checkpoint
from whence.training.distributed import Team
from whence.training.plan import Plan, check_plan, usual_plan
from whence.training.progress import LOWER, DivergedError, Progress
from whence.training.recipes import Recipe, build_optimizer, rate_at
from whence.training.shared_step import SharedStep, encode_together
from whence.training.state import ModuleState, OptimizerState, RandomState, State, pack, unpack
from whence.training.step import BatchDraws, Criterion, LoneStep

B = TypeVar("B")
Given = TypeVar("Given", contravariant=True)

FAR = 100
"""Times the loss of a guess at which the training is said to have diverged."""

OnStep = Callable[[Callable[[], Checkpoint]], None]
"""Called after every step with a function that makes a checkpoint of that moment."""


class Step(Protocol[Given]):
    """How a batch becomes a loss."""

    def loss(self, batch: Given) -> tuple[Tensor, ...]:
        """Return the loss, with gradients, and what else is counted."""

    def finish(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return the numbers of the step, after the parameters were changed."""


@dataclass(frozen=True)
class Loop(Generic[B]):
    """A training, of whatever module: batch, loss, gradient, step, until there is none left.

    Attributes:
        draw: makes the batch of the images at the places `(B,)`, and of a step counted from 0.
        step: makes its loss.
        optimizer: changes the parameters.
        rate_at: gives the learning rate of a step, counted from 0.
        end_epoch: called after every epoch with the rate of its last step.
        progress: where it stands.
        randomness: of the orders of the images, and of everything else that is drawn.
        others: what checkpoints hold besides optimiser, randomness and progress.
    """

    draw: Callable[[Tensor, int], B]
    step: Step[B]
    optimizer: torch.optim.Optimizer
    rate_at: Callable[[int], float]
    end_epoch: Callable[[float], None]
    progress: Progress
    randomness: RandomState
    others: tuple[State, ...]

    def run(self, resume: Checkpoint | None, on_step: OnStep | None) -> None:
        """Train from the first step, or from a checkpoint, to the last one.

        Raises:
            ValueError: if the checkpoint is of another training.
            DivergedError: if the loss becomes NaN or infinite.
        """
        progress, optimizer = self.progress, self.optimizer
        states = (*self.others, OptimizerState(optimizer), self.randomness, progress)
        if resume is not None:
            unpack(states, resume)
        while not progress.done:
            if progress.place == 0:
                order = torch.randperm(progress.total, generator=self.randomness.generator)
                progress.start_epoch(order)
            rate = self.rate_at(progress.step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = self.draw(progress.next_batch(), progress.step)
            loss, *counted = self.step.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.add(*self.step.finish(loss.detach(), *counted))
            if progress.place == 0:
                self.end_epoch(rate)
            if on_step is not None:
                on_step(lambda: pack(states))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[RandomState]:
    """Seed a generator and the global ones of a device; the global ones are restored after it."""
    generator = make_generator(seed)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_global(seed)
        yield RandomState(generator, device)


@dataclass(frozen=True)
class EpochReport:
    """One line of the log: mean loss and training accuracy (fraction) of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float


def fit(
    model: Classifier,
    train: LabelledImages,
    *,
    recipe: Recipe | None = None,
    plan: Plan | None = None,
    features: Tensor | None = None,
    resume: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    team: Team | None = None,
) -> None:
    """Train a classifier in place, on the device that it is on.

    At every step one memory is drawn for the whole batch, without replacement; batch and memory
    go through the encoder as two batches, so that BatchNorm sees them apart, and gradients flow
    through both (La Rosa et al. 2021, A.1.2). A batch image that is in the memory as well may not
    attend to itself unless the plan says so.

    The global random state is left as it was. With the same arguments on the same CPU the result
    is the same to the bit, also when it was interrupted and went on from a checkpoint.

    Args:
        model: trained in place; left in eval mode, without a bank.
        train: N training images, labelled: an ``ImageSet``, (X, y), or a data set of (image, label)
            such as torchvision's ``ImageFolder``.
        recipe: optimiser, schedule, augmentation; None is the paper's.
        plan: epochs, memory and seed; None sees each image 40 times, more often where that is under
            800 steps, with memories of 100 images.
        features: `(N, D)` of the images by the encoder in eval mode, where the plan freezes it;
            None encodes them.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.
        team: the processes that train this model together, each calling this with the same
            arguments (``on_step`` may differ); they end with the same parameters. Batch size and
            memory size are those of all processes together.

    Raises:
        ValueError: if the images are fewer than the memory, or none, or too few to be divided, or
            the checkpoint is of another training, or there are features for an encoder that is
            trained, or of another shape.
        DivergedError: if the loss becomes NaN or infinite, or ends far above that of a guess.
    """
    team, device = team or Team(), model.mean.device
    labelled = as_image_set(train, model, name="train").to(str(device))
    recipe = recipe or Recipe()
    plan = plan or usual_plan(len(labelled), recipe)
    check_plan(len(labelled), recipe, plan, model.has_memory, team)
    check_frozen_features(model, features, len(labelled), plan)
    progress = Progress(
        len(labelled),
        recipe.batch_size,
        plan.epochs,
        device=device,
        names=("losses", "hits"),
        word=describe_loss,
    )

    def end_epoch(rate: float) -> None:
        loss, accuracy = progress.mean_loss(), float(progress.numbers_of("hits").mean())
        if on_epoch is not None:
            on_epoch(EpochReport(progress.epoch, loss, accuracy, rate))
            model.train()  # what was called may have measured it in eval mode

    model.train()
    with seeded(plan.seed, device) as randomness:
        learned: nn.Module = model
        encode: Callable[[Tensor], Tensor] = model.encode
        look_up = look_up_augmented(labelled.images, recipe.augmentation, randomness.generator)
        if plan.freeze_encoder:
            learned, encode = model.head, model.head.embed
            if features is None:
                model.eval()
                features = encode_together(model, labelled.images, team)
                model.train()
            look_up = look_up_in(features.to(device))
        draws = BatchDraws(
            look_up,
            labelled.labels,
            plan.memory_size if model.has_memory else None,
            plan.self_attention,
            randomness.generator,
        )
        criterion = Criterion(recipe.label_smoothing, plan.bfloat16)
        loop = Loop(
            draw=draws.draw,
            step=LoneStep(encode, model.head, criterion)
            if team.size == 1
            else SharedStep(model, team, criterion, seed=plan.seed, frozen=plan.freeze_encoder),
            optimizer=build_optimizer(recipe, learned.parameters()),
            rate_at=lambda step: rate_at(
                recipe, step=step, steps_per_epoch=progress.steps_per_epoch, epochs=plan.epochs
            ),
            end_epoch=end_epoch,
            progress=progress,
            randomness=randomness,
            others=(ModuleState(model),),
        )
        loop.run(resume, on_step)
        model.bank = None
    model.eval()
    check_end(progress.last_loss(), len(labelled.class_names))


def check_frozen_features(
    model: Classifier, features: Tensor | None, total: int, plan: Plan
) -> None:
    """Refuse features that are not those of ``total`` images by a frozen encoder.

    Raises:
        ValueError: naming what they must be.
    """
    if features is None:
        return
    if not plan.freeze_encoder:
        raise ValueError(
            "features are those of a frozen encoder, and this plan trains it; "
            "leave them out, or set freeze_encoder."
        )
    check_shape("features", features, "N D", N=total, D=model.features)


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


def describe_loss(loss: float, step: int) -> str:
    """Say that a loss is not finite, and what to try."""
    return (
        f"The loss became {loss} at step {step}; {LOWER}, or the other precision "
        "(--precision float32)."
    )


def check_end(loss: float, classes: int) -> None:
    """Refuse the last loss of a training that went astray without becoming NaN.

    Raises:
        DivergedError: if it is far above that of answers with the same probability for all classes.
    """
    guess = math.log(classes)
    if loss > FAR * guess:
        raise DivergedError(
            f"The loss ended at {loss:.3g}, far above the {guess:.3g} of a guess; {LOWER}."
        )
