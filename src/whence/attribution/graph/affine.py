"""Layers with weights: convolutions, dense layers, and what is merged into them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from whence.attribution.graph.kinds import RESHAPED
from whence.attribution.graph.node import Node, Slot, aten


@dataclass(frozen=True, eq=False)
class Affine:
    """``z = forward(x, weight) + bias``, linear in both x and weight.

    Attributes:
        slot: what it reads, x.
        z: what comes out.
        weight: of any shape.
        bias: broadcasts against z; None for none.
        forward: takes x and weight.
        backward: takes something of the shape of z, and weight; the transposed layer.
    """

    slot: Slot
    z: Tensor
    weight: Tensor
    bias: Tensor | None
    forward: Callable[[Tensor, Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


def read_convolution(node: Node) -> Affine | None:
    """Read a convolution of any dimension; None if its weights depend on the images."""
    slot, weight, bias, *rest = node.args
    if not isinstance(slot, Slot) or isinstance(weight, Slot) or isinstance(bias, Slot):
        return None
    x = slot.value

    def backward(c: Tensor, weight: Tensor) -> Tensor:
        wanted = [True, False, False]
        found: Tensor = aten.convolution_backward(c, x, weight, None, *rest, wanted)[0]
        return found

    return Affine(
        slot,
        node.output.value,
        weight,
        None if bias is None else bias.view(-1, *[1] * (x.dim() - 2)),
        lambda x, weight: aten.convolution(x, weight, None, *rest),
        backward,
    )


class Product(NamedTuple):
    """A product of something that depends on the image with weights that do not."""

    slot: Slot
    weight: Tensor
    bias: Tensor | None


def read_product(node: Node) -> Product | None:
    """Read a product whose operation takes a bias, or none, first; None if both sides depend."""
    *biases, slot, weight = node.args
    if not isinstance(slot, Slot) or isinstance(weight, Slot) or node.kwargs:
        return None
    bias = biases[0] if biases else None
    return None if isinstance(bias, Slot) else Product(slot, weight, bias)


def read_linear(node: Node) -> Affine | None:
    """Read a product `(n, D)` with weights `(D, K)`, and a bias; None if it is another product."""
    found = read_product(node)
    if found is None:
        return None
    return Affine(
        found.slot,
        node.output.value,
        found.weight,
        found.bias,
        lambda x, weight: x @ weight,
        lambda c, weight: c @ weight.mT,
    )


def read_vector_product(node: Node) -> Affine | None:
    """Read a product `(n, D)` with weights `(D,)`, and a bias; None if it is another product."""
    found = read_product(node)
    if found is None:
        return None
    return Affine(
        found.slot,
        node.output.value,
        found.weight[:, None],
        found.bias,
        lambda x, weight: (x @ weight)[:, 0],
        lambda c, weight: c[:, None] @ weight.mT,
    )


def read_batch_norm(node: Node) -> tuple[Tensor, Tensor] | None:
    """Read what batch normalisation multiplies by and adds, `(C,)`; None in training mode."""
    _, weight, bias, mean, variance, training, _, epsilon = node.args
    if training or mean is None:
        return None
    factor = (variance + epsilon).rsqrt()
    factor = factor if weight is None else factor * weight
    return factor, -mean * factor if bias is None else bias - mean * factor


def merge_norm(node: Node, factor: Tensor, shift: Tensor) -> Affine | None:
    """Merge a batch normalisation into the layer that it alone reads; None if there is none."""
    slot: Slot = node.args[0]
    maker = slot.maker
    if maker is None or slot.uses > 1:
        return None
    read = READERS.get(maker.operation)
    layer = None if read is None else read(maker)
    transposed = maker.operation is aten.convolution and maker.args[6]
    if layer is None or transposed:
        return None
    last = maker.operation is not aten.convolution  # dense weights are (D, K)
    ones = [1] * (layer.weight.dim() - 1)
    shape = [*ones, -1] if last else [-1, *ones]
    outer = [-1, *[1] * (node.output.value.dim() - 2)]
    bias = shift.view(outer) if layer.bias is None else layer.bias * factor.view(outer)
    return replace(
        layer,
        z=node.output.value,
        weight=layer.weight * factor.view(shape),
        bias=bias if layer.bias is None else bias + shift.view(outer),
    )


def find_biased(node: Node) -> tuple[Node, Affine] | None:
    """Find the dense layer whose biases an addition adds, which PyTorch does for some layouts.

    Returns:
        The product with the weights, and the layer with its biases; None if it is no such addition.
    """
    slot = next((one for one in node.args if isinstance(one, Slot)), None)
    bias = next((one for one in node.args if isinstance(one, Tensor)), None)
    if slot is None or bias is None or bias.dim() != 1 or node.kwargs:
        return None
    maker = slot.maker
    while maker is not None and slot.uses == 1 and maker.operation in RESHAPED:
        slot = maker.inputs[0]
        maker = slot.maker
    layer = read_linear(maker) if maker is not None and maker.operation is aten.mm else None
    if maker is None or layer is None or slot.uses > 1 or slot.value.shape[-1:] != bias.shape:
        return None
    return maker, replace(layer, z=node.output.value.reshape(slot.value.shape), bias=bias)


READERS: dict[Any, Callable[[Node], Affine | None]] = {
    aten.convolution: read_convolution,
    aten.addmm: read_linear,
    aten.mm: read_linear,
    aten.mv: read_vector_product,
    aten.addmv: read_vector_product,
}
"""How layers with weights are read."""
