"""The training loop of an autoencoder, able to go on from any step to the same bits."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.encoders.weights import copy_into
from whence.models.classifier import evaluating
from whence.storage.checkpoint import Checkpoint
from whence.storage.tensors import layouts_of
from whence.training.checkpoint import find_misfit_of_optimizer, lay_out_like, optimizer_parts


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


@dataclass
class VAEProgress:
    """Where a training stands, and the best parameters so far."""

    step: int = 0
    place: int = 0  # steps done in this epoch
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    losses: list[Tensor] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_elbo: float = -math.inf
    worse: int = 0  # epochs since the best
    stopped: bool = False


def fit_vae(
    vae: VAE,
    images: Tensor,
    validation: Tensor,
    *,
    plan: VAEPlan,
    resume: Checkpoint | None = None,
    on_step: Callable[[Callable[[], Checkpoint]], None] | None = None,
    on_epoch: Callable[[VAEReport], None] | None = None,
) -> None:
    """Train an autoencoder in place, on the device that it is on, and leave it in eval mode.

    It ends with the parameters of the epoch that was best on the validation images, or the last
    ones where there are none. The global random state is left as it was. With the same arguments on
    the same CPU the result is the same to the bit, also when it went on from a checkpoint.

    Args:
        vae: trained in place.
        images: `(N, C, H, W)` uint8, at least two.
        validation: `(V, C, H, W)` uint8; none of them means no early stop.
        plan: epochs, batches, rate and seed.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.

    Raises:
        ValueError: if the numbers do not fit, the checkpoint is of another training, or the bound
            becomes NaN or infinite.
    """
    check_vae_plan(plan, len(images))
    device = vae.variance.device
    images, validation = images.to(device), validation.to(device)
    batch_size = min(plan.batch_size, len(images))
    steps = len(images) // batch_size
    generator = torch.Generator().manual_seed(plan.seed)
    vae.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(plan.seed)
        optimizer = torch.optim.Adam(vae.parameters(), lr=plan.learning_rate, fused=True)
        progress = VAEProgress()
        if resume is not None:
            unpack_vae(resume, vae, optimizer, generator, progress, steps, len(images))
        while progress.step < plan.epochs * steps and not progress.stopped:
            if progress.place == 0:
                progress.order = torch.randperm(len(images), generator=generator)
                progress.losses = []
            start = progress.place * batch_size
            picked = progress.order[start : start + batch_size]
            rate = plan.learning_rate * cosine(progress.step / (plan.epochs * steps))
            optimizer.param_groups[0]["lr"] = rate
            noise = torch.randn(batch_size, vae.codes, generator=generator)
            loss = -vae.bound(images[picked.to(device)], noise).elbo.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.losses.append(loss.detach())
            progress.step += 1
            progress.place += 1
            if progress.place == steps:
                report = end_epoch(vae, validation, plan, progress, steps, rate)
                if on_epoch is not None:
                    on_epoch(report)
            if on_step is not None:
                on_step(lambda: pack_vae(vae, optimizer, generator, progress))
    if progress.best:
        copy_into(vae, progress.best)
    vae.eval()


def check_vae_plan(plan: VAEPlan, total: int) -> None:
    """Refuse a training that cannot start."""
    if total < 2:
        raise ValueError(f"images must be at least 2, got {total}.")
    for name, low in (("epochs", 1), ("batch_size", 2), ("patience", 0), ("seed", 0)):
        if getattr(plan, name) < low:
            raise ValueError(f"{name} must be at least {low}, got {getattr(plan, name)}.")
    if not 0 < plan.learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0, got {plan.learning_rate}.")
    if plan.seed >= 2**63:
        raise ValueError(f"seed must be below 2**63, got {plan.seed}.")


def cosine(done: float) -> float:
    """Return the part of the rate that is left when ``done`` of the training is."""
    return (1 + math.cos(math.pi * done)) / 2


def end_epoch(
    vae: VAE, validation: Tensor, plan: VAEPlan, progress: VAEProgress, steps: int, rate: float
) -> VAEReport:
    """Close an epoch: measure the validation images, keep the best parameters, or stop."""
    train_elbo = -sum(check_losses(progress)) / steps
    progress.place = 0
    if len(validation) == 0:
        return VAEReport(progress.step // steps, train_elbo, None, rate)
    elbo = measure_bound(vae, validation, seed=plan.seed)
    if elbo > progress.best_elbo:
        progress.best_elbo, progress.worse = elbo, 0
        progress.best = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    else:
        progress.worse += 1
        progress.stopped = plan.patience > 0 and progress.worse >= plan.patience
    return VAEReport(progress.step // steps, train_elbo, elbo, rate)


def check_losses(progress: VAEProgress) -> list[float]:
    """Read the losses of this epoch so far, and refuse one that is not finite."""
    losses: list[float] = torch.stack(progress.losses).tolist() if progress.losses else []
    for place, loss in enumerate(losses):
        if not math.isfinite(loss):
            step = progress.step - len(losses) + place + 1
            raise ValueError(
                f"The bound became {-loss} at step {step}; try a lower learning rate "
                "(--learning-rate)."
            )
    return losses


def measure_bound(vae: VAE, images: Tensor, *, seed: int, batch_size: int = 500) -> float:
    """Return the mean bound of `(N, C, H, W)` images in nats, in eval mode, one sample each."""
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    with evaluating(vae):
        for batch in images.split(batch_size):
            noise = torch.randn(len(batch), vae.codes, generator=generator)
            total += float(vae.bound(batch, noise).elbo.double().sum())
    return total / len(images)


def pack_vae(
    vae: VAE, optimizer: torch.optim.Optimizer, generator: torch.Generator, progress: VAEProgress
) -> Checkpoint:
    """Copy parameters, the best ones, optimiser, random states and position.

    Raises:
        ValueError: rather than keeping a training that went wrong.
    """
    check_losses(progress)
    tensors = {f"model.{name}": tensor for name, tensor in vae.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in progress.best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{number}.{name}"] = value
    tensors["random.draws"] = generator.get_state()
    tensors["random.global"] = torch.get_rng_state()
    device = vae.variance.device
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    tensors["order"] = progress.order
    tensors["losses"] = torch.stack(progress.losses)
    copied = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    numbers = {
        "step": progress.step,
        "place": progress.place,
        "best_elbo": progress.best_elbo if progress.best else None,
        "worse": progress.worse,
        "stopped": progress.stopped,
    }
    return Checkpoint(copied, numbers)


def unpack_vae(
    checkpoint: Checkpoint,
    vae: VAE,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    progress: VAEProgress,
    steps: int,
    total: int,
) -> None:
    """Put a training back to the moment of ``pack_vae``; all of it, or nothing if it does not fit.

    Raises:
        ValueError: if the checkpoint does not fit the autoencoder, the optimiser or the position.
    """
    tensors, numbers = checkpoint.tensors, checkpoint.numbers
    learned: list[Tensor] = list(vae.parameters())
    problem = (
        find_misfit_of_vae(checkpoint, vae)
        or find_misfit_of_optimizer(tensors, learned)
        or find_misfit_of_position(checkpoint, steps, total)
    )
    if problem is not None:
        raise ValueError(f"The checkpoint must hold {problem}; it is of another training.")
    device = vae.variance.device
    try:
        generator.set_state(tensors["random.draws"])
        torch.set_rng_state(tensors["random.global"])
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], device)
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"The checkpoint must hold whole random states ({error}).") from error
    names = list(vae.state_dict())
    copy_into(vae, {name: tensors[f"model.{name}"] for name in names})
    state: dict[int, dict[str, Tensor]] = {}
    for number, name, tensor in optimizer_parts(tensors):
        state.setdefault(number, {})[name] = lay_out_like(tensor, learned[number])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    progress.step, progress.place = numbers["step"], numbers["place"]
    progress.order = tensors["order"]
    progress.losses = list(tensors["losses"].to(device).unbind())
    progress.worse, progress.stopped = numbers["worse"], numbers["stopped"]
    if numbers["best_elbo"] is not None:
        progress.best_elbo = numbers["best_elbo"]
        progress.best = {name: tensors[f"best.{name}"].to(device) for name in names}


def find_misfit_of_vae(checkpoint: Checkpoint, vae: VAE) -> str | None:
    """Compare both sets of parameters with the autoencoder; return what is wanted, or None."""
    found = layouts_of(checkpoint.tensors)
    parts = ["model"] if checkpoint.numbers.get("best_elbo") is None else ["model", "best"]
    for part in parts:
        for name, layout in layouts_of(vae.state_dict()).items():
            if found.get(f"{part}.{name}") != layout:
                return f"{name} {layout}, got {found.get(f'{part}.{name}', 'nothing')}"
    return None


def find_misfit_of_position(checkpoint: Checkpoint, steps: int, total: int) -> str | None:
    """Check the position in the epoch, the order of its images, and its losses so far."""
    numbers = checkpoint.numbers
    step, place, best = numbers.get("step"), numbers.get("place"), numbers.get("best_elbo")
    if type(step) is not int or step < 1 or place != step % steps:
        return f"a step and its place in {steps}, got {step!r} and {place!r}"
    if type(numbers.get("worse")) is not int or type(numbers.get("stopped")) is not bool:
        return "the epochs since the best one"
    if "best_elbo" not in numbers or not (best is None or type(best) is float):
        return f"the best bound, got {best!r}"
    losses = checkpoint.tensors.get("losses", torch.empty(()))
    if losses.shape != (place or steps,):
        return f"{place or steps} losses"
    order = checkpoint.tensors.get("order", torch.empty(()))
    if order.ndim != 1 or order.sort().values.tolist() != list(range(total)):
        return f"the order of {total} images"
    return None
