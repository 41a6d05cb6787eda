"""Of which image each number inside a network is, so that what falls on no pixel can be told.

Owners broadcast against the value that they are of: `(B, 1, 1, 1)` for features of B images. Only
operations that move dimensions need a look; all others leave a number where it is.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from whence.attribution.graph.kinds import MOVED_ABOUT, RESHAPED
from whence.attribution.graph.node import Node, Slot, aten

SUMMED = {
    aten.mean,
    aten.sum,
    aten.amax,
    aten.amin,
    aten.max,
    aten.min,
    aten.median,
    aten.nanmedian,
    aten.mode,
    aten.kthvalue,
    aten.prod,
    aten.std,
    aten.linalg_vector_norm,
    aten.logsumexp,
    aten.trace,
}
"""They leave dimensions out, or one number of them."""

DIMS_AT: dict[Any, int] = {aten.kthvalue: 2, aten.std: 1, aten.linalg_vector_norm: 2}
"""Which of their arguments says the dimensions, where it is not the second."""

PUTTING: dict[Any, int] = {aten.scatter: 4, aten.index_put: 3, aten.index_fill: 4}
"""What puts numbers among others, and how many of its arguments say which ones, and where."""

COPYING: dict[Any, Any] = {aten.scatter_add: aten.scatter, aten.index_add: aten.index_copy}
"""What puts numbers where an operation adds them."""

UNFOLDED = {aten.im2col, aten.col2im}
"""They lay windows of an image out in a row, or back; rows stay rows."""

MATRICES = {aten.mm, aten.bmm, aten.addmm, aten.addbmm, aten.baddbmm}
"""Matrix products, whose two matrices are the last arguments."""

VECTORS = {aten.mv, aten.addmv, aten.dot}
"""Products with a vector, which is the last argument."""


def find_owners(node: Node, results: Sequence[Any]) -> list[Tensor]:
    """Find the owners of the results of an operation.

    Returns:
        One for each result, which broadcasts against it.
    """
    first = max(node.inputs, key=lambda slot: (slot.owners.dim(), slot.owners.numel()))
    owners = first.owners
    if node.inside is not None:  # rows stay rows
        return [owners.flatten(1)[:, :1]]
    if node.operation in RESHAPED:
        return [reshape_owners(owners, first.value.shape, results[0].shape)]
    if node.operation in MOVED_ABOUT:
        if node.operation in PUTTING:  # owners are never added up, and a number has none
            *args, put = node.args[: PUTTING[node.operation]]
            put = -1 if isinstance(put, int | float) else put
            return move_owners(node.operation, (*args, put), {})
        return move_owners(node.call, node.args, node.kwargs)
    if node.operation in MATRICES:
        left, right = node.args[-2:]
        over, one = (-1, left) if isinstance(left, Slot) else (-2, right)
        found = one.owners.amax(over, keepdim=True)
        return [found.amax(0) if node.operation is aten.addbmm else found]
    if node.operation in VECTORS:
        return [first.owners.amax(-1)]
    if node.operation in UNFOLDED:
        return [owners.flatten(1)[:, :1].reshape(-1, *[1] * (results[0].dim() - 1))]
    if node.operation in COPYING:
        whole, dim, index, source, *_ = node.args
        return move_owners(COPYING[node.operation], (whole, dim, index, source), {})
    if node.operation in SUMMED and results[0].dim() < owners.dim():
        return [owners.amax(find_dims(node, results[0], owners))] * len(results)
    return [fit_owners(owners, one) for one in results]


def find_dims(node: Node, result: Tensor, owners: Tensor) -> list[int]:
    """Find which dimensions an operation leaves out."""
    place = DIMS_AT.get(node.operation, 1)
    dims = node.args[place] if len(node.args) > place else node.kwargs.get("dim")
    if dims is None or dims == []:
        return [*range(owners.dim())] if result.dim() == 0 else [-1]
    return [dims] if isinstance(dims, int) else dims


def fit_owners(owners: Tensor, result: Any) -> Tensor:
    """Let owners be those of a result; of what has another shape they are not known.

    There is no rule for what does that, so that nobody asks.
    """
    if not isinstance(result, Tensor):
        return owners
    sizes = zip(reversed(owners.shape), reversed(result.shape), strict=False)
    fits = owners.dim() <= result.dim() and all(own in (1, size) for own, size in sizes)
    return owners if fits else owners.new_zeros([1] * result.dim())


def reshape_owners(owners: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Find owners after the numbers were laid out anew, in their order.

    Args:
        owners: broadcasts against ``before``.
        before: the shape that the value had.
        after: the shape that it has.
    """
    own = [1] * (len(before) - owners.dim()) + list(owners.shape)
    told = max((place + 1 for place, size in enumerate(own) if size > 1), default=0)
    for kept in range(told, len(before) + 1):
        for first in range(len(after) + 1):
            if prod(after[:first]) == prod(before[:kept]):
                whole = owners.reshape(own[:kept]).expand(before[:kept]).reshape(after[:first])
                return keep_one(whole.reshape(*after[:first], *[1] * (len(after) - first)))
    raise ValueError(f"{tuple(before)} and {tuple(after)} must hold as many numbers.")


def move_owners(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Tensor]:
    """Move owners as the numbers are moved; constants have none, which is -1."""
    device = next(one.owners.device for one in tree_leaves((args, kwargs)) if isinstance(one, Slot))

    def give(one: Any) -> Any:
        if isinstance(one, Slot):
            return one.owners.expand(one.value.shape)
        if isinstance(one, Tensor) and one.is_floating_point():
            return torch.full((), -1, device=device).expand(one.shape)
        return one

    args, kwargs = tree_map(give, (args, kwargs), is_leaf=lambda one: isinstance(one, Slot))
    found = call(*args, **kwargs)
    return [keep_one(one) for one in (found if isinstance(found, tuple | list) else [found])]


def keep_one(owners: Tensor) -> Tensor:
    """Keep one of each dimension along which the owner is the same, or there is none."""
    for dim in range(owners.dim()):
        if owners.shape[dim] > 1:
            top = owners.amax(dim, keepdim=True)
            if bool(((owners == top) | (owners < 0)).all()):
                owners = top
    return owners
