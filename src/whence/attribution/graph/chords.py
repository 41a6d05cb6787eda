"""Slopes of chords between two recordings of one network: the rescale rule of DeepLIFT."""

import numpy as np
import torch
from torch import Tensor

from whence.attribution.graph.kinds import ACTIVATIONS, ADDITIONS_TO, PRODUCTS, ROUTES, SUMS
from whence.attribution.graph.node import Node, Recording, Slot, aten
from whence.attribution.graph.pull import Messages, first_of, pull
from whence.attribution.graph.walk_back import record_again

CHORD_POINTS = 8
"""Points of Gauss and Legendre, of which few are exact for smooth functions."""

LARGEST_OF = frozenset(
    {
        aten.max_pool2d_with_indices,
        aten.max_pool3d_with_indices,
        aten.adaptive_max_pool2d,
        aten.adaptive_max_pool3d,
        aten.amax,
        aten.amin,
    }
)
"""They choose a number by its size."""

CHOOSING = LARGEST_OF | {
    aten.max,
    aten.min,
    aten.maximum,
    aten.minimum,
    aten.topk,
    aten.sort,
    aten.max_unpool2d,
    aten.median,
    aten.nanmedian,
    aten.mode,
    aten.kthvalue,
    aten.cummax,
    aten.cummin,
    aten.where,
    aten.masked_fill,
}
LINEAR = (
    (ROUTES - CHOOSING)
    | SUMS
    | ADDITIONS_TO
    | {aten.add, aten.sub, aten.rsub, aten.neg, aten.native_batch_norm}
)
"""What comes out is a sum of what went in with constant factors."""

PRODUCTS_OF_TWO = PRODUCTS | {aten.mul}
"""They are linear in each of their factors."""


SHORT = 1e-10
"""The longest run that counts as none."""


class ChordPass:
    """Multiply by the slopes of chords, operation by operation.

    Args:
        here: the recording at the images.
        there: at the baseline, of the same operations.

    Raises:
        ValueError: if the network computes something else there.
    """

    def __init__(self, here: Recording, there: Recording) -> None:
        self.begins = dict(zip(here.inputs, there.inputs, strict=True))
        self.twins, self._inner = pair_nodes(here, there), dict[Node, Node]()

    def enter(self, node: Node) -> Recording:
        """Record what a node is made of, and its twin; what was entered before is let go."""
        self._inner.clear()
        here, there = record_again(node), record_again(self.twins[node])
        self._inner = pair_nodes(here, there)
        return here

    def begin(self, slot: Slot) -> Tensor:
        """Find what a value is at the baseline."""
        if slot.maker is None:
            return self.begins[slot].value
        place = slot.maker.outputs.index(slot)
        twin = self._inner.get(slot.maker) or self.twins[slot.maker]
        return twin.output_at(place).value

    def __call__(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Multiply what arrives by the slope of a chord."""
        if node.operation is aten.native_batch_norm and node.args[5]:  # of one image alone
            return self._average(node, arriving)
        if node.operation in LINEAR:
            return pull(node, arriving)
        if node.operation in ACTIVATIONS and len(node.inputs) == 1:
            return self._rescale(node, arriving)
        if node.operation in LARGEST_OF:
            return self._choose(node, arriving)
        if node.operation in PRODUCTS_OF_TWO:
            return self._pull_at(node, arriving, 0.5)
        return self._average(node, arriving)

    def _pull_at(self, node: Node, arriving: list[Tensor | None], share: float) -> Messages:
        """Multiply by the slope at a point between the baseline, 0, and the image, 1."""
        return pull(node, arriving, lambda slot: self.begin(slot).lerp(slot.value, share))

    def _average(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Multiply by the mean slope on the straight way between both."""
        points, weights = np.polynomial.legendre.leggauss(CHORD_POINTS)
        return [
            (slot, weight / 2 * passed)
            for point, weight in zip(points.tolist(), weights.tolist(), strict=True)
            for slot, passed in self._pull_at(node, arriving, (1 + point) / 2)
        ]

    def _rescale(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Multiply by the rise over the run, and by the slope where there is hardly any run."""
        (slot,), (own,) = node.inputs, pull(node, arriving)
        rise = node.output.value - self.begin(node.output)
        found = replace_where_long(slot.value - self.begin(slot), rise * first_of(arriving), own[1])
        return [(slot, found)]

    def _choose(self, node: Node, arriving: list[Tensor | None]) -> Messages:
        """Give what a maximum rose by to the image's largest, what it fell by to the baseline's."""
        (slot,), (own,) = node.inputs, pull(node, arriving)
        begin, end = self.begin(node.output), node.output.value
        highest, rest = torch.maximum(begin, end), list(arriving[1:])
        ((_, risen),) = pull(node, [first_of(arriving) * (highest - begin), *rest])
        ((_, fallen),) = pull(node, [first_of(arriving) * (end - highest), *rest], self.begin)
        run = slot.value - self.begin(slot)
        return [(slot, replace_where_long(run, risen + fallen, own[1]))]


def pair_nodes(here: Recording, there: Recording) -> dict[Node, Node]:
    """Find the twin of each operation.

    Raises:
        ValueError: if the network does something else there.
    """
    names = [[node.operation for node in one.nodes] for one in (here, there)]
    if names[0] != names[1]:
        raise ValueError(
            "The network must do the same for the images and for the baseline; it does not, "
            "which integrated_gradients can explain."
        )
    return dict(zip(here.nodes, there.nodes, strict=True))


def replace_where_long(run: Tensor, rise: Tensor, slope: Tensor) -> Tensor:
    """Divide a rise by its run; where that is hardly any, take the slope."""
    long = run.abs() > max(SHORT, torch.finfo(run.dtype).eps)
    return torch.where(long, rise / torch.where(long, run, 1), slope)
