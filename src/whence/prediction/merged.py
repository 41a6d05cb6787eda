"""Encoders for answering: each batch normalisation merged into the convolution before it."""

import copy
import warnings
from collections import Counter
from collections.abc import Mapping

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from whence.prediction.stamp import Stamp


class Merged:
    """A merged copy of an encoder, good for as long as the encoder does not change.

    Attributes:
        network: the copy; the encoder itself where nothing can be merged.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self.stamp = Stamp(encoder)
        modules = list(encoder.modules())
        self.norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        self.attributes = [vars(module) for module in modules]
        self.hooks = [hooks for module in modules for hooks in hooks_of(module)]
        merged = merge(encoder) if self.norms and not self._is_special() else None
        self.network = encoder if merged is None else merged

    def fits(self, encoder: nn.Module) -> bool:
        """Say whether the copy still computes what the encoder does."""
        return self.stamp.fits(encoder) and (self.network is encoder or not self._is_special())

    def _is_special(self) -> bool:
        """Say whether a layer is in training, listened to, or has another forward pass."""
        return (
            any(norm.training for norm in self.norms)
            or any(self.hooks)
            or any("forward" in attributes for attributes in self.attributes)
        )


def merge(encoder: nn.Module) -> nn.Module | None:
    """Copy an encoder in eval mode and merge what can be merged; the result differs by rounding.

    A convolution whose output goes into one batch normalisation and nowhere else gets its scale
    and shift. Ioffe and Szegedy (2015), arXiv:1502.03167, section 3.1.

    Returns:
        The copy, or None where there is nothing to merge, or torch.fx cannot follow the forward
        pass.
    """
    network = copy.deepcopy(encoder).requires_grad_(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what a network does to its sizes, from tracing
            graph = fx.Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError, AttributeError, NotImplementedError):
        return None  # a forward pass that depends on its input
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    merged = False
    for node in list(graph.nodes):
        pair = find_pair(network, node, calls)
        if pair is None:
            continue
        convolution, norm = pair
        before = node.args[0]
        set_module(network, before.target, fuse_conv_bn_eval(convolution, norm))
        node.replace_all_uses_with(before)
        graph.erase_node(node)
        merged = True
    if not merged:
        return None
    made = fx.GraphModule(network, graph)
    made.delete_all_unused_submodules()
    return made


def find_pair(
    network: nn.Module, node: fx.Node, calls: Counter[object]
) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    """Return the layers of a batch normalisation that can go into the convolution before it."""
    if node.op != "call_module" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    before = node.args[0]
    if before.op != "call_module" or len(before.users) > 1:
        return None
    if calls[node.target] > 1 or calls[before.target] > 1:
        return None  # a layer that is used twice
    norm = network.get_submodule(str(node.target))
    convolution = network.get_submodule(str(before.target))
    if type(norm) is not nn.BatchNorm2d or type(convolution) is not nn.Conv2d:
        return None
    return (convolution, norm) if norm.running_mean is not None else None


def set_module(network: nn.Module, path: object, layer: nn.Module) -> None:
    """Put a layer in the place of another one."""
    parent, _, name = str(path).rpartition(".")
    setattr(network.get_submodule(parent), name, layer)


def hooks_of(module: nn.Module) -> tuple[Mapping[int, object], ...]:
    """Return the dictionaries of those who listen to a layer."""
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks
