"""Noticing that a model changed since its memory was encoded."""

from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn


class Stamp:
    """What parameters and statistics were when the bank was made.

    In-place changes count up a tensor's version, except those of fused optimisers, which change
    almost every number; so the first number of every tensor is remembered as well. What is not
    noticed: other numbers changed in place through ``.data`` or numpy. The parts of
    the model are held with the dictionaries they stand in, because walking through all modules for
    every answer takes long beside a small encoder.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = id(model)
        self.modules = list(model.modules())
        self.places: list[Mapping[str, object]] = [
            places
            for module in self.modules
            for places in (module._parameters, module._buffers, module._modules)
        ]
        self.lengths = [len(places) for places in self.places]
        self.filled = [places for places in self.places if places]
        self.parts = list_parts(self.filled)  # holds them, so that no other part gets their id
        self.identity = [id(part) for part in self.parts]
        self.tensors = [part for part in self.parts if isinstance(part, Tensor)]
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
            and list(map(len, self.places)) == self.lengths
            and list(map(id, list_parts(self.filled))) == self.identity
            and [tensor._version for tensor in self.tensors] == self.versions
            and [tensor.data_ptr() for tensor in self.tensors] == self.addresses
            and torch.equal(torch.cat(self.first), self.numbers)
        )

    def is_untouched(self) -> bool:
        """Say whether the tensors themselves are as they were; sees no other one in their place."""
        return [tensor._version for tensor in self.tensors] == self.versions


def list_parts(places: Iterable[Mapping[str, object]]) -> list[object]:
    """List what stands in dictionaries, one after the other."""
    return list(chain.from_iterable(one.values() for one in places))
