"""The training loop: plain, seeded, and able to go on from any step to the same bits."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from whence.seeds import make_generator, seed_global
from whence.storage.checkpoint import Checkpoint
from whence.training.averaging import WeightAverage
from whence.training.progress import Progress
from whence.training.state import OptimizerState, RandomState, State, pack, unpack

B = TypeVar("B")
Given = TypeVar("Given", contravariant=True)

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
        climb: moves the parameters, while its context lasts, to where the gradient is taken that
            the optimiser gets; None takes it where they are.
        average: of the weights over the steps: the module has it at the end of every epoch and
            after the last one; None leaves the weights of the last step.
    """

    draw: Callable[[Tensor, int], B]
    step: Step[B]
    optimizer: torch.optim.Optimizer
    rate_at: Callable[[int], float]
    end_epoch: Callable[[float], None]
    progress: Progress
    randomness: RandomState
    others: tuple[State, ...]
    climb: Callable[[], AbstractContextManager[None]] | None = None
    average: WeightAverage | None = None

    def run(self, resume: Checkpoint | None, on_step: OnStep | None) -> None:
        """Train from the first step, or from a checkpoint, to the last one.

        Raises:
            ValueError: if the checkpoint is of another training.
            DivergedError: if the loss becomes NaN or infinite.
        """
        progress, optimizer, average = self.progress, self.optimizer, self.average
        averages = () if average is None else (average,)
        states = (*self.others, *averages, OptimizerState(optimizer), self.randomness, progress)
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
            if self.climb is not None:
                with self.climb():
                    again = self.step.loss(batch)[0]
                    optimizer.zero_grad()
                    again.backward()
            optimizer.step()
            progress.add(*self.step.finish(loss.detach(), *counted))
            if average is not None:
                average.update()
            if progress.place == 0:
                with nullcontext() if average is None else average.lent():
                    self.end_epoch(rate)
            if on_step is not None:
                on_step(lambda: pack(states))
        if average is not None:
            average.give()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[RandomState]:
    """Seed a generator and the global ones of a device; the global ones are restored after it."""
    generator = make_generator(seed)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_global(seed)
        yield RandomState(generator, device)
