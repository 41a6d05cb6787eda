"""Where a training stands, and what it says of an epoch."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EpochReport:
    """One line of the log: mean loss and training accuracy (fraction) of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the message names the step and what to try."""


class Progress:
    """Where a training stands: steps done, the order of this epoch, its losses so far."""

    def __init__(self, total: int, steps_per_epoch: int) -> None:
        self.total = total
        self.steps_per_epoch = steps_per_epoch
        self.step = 0
        self.place = 0  # steps done in this epoch
        self.order = torch.empty(0, dtype=torch.int64)  # (N,) this epoch's order of the images
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []

    def start_epoch(self, order: Tensor) -> None:
        """Take the order of a new epoch."""
        self.order, self.losses, self.hits = order, [], []

    def next_batch(self, batch_size: int) -> Tensor:
        """Return the indices of the next batch, `(B,)`."""
        return self.order[self.place * batch_size : (self.place + 1) * batch_size]

    def add(self, loss: Tensor, hits: Tensor) -> None:
        """Count one finished step."""
        self.losses.append(loss)
        self.hits.append(hits)
        self.step += 1
        self.place += 1

    def check_losses(self) -> list[float]:
        """Read the losses of this epoch so far, and stop at one that is not finite.

        Raises:
            NonFiniteLossError: naming the first such step.
        """
        losses: list[float] = torch.stack(self.losses).tolist() if self.losses else []
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self.step - len(losses) + place + 1
                raise NonFiniteLossError(
                    f"The loss became {loss} at step {step}; try a lower learning rate "
                    "(--learning-rate), or the other precision (--precision float32)."
                )
        return losses

    def end_epoch(self, rate: float) -> EpochReport:
        """Close the epoch and report on it."""
        losses = self.check_losses()
        accuracy = float(torch.stack(self.hits).mean())
        self.place = 0
        epoch = self.step // self.steps_per_epoch
        return EpochReport(epoch, sum(losses) / len(losses), accuracy, rate)
