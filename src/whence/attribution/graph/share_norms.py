"""How normalisation shares relevance: its mean is a part of the sum, its deviation a constant."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from whence.attribution.graph.affine import merge_norm, read_batch_norm
from whence.attribution.graph.node import Node, Slot
from whence.attribution.graph.pull import Messages, first_of
from whence.attribution.graph.rules import divide_away
from whence.attribution.graph.sharing import Sharing, give, share_shifted
from whence.attribution.graph.standing import refuse_operation


def share_batch_norm(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share batch normalisation: with the layer before it, or as a layer of its own."""
    read = read_batch_norm(node)
    if read is None:
        return share_instance_norm(own, node, first_of(arriving))
    layer = merge_norm(node, *read)
    if layer is not None:
        return own.share_layer(node, layer, first_of(arriving))
    if own.spreads(node.inputs[0]):
        return give(own, node, arriving)
    shift = read[1].view(-1, *[1] * (node.output.value.dim() - 2))
    return share_shifted(own, node, first_of(arriving), shift)


def share_instance_norm(own: Sharing, node: Node, relevance: Tensor) -> Messages:
    """Share normalisation by what stands in a channel of one image; the deviation is a constant.

    PyTorch computes it as batch normalisation in training mode, of one row.
    """
    slot, weight, bias, *_ = node.args
    if len(slot.value) > 1:
        refuse_operation("batch normalisation in training mode", "")
    dims = list(range(2, slot.value.dim()))
    outer = [-1, *[1] * len(dims)]
    weight, bias = (None if one is None else one.view(outer) for one in (weight, bias))
    inverse = node.output_at(2).value.view(outer)
    scale = inverse if weight is None else inverse * weight
    centre = partial(centre_over, dims=dims)
    return share_normalised(own, node, relevance, slot, scale, bias, centre)


def centre_over(some: Tensor, *, dims: list[int]) -> Tensor:
    """Take off the mean over dimensions."""
    return some - some.mean(dims, keepdim=True)


def share_layer_norm(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share layer normalisation, of which the deviation is a constant."""
    slot, shape, weight, bias, _ = node.args
    centre = partial(centre_over, dims=list(range(-len(shape), 0)))
    inverse = node.output_at(2).value
    scale = inverse if weight is None else inverse * weight
    return share_normalised(own, node, first_of(arriving), slot, scale, bias, centre)


def share_group_norm(own: Sharing, node: Node, arriving: list[Tensor | None]) -> Messages:
    """Share group normalisation, of which the deviation is a constant."""
    slot, weight, bias, total, _, _, groups, _ = node.args
    shape = slot.value.shape
    outer = [-1, *[1] * (len(shape) - 2)]

    def centre(some: Tensor) -> Tensor:
        parts = some.reshape(total, groups, -1)
        return (parts - parts.mean(-1, keepdim=True)).view(shape)

    weight, bias = (None if one is None else one.view(outer) for one in (weight, bias))
    inverse = node.output_at(2).value.repeat_interleave(shape[1] // groups, 1).view(total, *outer)
    scale = inverse if weight is None else inverse * weight
    return share_normalised(own, node, first_of(arriving), slot, scale, bias, centre)


def share_normalised(
    own: Sharing,
    node: Node,
    relevance: Tensor,
    slot: Slot,
    scale: Tensor,
    bias: Tensor | None,
    centre: Callable[[Tensor], Tensor],
) -> Messages:
    """Share ``scale * centre(x) + bias``."""
    z = node.output.value
    c = divide_away(relevance, z, own.numbers.epsilon)
    own.lose(node, relevance, z, c)
    if bias is not None:
        own.keep(node, bias * c)
    back = centre(scale * c)  # centring is its own transpose
    return [(slot, slot.value * back)]
