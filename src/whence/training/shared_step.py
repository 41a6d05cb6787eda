"""A training step that several processes share; its loss and gradient are those of one process.

Every process draws the same batch and the same memory. It encodes its own rows of both, receives
the other processes' memory features, and answers for its own rows of the batch.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from whence.bounds import BATCH_SIZE
from whence.memory.attention import at_least_float32
from whence.memory.heads import Head
from whence.models.classifier import Classifier
from whence.models.using import encode_frozen
from whence.seeds import seed_global
from whence.training.distributed import Team, rows_of
from whence.training.step import Batch, Criterion, classify


class SharedStep:
    """One process's part of every step of a training.

    Args:
        part: answers this process's rows of a batch; has the same parameters everywhere after this.
        team: the processes.
        criterion: makes the loss.
        seed: of the training; dropout depends on it.
        frozen: the encoder is not trained: steps get features in place of images.
    """

    def __init__(
        self, part: nn.Module, team: Team, criterion: Criterion, *, seed: int, frozen: bool
    ) -> None:
        self.team = team
        self.criterion = criterion
        self.seed = seed
        self.statistics = [] if frozen else find_statistics(part)
        # Buffers are the leader's in every step, torch's default, so that they stay together;
        # ``finish`` averages those of BatchNorm first. The graph is static: every step uses the
        # same parameters, and those that none uses are found once.
        self.part = DistributedDataParallel(part, static_graph=True)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what this process's rows of a batch add to its loss and to its fraction right.

        The processes' gradients are averaged. The mean over this process's rows is weighed by how
        many they are, so that the average is the gradient of the mean over the whole batch, however
        it is divided. Dropout is seeded here: apart in every process, and the same after an
        interruption.
        """
        seed_global(mix(self.seed, batch.step, self.team.rank))
        total = len(batch.images)
        rows = rows_of(total, self.team)
        with self.criterion.autocast(batch.images.device):
            logits = self.part(batch)
        loss, hits = self.criterion.judge_batch(logits, batch, rows)
        weight = (rows.stop - rows.start) * self.team.size / total
        return loss * weight, hits * weight

    def finish(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Average over the processes what a step leaves behind besides gradients.

        BatchNorm's running statistics become the same everywhere, so that it does not matter whose
        a checkpoint holds.

        Args:
            numbers: what this process adds to loss and fraction.

        Returns:
            Loss and fraction of the whole batch.
        """
        parts = [*numbers, *self.statistics]
        flat = torch.cat([part.detach().flatten().float() for part in parts])
        distributed.all_reduce(flat)
        flat /= self.team.size
        averaged = flat.split([part.numel() for part in parts])
        for statistic, value in zip(self.statistics, averaged[len(numbers) :], strict=True):
            statistic.copy_(value.view_as(statistic))
        return tuple(number.squeeze(0) for number in averaged[: len(numbers)])


class Part(nn.Module):
    """Encode and classify some rows of a batch: all that a step computes, in one call.

    DistributedDataParallel needs the whole computation in its ``forward``.
    """

    def __init__(self, model: Classifier, team: Team, *, frozen: bool) -> None:
        super().__init__()
        self.learned = model.head if frozen else model
        self.team = team
        self.frozen = frozen

    def forward(self, batch: Batch) -> Tensor:
        """Compute logits `(b, K)`; the memory is whole, of its images only a share is encoded."""
        rows = rows_of(len(batch.images), self.team)
        images, memory, labels = batch.images[rows], batch.memory, batch.memory_labels
        mask = None if batch.mask is None else batch.mask[rows]
        if self.frozen:
            # torch gives every submodule the type Module
            head: Head = self.learned  # type: ignore[assignment]
            memory = None if memory is None else head.embed(memory)
            return classify(head, head.embed(images), memory, labels, mask)
        # torch gives every submodule the type Module
        model: Classifier = self.learned  # type: ignore[assignment]
        queries = model.encode(images)
        if memory is not None:
            own = model.encode(memory[rows_of(len(memory), self.team)])
            memory = gather(at_least_float32(own), len(memory), self.team)
        return classify(model.head, queries, memory, labels, mask)


def gather(own: Tensor, total: int, team: Team) -> Tensor:
    """Put the rows of all processes together, with gradients.

    Args:
        own: `(m, D)` the rows that ``rows_of`` gives this process.
        total: M, rows of all processes.
        team: the processes.

    Returns:
        `(M, D)`, the same in every process. The gradient of ``own`` is the sum of what all
        processes' losses say of it.
    """
    if team.size == 1:
        return own
    gathered: Tensor = _Gather.apply(own, total, rows_of(total, team))
    return gathered


class _Gather(torch.autograd.Function):
    """Rows are laid into zeros and added up: uneven shares need no other treatment."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, total: int, rows: slice) -> Tensor:
        ctx.rows = rows
        gathered = own.new_zeros(total, *own.shape[1:])
        gathered[rows] = own
        distributed.all_reduce(gathered)
        return gathered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed[ctx.rows], None, None


def encode_together(
    model: Classifier, images: Tensor, team: Team, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Encode `(N, C, H, W)` images in eval mode, each process a share; `(N, D)` everywhere."""
    if team.size == 1:
        return encode_frozen(model, images, batch_size=batch_size)
    with torch.no_grad():
        own = encode_frozen(model, images[rows_of(len(images), team)], batch_size=batch_size)
        return gather(own, len(images), team)


def find_statistics(model: nn.Module) -> list[Tensor]:
    """List the running means and variances of BatchNorm layers."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = [module for module in model.modules() if isinstance(module, kinds)]
    found = [part for layer in layers for part in (layer.running_mean, layer.running_var)]
    return [part for part in found if part is not None]


def mix(*numbers: int) -> int:
    """Turn numbers into a seed, which depends on all their bits."""
    text = " ".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")
