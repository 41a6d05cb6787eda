"""Averaged weights: what answers in the end is the mean of the parameters over the last steps."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from whence.messages import quote
from whence.storage.checkpoint import Checkpoint
from whence.training.state import find_other_layout


def choose_average(module: nn.Module, decay: float) -> "WeightAverage | None":
    """Return what averages a module's weights; None for the decay 0."""
    return WeightAverage(module, decay) if decay > 0 else None


class WeightAverage:
    """The exponential mean of a module's parameters and running statistics, step by step.

    After step t, counted from 1, that left the numbers w(t): m(t) = d m(t - 1) + (1 - d) w(t), with
    d = min(decay, (t - 1) / (t + 8)), by torch's own averaging (Tarvainen and Valpola 2017,
    arXiv:1703.01780, section 3). The untrained numbers are in no mean, and while steps are few it
    reaches less far back. Whole numbers, such as counts of batches, are not averaged.

    Args:
        module: whose mean it is; its tensors stay the same ones.
        decay: in (0, 1); the mean reaches back about 1 / (1 - decay) steps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.steps = 0
        state = module.state_dict()
        self.current = {name: one for name, one in state.items() if one.is_floating_point()}
        self.mean = {name: one.clone() for name, one in self.current.items()}

    def update(self) -> None:
        """Take up the parameters as they are after a step."""
        self.steps += 1
        average = get_ema_multi_avg_fn(min(self.decay, (self.steps - 1) / (self.steps + 8)))
        groups: dict[torch.dtype, list[str]] = {}
        for name, tensor in self.current.items():
            groups.setdefault(tensor.dtype, []).append(name)
        for names in groups.values():
            means, currents = ([one[name] for name in names] for one in (self.mean, self.current))
            average(means, currents, None)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the module the mean while the context lasts, then its own numbers again."""
        own = {name: tensor.clone() for name, tensor in self.current.items()}
        self.give()
        try:
            yield
        finally:
            copy_tensors(own, self.current)

    def give(self) -> None:
        """Give the module the mean."""
        copy_tensors(self.mean, self.current)

    def pack(self) -> Checkpoint:
        """Name every mean ``average.NAME``."""
        tensors = {f"average.{name}": tensor for name, tensor in self.mean.items()}
        return Checkpoint(tensors, {"averaged_steps": self.steps})

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Compare names, shapes and types with the mean's, and look at its steps."""
        steps = checkpoint.numbers.get("averaged_steps")
        if type(steps) is not int or steps < 1:
            return f"averaged_steps from 1 on, got {quote(steps)}"
        return find_other_layout("average", checkpoint, self.mean)

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Take the means and their number."""
        self.steps = checkpoint.numbers["averaged_steps"]
        copy_tensors({name: checkpoint.tensors[f"average.{name}"] for name in self.mean}, self.mean)


def copy_tensors(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Copy numbers into the tensors of the same names."""
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])
