"""Evidence that comes in a row, laid out by the image whose evidence it is."""

import torch
from torch import Tensor


def number_by_image(counts: list[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Lay evidence that comes in a row out by image.

    Args:
        counts: how many evidence images each image has, B of them.
        device: of the answer.

    Returns:
        `(B, A)` which of all, the image's first in the padding; `(B, A)` bool, False there.
    """
    sizes = torch.tensor(counts, device=device)
    columns = torch.arange(max(counts), device=device)
    allowed = columns < sizes[:, None]
    first = sizes.cumsum(0) - sizes
    return first[:, None] + columns * allowed, allowed
