"""Correlations of many pairs of rows; NaN where one of the two is constant."""

import torch
from scipy.stats import rankdata
from torch import Tensor

LEAST_SPREAD = 1e-12
"""Rows whose deviation is below this share of their largest number count as constant."""


def correlate_rows(one: Tensor, other: Tensor) -> Tensor:
    """Compute Pearson's correlation of the rows of `(B, P)` and `(B, P)`; `(B,)` float64.

    >>> rows = torch.tensor([[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]])
    >>> correlate_rows(rows, torch.tensor([[0.0, 1.0, 3.0]])).round(decimals=4)
    tensor([1., nan], dtype=torch.float64)
    """
    return (standardise(one.double()) * standardise(other.double())).sum(1)


def standardise(rows: Tensor) -> Tensor:
    """Bring rows `(B, P)` to mean 0 and length 1; constant ones to NaN."""
    rest = rows - rows.mean(1, keepdim=True)
    lengths: Tensor = torch.linalg.vector_norm(rest, dim=1)
    return rest / lengths.masked_fill(find_constant(rows), torch.nan)[:, None]


def find_constant(rows: Tensor) -> Tensor:
    """Find the rows of `(B, P)` that are the same number everywhere, but for rounding; `(B,)`.

    >>> find_constant(torch.tensor([[0.0, 0.0], [3.0, 3.0], [3.0, 3.1]]))
    tensor([ True,  True, False])
    """
    rest = rows - rows.mean(1, keepdim=True)
    return rest.abs().amax(1) <= LEAST_SPREAD * rows.abs().amax(1)


def correlate_ranks(one: Tensor, other: Tensor) -> Tensor:
    """Compute Spearman's rank correlation of the rows of `(B, P)` and `(B, P)`; `(B,)` float64.

    Equal numbers share the mean of their ranks.
    """
    ranks = [
        torch.from_numpy(rankdata(rows.detach().cpu().numpy(), axis=1)) for rows in (one, other)
    ]
    return correlate_rows(ranks[0], ranks[1])
