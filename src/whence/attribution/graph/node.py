"""What a tape is made of: operations, and the values between them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import ReferenceType

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from whence.attribution.graph.standing import name_operation

aten = torch.ops.aten
"""The operations of PyTorch."""

Operation = Callable[..., Any]
"""An operation of PyTorch without its overload, such as ``torch.ops.aten.relu``, or a function that
was called by ``as_one``."""


@dataclass(eq=False)
class Slot:
    """One value that depends on the images, at one time: changed in place, it is another one.

    Attributes:
        value: the tensor as it was then.
        owners: broadcasts against it: of which image (0 .. B-1) each number is.
        made_by: the operation that it came out of, which lives as long as its recording, so that
            what was recorded is gone with it; None for the images and their evidence.
        uses: how many operations read it.
    """

    value: Tensor
    owners: Tensor
    made_by: "ReferenceType[Node] | None" = None
    uses: int = 0

    @property
    def maker(self) -> "Node | None":
        """Return the operation that it came out of.

        Raises:
            ReferenceError: if its recording is no more.
        """
        if self.made_by is None:
            return None
        node = self.made_by()
        if node is None:
            raise ReferenceError("The recording must be kept as long as its slots are looked at.")
        return node


@dataclass(eq=False)
class Node:
    """One operation.

    Attributes:
        operation: what names it in a table of rules.
        call: what computes it again; never in place.
        args: as it was called, with a slot for each tensor that depends on the images.
        kwargs: the same, by name.
        place: where it stands, if there is no rule for it.
        inside: records what it is made of, where it was kept as one so that nothing in it need be
            held; None for an operation.
        outputs: a slot for each output; None for one that is no floating point tensor.
    """

    operation: Operation
    call: Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    place: str | None = None
    inside: "Callable[[], Recording] | None" = None
    outputs: list[Slot | None] = field(default_factory=list)

    @property
    def inputs(self) -> list[Slot]:
        """List the slots that it reads, in order, each as often as it is read."""
        return [one for one in tree_leaves((self.args, self.kwargs)) if isinstance(one, Slot)]

    @property
    def output(self) -> Slot:
        """Return the slot of the first output."""
        return self.output_at(0)

    def output_at(self, place: int) -> Slot:
        """Return the slot of an output that holds floating point numbers."""
        slot = self.outputs[place]
        if slot is None:
            raise TypeError(f"{name_operation(self.operation)} must put out floats at {place}.")
        return slot


class Recording(NamedTuple):
    """What was recorded of a score, or of a part on the way to it."""

    nodes: list[Node]  # in the order in which they were computed
    inputs: list[Slot]  # the images, and their evidence where there is any
    output: Slot  # the score (B,), or what the part gives
