"""The training of an autoencoder, able to go on from any step to the same bits."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.autoencoders.best_epoch import BestEpoch
from whence.autoencoders.vae import VAE
from whence.bounds import BATCH_SIZE, check_number
from whence.data.as_images import Images, as_images
from whence.kinds import check_arguments, check_fields
from whence.models.evaluating import evaluating
from whence.seeds import make_generator
from whence.storage.checkpoint import Checkpoint
from whence.training.loop import Loop, OnStep, seeded
from whence.training.progress import LOWER, DivergedError, Progress
from whence.training.state import ModuleState

FAR_BELOW = 10
"""Times the bound of the worst images at which the training is said to have diverged."""


@dataclass(frozen=True)
class VAEPlan:
    """How an autoencoder is trained: Adam, its rate falling along half a cosine to zero.

    Attributes:
        epochs: how often every image is seen, at most.
        batch_size: images per step; the last, incomplete batch of an epoch is dropped.
        learning_rate: at the start.
        patience: epochs without a better bound on the validation images before it stops early; 0
            never stops early.
        seed: of the batches, the codes sampled, and dropout.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    patience: int = 10
    seed: int = 0


@dataclass(frozen=True)
class VAEReport:
    """One line of the log: mean bound in nats on training and validation images (None: none)."""

    epoch: int
    train_elbo: float
    validation_elbo: float | None
    learning_rate: float


@check_arguments
def fit_vae(
    vae: VAE,
    images: Images,
    validation: Images = (),
    *,
    plan: VAEPlan,
    resume: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_epoch: Callable[[VAEReport], None] | None = None,
) -> None:
    """Train an autoencoder in place, on the device that it is on, and leave it in eval mode.

    It ends with the parameters of the epoch that was best on the validation images, or the last
    ones where there are none. The global random state is left as it was. With the same arguments on
    the same CPU the result is the same to the bit, also when it went on from a checkpoint.

    Args:
        vae: trained in place.
        images: `(N, C, H, W)` uint8, at least two; or arrays, PIL images, files, or a list of
            these.
        validation: `(V, C, H, W)`, or others of these; none of them means no early stop.
        plan: epochs, batches, rate and seed.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.

    Raises:
        ValueError: if the numbers do not fit, or the checkpoint is of another training.
        DivergedError: if the bound becomes NaN or infinite, or ends far below that of the worst
            images.
    """
    device = vae.variance.device
    learnt = as_images(images, vae).to(device)
    held_out = as_images(validation, vae, name="validation").to(device)
    check_vae_plan(plan, len(learnt))
    progress = Progress(
        len(learnt),
        plan.batch_size,
        plan.epochs,
        device=device,
        names=("losses",),
        word=describe_bound,
    )
    best = BestEpoch(vae, progress, patience=plan.patience)

    def end_epoch(rate: float) -> None:
        train_elbo, elbo = -progress.mean_loss(), None
        if len(held_out) > 0:
            vae.eval()
            elbo = measure_bound(vae, held_out, seed=plan.seed)
            vae.train()
            check_validation(elbo, progress.epoch)
            best.compare(elbo)
        if on_epoch is not None:
            on_epoch(VAEReport(progress.epoch, train_elbo, elbo, rate))
            vae.train()  # what was called may have measured it in eval mode

    vae.train()
    with seeded(plan.seed, device) as randomness:

        def draw(picked: Tensor, step: int) -> NoisyBatch:
            noise = torch.randn(len(picked), vae.codes, generator=randomness.generator)
            return NoisyBatch(learnt[picked.to(device)], noise)

        steps = plan.epochs * progress.steps_per_epoch
        loop = Loop(
            draw=draw,
            step=BoundStep(vae),
            optimizer=torch.optim.Adam(vae.parameters(), lr=plan.learning_rate, fused=True),
            rate_at=lambda step: plan.learning_rate * cosine(step / steps),
            end_epoch=end_epoch,
            progress=progress,
            randomness=randomness,
            others=(ModuleState(vae), best),
        )
        loop.run(resume, on_step)
    best.restore()
    vae.eval()
    check_end_of_vae(vae, best.elbo if best.tensors else -progress.last_loss())


class NoisyBatch(NamedTuple):
    """Images `(B, C, H, W)` of one step, and the numbers `(B, Z)` that make a sample of codes."""

    images: Tensor
    noise: Tensor


@dataclass(frozen=True)
class BoundStep:
    """A step whose loss is minus the mean bound."""

    vae: VAE

    def loss(self, batch: NoisyBatch) -> tuple[Tensor]:
        """Return the loss of a batch, with gradients."""
        return (-self.vae.bound(batch.images, batch.noise).elbo.mean(),)

    def finish(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return the loss as it is, after the parameters were changed."""
        return numbers


def describe_bound(loss: float, step: int) -> str:
    """Say that a bound is not finite, and what to try."""
    return f"The bound became {-loss} at step {step}; {LOWER}."


def check_validation(elbo: float, epoch: int) -> None:
    """Stop at a bound of the validation images that is not finite.

    Raises:
        DivergedError: naming the epoch.
    """
    if not math.isfinite(elbo):
        raise DivergedError(
            f"The bound of the validation images became {elbo} in epoch {epoch}; {LOWER}."
        )


def check_end_of_vae(vae: VAE, elbo: float) -> None:
    """Refuse the bound of a training that went astray without becoming NaN.

    Raises:
        DivergedError: if it is far below that of images whose every pixel is as wrong as can be,
            from codes that say nothing.
    """
    variance = 1.0 if vae.calibrated else float(vae.variance)
    worst = -math.prod(vae.image_shape) / 2 * (math.log(2 * math.pi * variance) + 1 / variance)
    if elbo < FAR_BELOW * worst:
        raise DivergedError(
            f"The bound ended at {elbo:.3g} nats, far below the {worst:.3g} of images with every "
            f"pixel wrong; {LOWER}."
        )


def check_vae_plan(plan: VAEPlan, total: int) -> None:
    """Refuse a training that cannot start."""
    if total < 2:
        raise ValueError(f"images must be at least 2, got {total}.")
    check_fields(plan)
    for name in ("epochs", "patience", "seed"):
        check_number(name, getattr(plan, name))
    check_number("batch_size", plan.batch_size, least=2)
    check_number("learning_rate", plan.learning_rate, above=0)


def cosine(done: float) -> float:
    """Return the part of the rate that is left when ``done`` of the training is."""
    return (1 + math.cos(math.pi * done)) / 2


def measure_bound(vae: VAE, images: Tensor, *, seed: int, batch_size: int = BATCH_SIZE) -> float:
    """Return the mean bound of `(N, C, H, W)` images in nats, in eval mode, one sample each."""
    noise = torch.randn(len(images), vae.codes, generator=make_generator(seed))
    with evaluating(vae):
        bounds = [
            vae.bound(batch, drawn).elbo.double()
            for batch, drawn in zip(images.split(batch_size), noise.split(batch_size), strict=True)
        ]
    return float(torch.cat(bounds).mean())
