"""A training step that several processes share; its loss and gradient are those of one process.

Every process draws the same batch and the same memory. It encodes its own rows of both, receives
the other processes' memory features, and answers for its own rows of the batch.
"""

import hashlib
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from whence.memory.attention import at_least_float32
from whence.memory.heads import MemoryHead
from whence.models.classifier import Classifier, encode_all
from whence.training.distributed import Team

LEAST_ROWS = 2
"""Images of the batch, and of the memory, that a process needs: BatchNorm needs more than one."""


class SharedStep:
    """One process's part of every step of a training.

    Args:
        model: has the same parameters everywhere after this.
        team: the processes.
        frozen: the encoder is not trained: steps get features in place of images.
    """

    def __init__(self, model: Classifier, team: Team, *, frozen: bool) -> None:
        self.team = team
        self.statistics = [] if frozen else find_statistics(model)
        # Buffers are the leader's in every step, torch's default, so that they stay together;
        # ``finish`` averages those of BatchNorm first. The graph is static: every step uses the
        # same parameters, and those that none uses are found once.
        self.part = DistributedDataParallel(
            Part(model.head if frozen else model, team, frozen=frozen), static_graph=True
        )

    def forward(
        self, batch: Tensor, memory: Tensor | None, mask: Tensor | None, *, seed: int, step: int
    ) -> Tensor:
        """Compute the logits `(b, K)` of this process's rows of the batch.

        Dropout is seeded here: apart in every process, and the same after an interruption.

        Args:
            batch: `(B, C, H, W)` images, or `(B, D)` features where the encoder is frozen; the
                same in every process.
            memory: `(M, C, H, W)` or `(M, D)`, likewise; None for a standard model.
            mask: `(B, M)` bool, True where an image may be used; None allows all.
            seed: of the training.
            step: counted over the whole training.
        """
        torch.manual_seed(mix(seed, step, self.team.rank))
        rows = self.rows(len(batch))
        logits: Tensor = self.part(batch[rows], memory, None if mask is None else mask[rows])
        return logits

    def rows(self, total: int) -> slice:
        """Return which of ``total`` rows are this process's."""
        return rows_of(total, self.team)

    def weight(self, total: int) -> float:
        """Return what the mean over this process's rows is multiplied by.

        The processes' gradients are averaged; so weighed, their average is the gradient of the mean
        over all ``total`` rows, however they are divided.
        """
        rows = self.rows(total)
        own: int = rows.stop - rows.start
        return own * self.team.size / total

    def finish(self, loss: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        """Average over the processes what a step leaves behind besides gradients.

        BatchNorm's running statistics become the same everywhere, so that it does not matter whose
        a checkpoint holds.

        Args:
            loss: the weighed loss of this process.
            hits: the weighed fraction of its rows that are right.

        Returns:
            Loss and fraction of the whole batch.
        """
        parts = [loss, hits, *self.statistics]
        flat = torch.cat([part.detach().flatten().float() for part in parts])
        distributed.all_reduce(flat)
        flat /= self.team.size
        averaged = flat.split([part.numel() for part in parts])
        for statistic, value in zip(self.statistics, averaged[2:], strict=True):
            statistic.copy_(value.view_as(statistic))
        return averaged[0].squeeze(0), averaged[1].squeeze(0)


class Part(nn.Module):
    """Encode and classify some rows of a batch: all that a step computes, in one call.

    DistributedDataParallel needs the whole computation in its ``forward``.
    """

    def __init__(self, learned: nn.Module, team: Team, *, frozen: bool) -> None:
        super().__init__()
        self.learned = learned
        self.team = team
        self.frozen = frozen

    def forward(self, rows: Tensor, memory: Tensor | None, mask: Tensor | None) -> Tensor:
        """Compute logits `(b, K)`; the memory is whole, of its images only a share is encoded."""
        if self.frozen:
            return read(self.learned, rows, memory, mask)
        # torch gives every submodule the type Module
        model: Classifier = self.learned  # type: ignore[assignment]
        queries = model.encode(rows)
        if memory is not None:
            own = model.encode(memory[rows_of(len(memory), self.team)])
            memory = gather(at_least_float32(own), len(memory), self.team)
        return read(model.head, queries, memory, mask)


def read(head: nn.Module, queries: Tensor, memory: Tensor | None, mask: Tensor | None) -> Tensor:
    """Classify features with a memory, or without one."""
    if memory is None:
        logits: Tensor = head(queries)
        return logits
    return cast("MemoryHead", head).logits(queries, memory, mask)


def rows_of(total: int, team: Team) -> slice:
    """Divide ``total`` rows among the processes, as evenly as can be.

    >>> [rows_of(7, Team(rank, 3)) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(team.rank * total // team.size, (team.rank + 1) * total // team.size)


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


def encode_together(model: Classifier, images: Tensor, team: Team) -> Tensor:
    """Encode `(N, C, H, W)` images in eval mode, each process a share; `(N, D)` everywhere."""
    if team.size == 1:
        return encode_all(model, images)
    with torch.no_grad():
        own = encode_all(model, images[rows_of(len(images), team)])
        return gather(own, len(images), team)


def find_statistics(model: nn.Module) -> list[Tensor]:
    """List the running means and variances of BatchNorm layers."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    layers = [module for module in model.modules() if isinstance(module, kinds)]
    found = [part for layer in layers for part in (layer.running_mean, layer.running_var)]
    return [part for part in found if part is not None]


def mix(*numbers: int) -> int:
    """Turn numbers into a seed below 2**32; a generator on the CPU looks at no higher bits."""
    text = " ".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")


def check_shares(batch_size: int, memory_size: int | None, team: Team) -> None:
    """Refuse a batch or a memory that is too small to be divided.

    Args:
        batch_size: B.
        memory_size: M, None for a standard model.
        team: the processes.

    Raises:
        ValueError: with what came and what it must be.
    """
    least = LEAST_ROWS * team.size
    for name, total in (("batch_size", batch_size), ("memory_size", memory_size)):
        if team.size > 1 and total is not None and total < least:
            raise ValueError(
                f"{name} must be at least {least}, {LEAST_ROWS} images for each of {team.size} "
                f"processes, got {total}; start fewer processes."
            )
