"""A tape: every operation between images and their score, with what went in and what came out.

The score is computed once, as it is, while a dispatch mode of PyTorch looks on. That sees what is
computed in this thread alone, changes nothing of the model, and sets no hook; an encoder that is
called twice, a layer that is used again, or a function without a module are no special cases.
"""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves, tree_map

from whence.attribution.graph.node import Node, Operation, Recording, Slot
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
        self._tensors: dict[int, tuple[Tensor, Slot | None]] = {
            id(tensor): (tensor, slot) for tensor, slot in inputs
        }
        self._looking = True

    def slot(self, tensor: Tensor) -> Slot | None:
        """Find the slot of a tensor; None for a constant."""
        known = self._tensors.get(id(tensor))
        if known is not None and known[1] is None:
            refuse_operation("a tensor of which a part was changed in place", find_place())
        return None if known is None else known[1]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute an operation, and write it down if it depends on the inputs."""
        kwargs = kwargs or {}
        if not self._looking or func is torch.ops.aten.detach.default:
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
        operation, call = func.overloadpacket, func
        if func._schema.is_mutable:
            operation, call = find_out_of_place(func)
            self._keep_values(args[0])
        result = func(*args, **kwargs)
        results = list(result) if isinstance(result, tuple | list) else [result]
        if any(is_float(one) for one in results):
            self._write(Node(operation, call, taken_args, taken_kwargs), results)
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

    def _write(self, node: Node, results: list[Any]) -> None:
        """Write a node down, with a slot for each of its results."""
        if node.operation not in self.known and node.inside is None:
            node.place = find_place()
        for slot in node.inputs:
            slot.uses += 1
        for one, rows in zip(results, find_owners(node, results), strict=True):
            made = Slot(one, rows, ref(node)) if is_float(one) and one.numel() else None
            node.outputs.append(made)
            if made is not None:
                self._tensors[id(one)] = one, made
        self.nodes.append(node)

    def _keep_values(self, written: Tensor) -> None:
        """Keep what slots hold before the memory of a tensor is written over.

        Tensors that share it have no slot from then on, until one is written down for them.
        """
        where = written.untyped_storage().data_ptr()
        for key, (tensor, slot) in self._tensors.items():
            if slot is not None and tensor.untyped_storage().data_ptr() == where:
                slot.value = tensor.clone()
                self._tensors[key] = tensor, None


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
        ValueError: if a part of a tensor was changed in place, and then the whole was read.
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
    packet = getattr(torch.ops.aten, name.removesuffix("_"))
    return packet, getattr(packet, func._overloadname)


def is_float(one: object) -> bool:
    """Say whether it is a tensor of floating point numbers."""
    return isinstance(one, Tensor) and one.is_floating_point()
