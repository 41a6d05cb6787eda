"""A tape: every operation between images and their score, with what went in and what came out.

The score is computed once, as it is, while a dispatch mode of PyTorch looks on. That sees what is
computed in this thread alone, changes nothing of the model, and sets no hook; an encoder that is
called twice, a layer that is used again, or a function without a module are no special cases.
"""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves, tree_map

from whence.attribution.graph.kinds import CONSTANTS
from whence.attribution.graph.node import Node, Operation, Recording, Slot
from whence.attribution.graph.overwritten import (
    Overwriting,
    lay_over,
    name_memory,
    place_written,
    replace_numbers,
)
from whence.attribution.graph.owners import find_owners
from whence.attribution.graph.standing import find_place, name_operation, refuse_operation
from whence.attribution.score import NO_GRADIENT

FUSED_ATTENTION = frozenset(
    {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu,
        torch.ops.aten._scaled_dot_product_flash_attention,
        torch.ops.aten._scaled_dot_product_efficient_attention,
        torch.ops.aten._scaled_dot_product_cudnn_attention,
    }
)
"""They are recorded step by step; to switch them off would switch them off for other threads."""


COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
"""Operations that are made of others; PyTorch takes most of them apart before a mode sees them."""


UNREAD = CONSTANTS | {torch.ops.aten.detach}
"""Operations whose results are constants, whatever goes in."""


class KnownTensor(NamedTuple):
    """A tensor that depends on the inputs."""

    tensor: Tensor
    slot: Slot
    seen: int  # how much of what was written into its memory the slot knows


class Tape(TorchDispatchMode):
    """Record, within a ``with`` block, the operations that depend on some inputs.

    Args:
        inputs: slots, each with the tensor `(n, ...)` that stands for it.
        known: operations that have a rule; of another one it is kept where it stands.
    """

    def __init__(self, inputs: Sequence[tuple[Tensor, Slot]], known: Container[Operation]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types
        self.known = known
        self.nodes: list[Node] = []
        # by id; the tensor is kept, so that no other one gets its id
        self._tensors: dict[int, KnownTensor] = {
            id(tensor): KnownTensor(tensor, slot, 0) for tensor, slot in inputs
        }
        self._written: dict[int, list[Overwriting]] = {}  # by memory
        self._looking = True

    def slot(self, tensor: Tensor) -> Slot | None:
        """Find the slot of a tensor; None for a constant."""
        known, notes = self._tensors.get(id(tensor)), self._find_notes(tensor)
        slot, seen = (None, 0) if known is None else (known.slot, known.seen)
        for one in notes[seen:]:
            slot = self._lay_over(tensor, slot, one)
        if slot is not None:
            self._tensors[id(tensor)] = KnownTensor(tensor, slot, len(notes))
        return slot

    def _find_notes(self, tensor: Tensor) -> list[Overwriting]:
        """Find what was written into the memory of a tensor."""
        return self._written.get(name_memory(tensor), []) if self._written else []

    def _lay_over(self, tensor: Tensor, slot: Slot | None, written: Overwriting) -> Slot | None:
        """Find the slot of a tensor once something was written into its memory."""
        places = place_written(tensor, written.tensor)
        if places is None:
            return slot
        before = tensor.detach().clone() if slot is None else slot.value
        node = Node(lay_over, lay_over, (slot or before, written.slot, places), {})
        return self._write(node, [lay_over(before, written.slot.value, places)])[0]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute an operation, and write it down if it depends on the inputs."""
        kwargs = kwargs or {}
        if not self._looking or func.overloadpacket in UNREAD:
            return func(*args, **kwargs)
        if func.overloadpacket in FUSED_ATTENTION:
            with self:
                plain = attend_plainly(func, args, kwargs)
            return plain, *func(*args, **kwargs)[1:]
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), COMPOSITE):
            with self:
                return func.decompose(*args, **kwargs)
        taken_args, taken_kwargs = tree_map(self._replace, (args, kwargs))
        if not any(isinstance(one, Slot) for one in tree_leaves((taken_args, taken_kwargs))):
            return func(*args, **kwargs)
        if func._schema.is_mutable:
            return self._write_over(func, args, kwargs, taken_args, taken_kwargs)
        result = func(*args, **kwargs)
        results = list(result) if isinstance(result, tuple | list) else [result]
        if any(is_float(one) for one in results):
            self._write(Node(func.overloadpacket, func, taken_args, taken_kwargs), results)
        return result

    def _write_over(self, func: Any, args: Any, kwargs: Any, taken: Any, by_name: Any) -> Any:
        """Compute an operation that changes its first argument, and write down its twin."""
        written: Tensor = args[0]
        before = taken[0] if isinstance(taken[0], Slot) else written.clone()
        node = Node(*find_out_of_place(func), (before, *taken[1:]), by_name)
        form = written.shape, written.stride()
        self._keep_values(written)
        result = func(*args, **kwargs)
        slot = self._write(node, [written])[0]
        if slot is not None and form == (written.shape, written.stride()):
            notes = self._written.setdefault(name_memory(written), [])
            notes.append(Overwriting(written, slot))
            self._tensors[id(written)] = KnownTensor(written, slot, len(notes))
        return result

    def as_one(self, function: Callable[..., Tensor], *args: Any) -> Tensor:
        """Call a function, and write it down as one operation."""
        result = self._look_away(function, *args)
        taken = tree_map(self._replace, args)
        if any(isinstance(one, Slot) for one in tree_leaves(taken)):
            self._write(Node(function, function, taken, {}), [result])
        return result

    def as_part(self, function: Callable[[Tensor], Tensor], part: Tensor) -> Tensor:
        """Call a function of rows, and write it down as one node that can be recorded again."""
        result, slot = self._look_away(function, part).detach(), self.slot(part)
        if slot is not None:
            again = partial(record_slots, function, [slot], self.known, torch.is_grad_enabled())
            self._write(Node(function, function, (slot,), {}, inside=again), [result])
        return result

    def _look_away(self, function: Callable[..., Tensor], *args: Any) -> Tensor:
        """Call a function without writing anything down."""
        self._looking = False
        try:
            return function(*args)
        finally:
            self._looking = True

    def _replace(self, one: Any) -> Any:
        """Put a slot in the place of a tensor that depends on the inputs."""
        return (self.slot(one) or one) if isinstance(one, Tensor) else one

    def _write(self, node: Node, results: list[Any]) -> list[Slot | None]:
        """Write a node down, with a slot for each of its results."""
        if node.operation not in self.known and node.inside is None:
            node.place = find_place()
        for slot in node.inputs:
            slot.uses += 1
        for one, rows in zip(results, find_owners(node, results), strict=True):
            made = Slot(one, rows, ref(node)) if is_float(one) and one.numel() else None
            node.outputs.append(made)
            if made is not None:
                self._tensors[id(one)] = KnownTensor(one, made, len(self._find_notes(one)))
        self.nodes.append(node)
        return node.outputs

    def _keep_values(self, written: Tensor) -> None:
        """Keep what slots hold before the memory of a tensor is written over."""
        where = name_memory(written)
        for tensor, slot, _ in self._tensors.values():
            if slot.value is tensor and name_memory(tensor) == where:
                slot.value = tensor.clone()


class Plainly(TorchFunctionMode):
    """Keep layers from fused ways through, which they do not take while someone looks on."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function as it is."""
        return func(*args, **(kwargs or {}))


def record_score(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    owners: Sequence[Tensor],
    known: Container[Operation],
    *,
    merged: bool = True,
) -> Recording:
    """Compute the score `(B,)` of inputs, and record how.

    Args:
        function: takes the inputs.
        inputs: tensors `(n, ...)`.
        owners: for each `(n,)`, of which image its rows are.
        known: operations that have a rule; of another one it is kept where it stands.
        merged: a model may use its faster copy, whose layers are fewer; only without gradients.

    Raises:
        RuntimeError: if the score does not depend on the inputs.
        ValueError: if an operation writes into something other than its first argument.
    """
    slots = [
        Slot(one.detach(), rows.view(-1, *[1] * (one.dim() - 1)))
        for one, rows in zip(inputs, owners, strict=True)
    ]
    return record_slots(function, slots, known, not merged)


def record_slots(
    function: Callable[..., Tensor], slots: list[Slot], known: Container[Operation], grad: bool
) -> Recording:
    """Compute a function of the values of slots, with or without gradients, and record how."""
    inputs = [slot.value.clone() for slot in slots]  # whatever is done to these in place
    tape = Tape([*zip(inputs, slots, strict=True)], known)
    with torch.set_grad_enabled(grad), Plainly(), tape:
        found = function(*inputs)
    output = tape.slot(found)
    if output is None:
        raise RuntimeError(NO_GRADIENT)
    return Recording(tape.nodes, slots, output)


class Everything:
    """Operations that have a rule, where any operation has one."""

    def __contains__(self, operation: object) -> bool:
        return True


def as_one(function: Callable[..., Tensor], *args: Any) -> Tensor:
    """Call a function that a tape, if one is recording here, writes down as one operation."""
    tape = _get_current_dispatch_mode()
    return tape.as_one(function, *args) if isinstance(tape, Tape) else function(*args)


def as_part(function: Callable[[Tensor], Tensor], part: Tensor) -> Tensor:
    """Call a function of rows, of which a tape, if one is recording here, holds nothing inside.

    On the way back it is recorded again, part by part, so that no more than one part is held.
    """
    tape = _get_current_dispatch_mode()
    return tape.as_part(function, part) if isinstance(tape, Tape) else function(part)


def is_recording() -> bool:
    """Say whether a tape records what this thread computes."""
    return isinstance(_get_current_dispatch_mode(), Tape)


def attend_plainly(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Compute attention step by step, from the arguments of a fused operation."""
    given = dict(zip((one.name for one in func._schema.arguments), args, strict=False)) | kwargs
    found: Tensor = torch.ops.aten._scaled_dot_product_attention_math(
        given["query"],
        given["key"],
        given["value"],
        given.get("attn_mask", given.get("attn_bias")),
        0.0,
        given.get("is_causal", False),
        scale=given.get("scale"),
    )[0]
    return found


def find_out_of_place(func: Any) -> tuple[Operation, Operation]:
    """Find the operation that computes what an operation writes into its first argument."""
    name = func.overloadpacket.__name__
    if not name.endswith("_"):
        refuse_operation(name_operation(func.overloadpacket), find_place())
    if func.overloadpacket is torch.ops.aten.copy_:
        return replace_numbers, replace_numbers
    packet = getattr(torch.ops.aten, name.removesuffix("_"))
    if func._overloadname in packet.overloads():
        return packet, getattr(packet, func._overloadname)
    wanted = [str(one.type) for one in func._schema.arguments]
    same = [getattr(packet, overload) for overload in packet.overloads()]
    return packet, next(
        one for one in same if [str(given.type) for given in one._schema.arguments] == wanted
    )


def is_float(one: object) -> bool:
    """Say whether it is a tensor of numbers that have a derivative."""
    return isinstance(one, Tensor) and (one.is_floating_point() or one.is_complex())
