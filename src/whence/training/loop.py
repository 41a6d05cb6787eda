"""The training loop: plain, seeded, and able to go on from any step to the same bits."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data import AUGMENTATIONS
from whence.data.memory_draw import draw_memory
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.storage.checkpoint import Checkpoint
from whence.training.checkpoint import pack, unpack
from whence.training.distributed import Team
from whence.training.progress import EpochReport, Progress
from whence.training.recipes import Recipe, build_optimizer, rate_at
from whence.training.shared_step import SharedStep, check_shares, encode_together


@dataclass(frozen=True)
class Plan:
    """What a training consists of besides its recipe.

    Attributes:
        epochs: how often every image is seen.
        memory_size: M, images drawn into the memory at every step.
        seed: of the batches, the memories, the augmentation and dropout.
        self_attention: let a batch image that is also in the memory attend to itself, as the
            authors' code does.
        freeze_encoder: keep the encoder as it is, encode every image once, train the head alone.
        bfloat16: run the encoder and the classifier in bfloat16; attention stays float32.
    """

    epochs: int
    memory_size: int = 100
    seed: int = 0
    self_attention: bool = False
    freeze_encoder: bool = False
    bfloat16: bool = False


def fit(
    model: Classifier,
    train: ImageSet,
    *,
    recipe: Recipe,
    plan: Plan,
    resume: Checkpoint | None = None,
    on_step: Callable[[Callable[[], Checkpoint]], None] | None = None,
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
        train: the training images; N of them, uint8.
        recipe: optimiser, schedule, augmentation.
        plan: epochs, memory and seed.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.
        team: the processes that train this model together, each calling this with the same
            arguments (``on_step`` may differ); they end with the same parameters. Batch size and
            memory size are those of all processes together.

    Raises:
        ValueError: if the images are fewer than the memory, or none, or too few to be divided.
        NonFiniteLossError: if the loss becomes NaN or infinite.
    """
    total, team = len(train), team or Team()
    check_plan(total, recipe, plan, model.has_memory, team)
    device = model.mean.device
    train = train.to(str(device))
    batch_size = min(recipe.batch_size, total)
    steps_per_epoch = total // batch_size
    generator = torch.Generator().manual_seed(plan.seed)
    devices = [device] if device.type == "cuda" else []
    model.train()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(plan.seed)
        cached = encode_together(model, train.images, team) if plan.freeze_encoder else None
        together = SharedStep(model, team, frozen=plan.freeze_encoder) if team.size > 1 else None
        learned = model.head if plan.freeze_encoder else model
        optimizer = build_optimizer(recipe, learned.parameters())
        progress = Progress(total, steps_per_epoch)
        if resume is not None:
            unpack(resume, model, optimizer, generator, progress)
        while progress.step < plan.epochs * steps_per_epoch:
            if progress.place == 0:
                progress.start_epoch(torch.randperm(total, generator=generator))
            picked = progress.next_batch(batch_size)
            rate = rate_at(
                recipe, step=progress.step, steps_per_epoch=steps_per_epoch, epochs=plan.epochs
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss, hits = compute_loss(
                model, train, cached, picked, recipe, plan, generator, together, progress.step
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss = loss.detach()
            if together is not None:
                loss, hits = together.finish(loss, hits)
            progress.add(loss, hits)
            if progress.place == steps_per_epoch:
                report = progress.end_epoch(rate)
                if on_epoch is not None:
                    on_epoch(report)
            if on_step is not None:
                on_step(lambda: pack(model, optimizer, generator, progress))
        model.bank = None
    model.eval()


def check_plan(total: int, recipe: Recipe, plan: Plan, has_memory: bool, team: Team) -> None:
    """Refuse a training that cannot start."""
    if total == 0:
        raise ValueError("train must hold at least one image, got none.")
    if plan.epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {plan.epochs}.")
    if has_memory and not 1 <= plan.memory_size <= total:
        raise ValueError(
            f"memory_size must be in 1 to {total}, the number of training images, "
            f"got {plan.memory_size}."
        )
    if has_memory and plan.memory_size == 1 and not plan.self_attention:
        raise ValueError(
            "memory_size must be at least 2, because an image may not attend to itself, got 1."
        )
    batch_size = min(recipe.batch_size, total)
    check_shares(batch_size, plan.memory_size if has_memory else None, team)


def compute_loss(
    model: Classifier,
    train: ImageSet,
    cached: Tensor | None,
    picked: Tensor,
    recipe: Recipe,
    plan: Plan,
    generator: torch.Generator,
    together: SharedStep | None,
    step: int,
) -> tuple[Tensor, Tensor]:
    """Draw a memory and compute the loss of one batch, and the fraction of it that is right.

    Of a step that processes share, what this process adds to both.
    """
    device = train.images.device
    drawn = None
    if model.has_memory:
        drawn = draw_memory(len(train), plan.memory_size, generator=generator)
    with autocast(device, enabled=plan.bfloat16):
        logits = forward(
            model, train, cached, picked, drawn, recipe, plan, generator, together, step
        )
    labels = train.labels[picked.to(device, non_blocking=True)]
    if together is not None:
        labels = labels[together.rows(len(picked))]
    loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    hits = (logits.detach().argmax(1) == labels).float().mean()
    if together is None:
        return loss, hits
    weight = together.weight(len(picked))
    return loss * weight, hits * weight


def forward(
    model: Classifier,
    train: ImageSet,
    cached: Tensor | None,
    picked: Tensor,
    drawn: Tensor | None,
    recipe: Recipe,
    plan: Plan,
    generator: torch.Generator,
    together: SharedStep | None,
    step: int,
) -> Tensor:
    """Compute the logits `(B, K)` of one training batch with its memory.

    Of a step that processes share, those of this process's rows of the batch, `(b, K)`.
    """

    def look_up(indices: Tensor) -> Tensor:
        there = indices.to(train.images.device, non_blocking=True)  # a GPU's work goes on meanwhile
        if cached is not None:
            return cached[there]
        augment = AUGMENTATIONS[recipe.augmentation]
        images: Tensor = augment(train.images[there], generator=generator)
        return images

    def encode(indices: Tensor) -> Tensor:
        found = look_up(indices)
        return found if cached is not None else model.encode(found)

    mask = None
    if drawn is not None and not plan.self_attention:
        mask = (picked[:, None] != drawn).to(model.mean.device, non_blocking=True)  # (B, M)
    if together is not None:
        batch = look_up(picked)
        memory = None if drawn is None else look_up(drawn)
        return together.forward(batch, memory, mask, seed=plan.seed, step=step)
    queries = encode(picked)
    if drawn is None:
        logits: Tensor = model.head(queries)
        return logits
    return model.memory_head.logits(queries, encode(drawn), mask)


def autocast(device: torch.device, *, enabled: bool) -> AbstractContextManager[None]:
    """Run matrix products and convolutions in bfloat16 where asked for."""
    context: AbstractContextManager[None] = torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=enabled
    )
    return context
