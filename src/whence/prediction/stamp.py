"""Noticing that a model changed since its memory was encoded."""

from itertools import chain

import torch
from torch import nn


class Stamp:
    """What parameters and statistics were when the bank was made.

    In-place changes count up a tensor's version, except those of fused optimisers, which change
    almost every number; so the first number of every tensor is remembered as well.
    """

    def __init__(self, model: nn.Module) -> None:
        tensors = list(chain(model.parameters(), model.buffers()))
        self.versions = [tensor._version for tensor in tensors]
        self.first = [
            t.detach().as_strided((1,), (1,))
            for t in tensors
            if t.is_floating_point() and t.numel()
        ]
        self.numbers = torch.cat([number.double() for number in self.first])
        self.identity = [id(tensor) for tensor in tensors]

    def fits(self, model: nn.Module) -> bool:
        """Say whether nothing changed since."""
        tensors = list(chain(model.parameters(), model.buffers()))
        return (
            [id(tensor) for tensor in tensors] == self.identity
            and [tensor._version for tensor in tensors] == self.versions
            and torch.equal(torch.cat(self.first).double(), self.numbers)
        )
