"""How unevenly amounts are spread."""

import torch
from torch import Tensor


def measure_gini(amounts: Tensor) -> float:
    """Measure how unevenly amounts `(n,)` are spread: 0 if all are equal, near 1 if one has all.

    Gini (1913): the mean difference of two of them, over twice their mean. Amounts below 0 count as
    0; nothing at all is even.

    >>> measure_gini(torch.tensor([1.0, 1.0])), measure_gini(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    ordered = amounts.double().clamp_min(0).sort().values
    total, count = float(ordered.sum()), len(ordered)
    if total == 0:
        return 0.0
    ranks = torch.arange(1, count + 1, device=ordered.device)
    return float((2 * ranks - count - 1).double() @ ordered / (count * total))
