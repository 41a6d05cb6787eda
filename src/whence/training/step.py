"""One step of a classifier's training: a batch and its memory are drawn, then their loss."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.data.balanced_draw import ClassPlaces, draw_alike, draw_memory_alike, weigh_classes
from whence.data.memory_draw import draw_memory
from whence.data.mixing import Mixed
from whence.memory.heads import MemoryHead
from whence.training.plan import Plan
from whence.training.recipes import Recipe


class Batch(NamedTuple):
    """What one step is computed from; of a step that processes share, the same in all of them.

    Attributes:
        images: `(B, C, H, W)` augmented, or `(B, D)` features where the encoder is frozen.
        labels: `(B,)` their classes.
        memory: `(M, C, H, W)` or `(M, D)`; None for a standard model.
        memory_labels: `(M,)` its classes; None for a standard model.
        mask: `(B, M)` bool, True where an image may be used; None allows all.
        step: counted from 0 over the whole training.
        places: `(B,)` which images these are, one of which may be there twice; None where none is.
        counts: `(B,)` how much each counts in the loss; None where all count alike.
        mixed: which images of the batch came into which; None where they are apart.
    """

    images: Tensor
    labels: Tensor
    memory: Tensor | None
    memory_labels: Tensor | None
    mask: Tensor | None
    step: int
    places: Tensor | None = None
    counts: Tensor | None = None
    mixed: Mixed | None = None


@dataclass(frozen=True)
class BatchDraws:
    """Draws the batches of a training, each with a memory of its own.

    Attributes:
        look_up: makes images or features `(n, ...)` from places `(n,)`, on the training's device.
        labels: `(N,)` classes of all training images, there.
        memory_size: M; None for a standard model.
        self_attention: let a batch image that is also in the memory attend to itself.
        generator: of the memories.
        balance: "sampling" draws batches, "memory" memories with as many images of every class.
        counts: `(N,)` how much each training image counts in the loss, there; None: all alike.
        mix: puts the images of a batch together in pairs; None leaves them apart.
    """

    look_up: Callable[[Tensor], Tensor]
    labels: Tensor
    memory_size: int | None
    self_attention: bool
    generator: torch.Generator
    balance: str = "none"
    counts: Tensor | None = None
    mix: Callable[[Tensor], Mixed] | None = None

    @functools.cached_property
    def classes(self) -> ClassPlaces:
        """Return where the images of each class stand."""
        return ClassPlaces.of(self.labels)

    def draw(self, picked: Tensor, step: int) -> Batch:
        """Draw the memory of the images at the places `(B,)` that were picked, and look both up.

        Where batches are balanced, what is picked says only whose turn it is.
        """
        device = self.labels.device
        if self.balance == "sampling":
            picked = draw_alike(self.classes, picked, generator=self.generator)
        places = picked.to(device, non_blocking=True)  # a GPU's work goes on meanwhile
        counted = None if self.counts is None else self.counts[places]
        if self.memory_size is None:
            images, labels = self.look_up(places), self.labels[places]
            mixed = None if self.mix is None else self.mix(images)
            images = images if mixed is None else mixed.images
            return Batch(images, labels, None, None, None, step, counts=counted, mixed=mixed)
        drawn = self.draw_memory(self.memory_size)
        mask = None
        if not self.self_attention:
            mask = (picked[:, None] != drawn).to(device, non_blocking=True)  # (B, M)
        images = self.look_up(places)
        mixed = None if self.mix is None else self.mix(images)
        if mixed is not None:
            images = mixed.images
            mask = mask if mask is None else mask & mask[mixed.others]  # nor to what came in
        stored = drawn.to(device, non_blocking=True)
        memory = self.look_up(stored)
        labels, memory_labels = self.labels[places], self.labels[stored]
        return Batch(images, labels, memory, memory_labels, mask, step, places, counted, mixed)

    def draw_memory(self, memory_size: int) -> Tensor:
        """Draw the places `(M,)` of a memory."""
        if self.balance == "memory":
            return draw_memory_alike(self.classes, memory_size, generator=self.generator)
        return draw_memory(len(self.labels), memory_size, generator=self.generator)


@dataclass(frozen=True)
class Criterion:
    """How logits become a loss.

    Attributes:
        label_smoothing: in [0, 1).
        bfloat16: logits are computed in bfloat16 where that is safe.
        weights: `(K,)` how much an image of each class counts, 1 on average over the training
            images; None counts all alike.
    """

    label_smoothing: float = 0.0
    bfloat16: bool = False
    weights: Tensor | None = None

    def autocast(self, device: torch.device) -> torch.autocast:
        """Run matrix products and convolutions in bfloat16 where asked for."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def judge(
        self,
        logits: Tensor,
        labels: Tensor,
        targets: Tensor | None = None,
        counts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy of `(B, K)` logits, and the fraction that is right.

        Args:
            logits: `(B, K)`.
            labels: `(B,)` true classes.
            targets: `(B, K)` probabilities that the logits are to give; None is the labels.
            counts: `(B,)` how much each image counts besides; None counts all alike.
        """
        wanted = labels if targets is None else targets
        loss = self.measure(logits, labels, wanted, counts)
        return loss, (logits.detach().argmax(1) == labels).float().mean()

    def judge_batch(
        self, logits: Tensor, batch: Batch, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Return what ``judge`` does for the rows `(b, K)` of a batch, of pairs for each of both.

        Of two images in one the loss is the sum of the losses for the label of each, times its
        share; right is the answer of the one that the place is of.
        """
        labels, counts = batch.labels[rows], batch.counts
        counts = None if counts is None else counts[rows]
        if batch.mixed is None:
            return self.judge(logits, labels, counts=counts)
        others, own = batch.mixed.others[rows], batch.mixed.shares[rows].to(logits.dtype)
        came = own.new_ones(len(own)) if batch.counts is None else batch.counts[others]
        loss, right = self.judge(logits, labels, counts=own if counts is None else own * counts)
        other, _ = self.judge(logits, batch.labels[others], counts=(1 - own) * came)
        return loss + other, right

    def measure(
        self, logits: Tensor, labels: Tensor, wanted: Tensor, counts: Tensor | None
    ) -> Tensor:
        """Compute the mean cross-entropy of `(B, K)` logits; images of class c weigh weights[c].

        A weighted mean is divided by the number of images, not by the sum of their weights, so that
        the shares of several processes add up to the loss of one.
        """
        smoothing = self.label_smoothing
        if self.weights is None and counts is None:
            return F.cross_entropy(logits, wanted, label_smoothing=smoothing)
        each = F.cross_entropy(logits, wanted, label_smoothing=smoothing, reduction="none")
        if self.weights is not None:
            each = each * self.weights[labels]
        return (each if counts is None else each * counts).mean()


def choose_criterion(recipe: Recipe, plan: Plan, labels: Tensor, classes: int) -> Criterion:
    """Choose how logits become the loss in a training on images of K classes, labels `(N,)`."""
    weights = weigh_classes(labels, classes) if plan.balance == "loss" else None
    return Criterion(recipe.label_smoothing, plan.bfloat16, weights)


@dataclass(frozen=True)
class LoneStep:
    """A step of a process alone.

    Attributes:
        encode: maps images, or features where the encoder is frozen, to what the head compares.
        head: classifies that.
        criterion: makes the loss.
    """

    encode: Callable[[Tensor], Tensor]
    head: nn.Module
    criterion: Criterion

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch, with gradients, and the fraction of it that is right."""
        with self.criterion.autocast(batch.images.device):
            queries = self.encode(batch.images)
            memory = None if batch.memory is None else self.encode(batch.memory)
            logits = classify(self.head, queries, memory, batch.memory_labels, batch.mask)
        return self.criterion.judge_batch(logits, batch)

    def finish(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return loss and fraction as they are, after the parameters were changed."""
        return numbers


def classify(
    head: nn.Module,
    queries: Tensor,
    memory: Tensor | None,
    labels: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Compute logits `(B, K)` with a memory and its labels or, for a standard model, without."""
    if memory is None:
        logits: Tensor = head(queries)
        return logits
    return cast("MemoryHead", head).logits(queries, memory, mask, labels=labels)
