"""Where a training stands: steps done, the order of this epoch, what its steps have said."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.messages import quote
from whence.storage.checkpoint import Checkpoint

LOWER = "try a lower learning rate (--learning-rate)"


class DivergedError(ValueError):
    """The loss is not finite, or ended far above that of a guess; the message says what to try."""


@dataclass(frozen=True)
class EpochReport:
    """One line of the log: mean loss and training accuracy (fraction) of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float


OnEpoch = Callable[[EpochReport], None]
"""Called after every epoch."""


def describe_loss(loss: float, step: int) -> str:
    """Say that a loss is not finite, and what to try."""
    return (
        f"The loss became {loss} at step {step}; {LOWER}, or the other precision "
        "(--precision float32)."
    )


class Progress:
    """Where a training stands.

    Attributes:
        total: N, training images.
        batch_size: B, images per step; the last, incomplete batch of an epoch is dropped.
        epochs: of the whole training.
        steps_per_epoch: batches in an epoch.
        step: steps done in all epochs.
        place: steps done in this epoch; 0 between two epochs.
        stopped: whether it ends before its last epoch.
    """

    def __init__(
        self,
        total: int,
        batch_size: int,
        epochs: int,
        *,
        device: torch.device,
        names: tuple[str, ...],
        word: Callable[[float, int], str],
    ) -> None:
        """Begin before the first step.

        Args:
            total: N, training images.
            batch_size: images per step, at most; above N it is N.
            epochs: of the whole training.
            device: where the steps are computed.
            names: of the numbers that every step gives; the first, "losses", must stay finite.
            word: makes the sentence about a loss that is not, from the loss and its step.
        """
        self.total, self.batch_size, self.epochs = total, min(batch_size, total), epochs
        self.steps_per_epoch = total // self.batch_size
        self.step = self.place = 0
        self.stopped = False
        self._order = torch.empty(0, dtype=torch.int64)  # (N,) this epoch's order of the images
        self._said: dict[str, list[Tensor]] = {name: [] for name in names}  # by the steps in it
        self._device = device
        self._word = word

    @property
    def done(self) -> bool:
        """Say whether there is no step left."""
        return self.stopped or self.step >= self.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Return how many epochs are whole."""
        return self.step // self.steps_per_epoch

    def start_epoch(self, order: Tensor) -> None:
        """Take the order `(N,)` of the images in a new epoch, and drop the numbers of the last."""
        self._order = order
        for numbers in self._said.values():
            numbers.clear()

    def next_batch(self) -> Tensor:
        """Return the places of the next batch's images, `(B,)`."""
        return self._order[self.place * self.batch_size : (self.place + 1) * self.batch_size]

    def add(self, *numbers: Tensor) -> None:
        """Count one finished step, with one number for each name."""
        for kept, number in zip(self._said.values(), numbers, strict=True):
            kept.append(number)
        self.step += 1
        self.place = self.step % self.steps_per_epoch

    def numbers_of(self, name: str) -> Tensor:
        """Return what the steps of this epoch, or of the one just ended, have said under a name."""
        return torch.stack(self._said[name])

    def last_loss(self) -> float:
        """Return the loss of the last step."""
        return float(self.numbers_of("losses")[-1])

    def mean_loss(self) -> float:
        """Return the mean loss of this epoch so far, or of the one just ended.

        Raises:
            DivergedError: naming the first step whose loss is not finite.
        """
        losses: list[float] = self.numbers_of("losses").tolist()
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise DivergedError(self._word(loss, self.step - len(losses) + place + 1))
        return sum(losses) / len(losses)

    def pack(self) -> Checkpoint:
        """Return step, place, order and all numbers of this epoch.

        Raises:
            DivergedError: if a loss is not finite.
        """
        self.mean_loss()
        said = {name: self.numbers_of(name) for name in self._said}
        return Checkpoint({"order": self._order, **said}, {"step": self.step, "place": self.place})

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Check the position in the epoch, the order of its images, and its numbers so far."""
        tensors, steps = checkpoint.tensors, self.steps_per_epoch
        step, place = checkpoint.numbers.get("step"), checkpoint.numbers.get("place")
        if type(step) is not int or type(place) is not int or place != step % steps:
            return f"a step and its place in {steps}, got {quote(step)} and {quote(place)}"
        if not 1 <= step <= self.epochs * steps:
            return f"a step in 1 to {self.epochs * steps}, got {step}"
        for name in self._said:
            found = tensors.get(name, torch.empty(()))
            if found.shape != (place or steps,) or not found.is_floating_point():
                return f"{place or steps} {name}"
        order = tensors.get("order", torch.empty(()))
        if order.dtype != torch.int64 or not order.sort().values.equal(torch.arange(self.total)):
            return f"the order of {self.total} images"
        return None

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Go to the position of a checkpoint."""
        self.step, self.place = checkpoint.numbers["step"], checkpoint.numbers["place"]
        self._order = checkpoint.tensors["order"]
        for name in self._said:
            self._said[name] = list(checkpoint.tensors[name].to(self._device).unbind())
