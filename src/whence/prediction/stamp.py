"""Noticing that a model changed since its memory was encoded."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Stamp:
    """What parameters and statistics were when the bank was made.

    In-place changes count up a tensor's version, except those of fused optimisers, which change
    almost every number; so the first number of every tensor is remembered as well. The parts of
    the model are held with the dictionaries they stand in, because walking through all modules for
    every answer takes long beside a small encoder.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = id(model)
        self.places: list[Mapping[str, object]] = [
            places
            for module in model.modules()
            for places in (module._parameters, module._buffers, module._modules)
        ]
        self.parts = [dict(places) for places in self.places]
        self.tensors = [
            part for parts in self.parts for part in parts.values() if isinstance(part, Tensor)
        ]
        self.versions = [tensor._version for tensor in self.tensors]
        self.addresses = [tensor.data_ptr() for tensor in self.tensors]
        self.first = [
            tensor.detach().as_strided((1,), (1,))
            for tensor in self.tensors
            if tensor.is_floating_point() and tensor.numel()
        ]
        self.numbers = torch.cat(self.first)

    def fits(self, model: nn.Module) -> bool:
        """Say whether nothing changed since."""
        return (
            id(model) == self.model
            and all(map(same_parts, self.places, self.parts))
            and [tensor._version for tensor in self.tensors] == self.versions
            and [tensor.data_ptr() for tensor in self.tensors] == self.addresses
            and torch.equal(torch.cat(self.first), self.numbers)
        )


def same_parts(now: Mapping[str, object], before: Mapping[str, object]) -> bool:
    """Say whether two dictionaries hold the very same objects under the same names."""
    return len(now) == len(before) and all(now.get(name) is part for name, part in before.items())
