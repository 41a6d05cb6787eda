"""Which stored images took part in an answer, in the order in which they are shown."""

from torch import Tensor


def order_active(weights: Tensor, indices: Tensor) -> tuple[Tensor, ...]:
    """List the places of the weights above 0, highest weight first.

    Args:
        weights: `(B, M)`, zero where a stored image took no part.
        indices: `(M,)` dataset indices; the lower one goes first among equal weights.

    Returns:
        For each row `(A,)` int64 places in 0 .. M-1.

    >>> import torch
    >>> weights = torch.tensor([[0.2, 0.0, 0.4, 0.4]])
    >>> order_active(weights, torch.tensor([5, 6, 8, 7]))
    (tensor([3, 2, 0]),)
    """
    rows, places = (weights > 0).nonzero(as_tuple=True)  # (N,) both
    order = indices[places].argsort(stable=True)  # least important key first
    order = order[weights[rows, places][order].argsort(descending=True, stable=True)]
    order = order[rows[order].argsort(stable=True)]
    counts = rows.bincount(minlength=len(weights)).tolist()
    found: tuple[Tensor, ...] = places[order].split(counts)
    return found
