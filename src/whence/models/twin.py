"""A copy of a network that shares its tensors, so that one can listen to it and nobody notices.

A hook on the network itself is one for every thread: it makes answers that are computed meanwhile
take slower ways, whose last bits differ.
"""

from collections import OrderedDict
from operator import is_
from types import MethodType
from typing import Any

import torch
from torch import nn


def make_twin(network: nn.Module) -> nn.Module:
    """Copy the structure of a network; parameters, buffers and everything else are shared.

    Hooks that the network has are those of the twin, and hooks that the twin gets are its alone.
    Layers that the network keeps in lists, tuples or dictionaries, and methods that it has been
    given, are those of the twin, too.
    """
    twins: dict[int, nn.Module] = {}
    for part in network.modules():
        if not isinstance(part, torch.jit.ScriptModule):
            twins[id(part)] = copy_shell(part)
    for twin in twins.values():
        for name, value in vars(twin).items():
            vars(twin)[name] = redirect(value, twins)
    return twins.get(id(network), network)


def copy_shell(part: nn.Module) -> nn.Module:
    """Copy one module, whose layers are still those of the first."""
    twin = type(part).__new__(type(part))
    kept = dict(vars(part))
    hooks = {name: OrderedDict(value) for name, value in kept.items() if name.endswith("_hooks")}
    vars(twin).update(kept | hooks)
    return twin


def redirect(value: Any, twins: dict[int, nn.Module]) -> Any:
    """Put twins in the place of modules, in a value that a module has; without any it is the same.

    Args:
        value: anything.
        twins: by the id of the module.
    """
    if id(value) in twins:
        return twins[id(value)]
    if isinstance(value, MethodType):
        return MethodType(value.__func__, redirect(value.__self__, twins))
    if type(value) in (list, tuple):
        found = [redirect(one, twins) for one in value]
        return value if all(map(is_, found, value)) else type(value)(found)
    if type(value) in (dict, OrderedDict):
        made = {name: redirect(one, twins) for name, one in value.items()}
        return value if all(map(is_, made.values(), value.values())) else type(value)(made)
    return value
