"""Tensors of which a part was changed in place: their old numbers, and the new ones in some places.

PyTorch changes memory, and other tensors that look at the same memory hold other numbers from then
on. What is written is noted here, so that such a tensor, once it is read, is known as its old
numbers with new ones laid over them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.graph.node import Slot
from whence.attribution.graph.standing import find_place, refuse_operation


class Overwriting(NamedTuple):
    """Numbers that were written into memory."""

    tensor: Tensor  # they were written through it; it is kept, so that nothing gets its memory
    slot: Slot  # of the numbers


def name_memory(tensor: Tensor) -> int:
    """Name the memory that a tensor looks at."""
    return tensor.untyped_storage().data_ptr()


def place_written(tensor: Tensor, written: Tensor) -> Tensor | None:
    """Find where in a tensor what was written into its memory stands.

    Args:
        tensor: looks at some memory.
        written: looks at the same memory.

    Returns:
        For each written number, in their order, the place in the tensor's order, -1 for outside;
        None if all are outside.

    Raises:
        ValueError: if both do not look at numbers of one type.
    """
    if tensor.dtype != written.dtype:
        refuse_operation("memory that is read as numbers of another type", find_place())
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    places = torch.full((size,), -1, device=tensor.device)
    order = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
    view_memory(places, tensor).copy_(order)
    found = view_memory(places, written).flatten()
    return found if bool((found >= 0).any()) else None


def view_memory(memory: Tensor, tensor: Tensor) -> Tensor:
    """Look at memory `(N,)` as a tensor looks at its own."""
    return memory.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def lay_over(whole: Tensor, part: Tensor, places: Tensor) -> Tensor:
    """Put numbers into others.

    Args:
        whole: of any shape.
        part: of any shape, with n numbers.
        places: `(n,)` where each of them goes, -1 for nowhere.

    Returns:
        Another tensor in the shape of ``whole``.

    >>> lay_over(torch.zeros(2, 2), torch.tensor([5.0, 6.0]), torch.tensor([2, -1]))
    tensor([[0., 0.],
            [5., 0.]])
    """
    there = places >= 0
    numbers = whole.flatten().index_put((places[there],), part.flatten()[there])
    return numbers.view(whole.shape)


def replace_numbers(old: Tensor, new: Tensor, non_blocking: bool = False) -> Tensor:
    """Return new numbers in the shape and type of old ones, which have no part in them.

    What ``old.copy_(new)`` leaves in ``old``; PyTorch has no derivative of it out of place.
    """
    nowhere = torch.zeros_like(old, dtype=torch.bool)
    return torch.where(nowhere, old, new.to(old.dtype, non_blocking=non_blocking))
