"""What falls on no pixel, image by image."""

import torch
from torch import Tensor

BIASES, STABILISER = "biases", "stabiliser"
"""Lines of a ledger: what biases and other constants take, and what no division gave away."""


class Ledger:
    """Amounts `(B,)` by name, float64.

    Args:
        total: B.
        like: on its device.
    """

    def __init__(self, total: int, like: Tensor) -> None:
        amounts = torch.zeros(2, total, dtype=torch.float64, device=like.device)
        self.lines = {BIASES: amounts[0], STABILISER: amounts[1]}

    def add(self, line: str, amounts: Tensor, owners: Tensor) -> None:
        """Add numbers to a line, each to the image that it is of.

        Args:
            line: its name.
            amounts: of any shape.
            owners: broadcasts against it.
        """
        told = amounts.sum_to_size(owners.shape).double()
        self.lines[line].index_add_(0, owners.flatten(), told.flatten())
