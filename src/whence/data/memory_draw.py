"""Draw the images of a memory from the training images."""

import torch
from torch import Tensor


def draw_memory(total: int, memory_size: int, *, generator: torch.Generator) -> Tensor:
    """Draw distinct indices, every ordered choice with the same probability.

    For a small memory the first ``memory_size`` distinct values of a stream of random indices
    are taken, which costs as much as the memory, not as the training set.

    Args:
        total: number of images to draw from.
        memory_size: M, number of indices wanted.
        generator: source of randomness; the indices are on its device.

    Returns:
        `(M,)` int64, each in 0 .. total-1, none twice.

    Raises:
        ValueError: if ``memory_size`` is below 1 or above ``total``.
    """
    if memory_size < 1:
        raise ValueError(f"memory_size must be at least 1, got {memory_size}.")
    if memory_size > total:
        raise ValueError(
            f"memory_size must be at most the number of images to draw from, {total}, "
            f"got {memory_size}; choose a smaller memory or give more training images."
        )
    if generator.device.type != "cpu" or total < 4 * memory_size:
        return torch.randperm(total, generator=generator, device=generator.device)[:memory_size]
    drawn: dict[int, None] = {}  # keeps the order of first appearance
    while len(drawn) < memory_size:
        stream = torch.randint(total, (memory_size,), generator=generator)
        drawn.update(dict.fromkeys(stream.tolist()))
    return torch.tensor(list(drawn)[:memory_size])
