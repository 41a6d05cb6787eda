"""Encoders for answering: each batch normalisation merged into the convolution before it."""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module
from torch.nn.utils.fusion import fuse_conv_bn_eval

from whence.models.stamp import Stamp
from whence.seeds import make_generator

TOLERANCE = 1e-4
"""Of the largest feature: more than rounding, and far less than a layer in the wrong place."""


class Pair(NamedTuple):
    """The names of a convolution and of the batch normalisation of its output."""

    convolution: str
    norm: str


class Merged:
    """A merged copy of an encoder, good for as long as the encoder does not change.

    Attributes:
        network: the copy; the encoder itself where nothing can be merged.
    """

    def __init__(self, encoder: nn.Module, image_shape: tuple[int, int, int]) -> None:
        self.stamp = Stamp(encoder)
        self.modules = list(encoder.modules())
        self.norms = [module for module in self.modules if isinstance(module, nn.BatchNorm2d)]
        self.epsilons = [norm.eps for norm in self.norms]
        self.attributes = [vars(module) for module in self.modules]
        self.hooks = [hooks for module in self.modules for hooks in hooks_of(module)]
        self.special = self._is_special()
        merged = merge(encoder, image_shape) if self.norms and not self.special else None
        self.network = encoder if merged is None else merged

    def fits(self, encoder: nn.Module) -> bool:
        """Say whether the copy still computes what the encoder does."""
        return self.stamp.fits(encoder) and self._is_special() == self.special

    def _is_special(self) -> bool:
        """Say whether a layer is in training, listened to, or has another forward pass."""
        return (
            any(module.training for module in self.modules)
            or any(self.hooks)
            or bool(every_module._global_forward_hooks or every_module._global_forward_pre_hooks)
            or any("forward" in attributes for attributes in self.attributes)
            or [norm.eps for norm in self.norms] != self.epsilons
        )


@torch.no_grad()
def merge(encoder: nn.Module, image_shape: tuple[int, int, int]) -> nn.Module | None:
    """Copy an encoder in eval mode and merge what can be merged; the result differs by rounding.

    A convolution whose output goes into one batch normalisation gets its scale and shift. Ioffe
    and Szegedy (2015), arXiv:1502.03167, section 3.1. Which layers follow each other is seen while
    random images go through a copy with random statistics, and the merged copy must give the
    features that this one gave: a convolution whose output is also used elsewhere would show.
    All this on the CPU, because a GPU may round convolutions to TF32.

    Args:
        encoder: in eval mode; forward passes must not depend on what is in the images.
        image_shape: (C, H, W) of the images that it takes.

    Returns:
        The copy, or None where there is nothing to merge, or it would compute something else.
    """
    generator = make_generator(0)
    example = torch.rand(2, *image_shape, generator=generator)
    trial = copy.deepcopy(encoder).requires_grad_(False).to("cpu", torch.float32)
    for norm in trial.modules():
        if isinstance(norm, nn.BatchNorm2d):
            shake(norm, generator)
    example = example.contiguous(memory_format=torch.channels_last)
    pairs, expected = watch(trial, example)
    if not pairs:
        return None
    put_together(trial, pairs)
    if not bool((trial(example) - expected).abs().max() <= TOLERANCE * expected.abs().max()):
        return None
    network = copy.deepcopy(encoder).requires_grad_(False)
    put_together(network, pairs)
    return network


def shake(norm: nn.BatchNorm2d, generator: torch.Generator) -> None:
    """Give a batch normalisation statistics and factors that show where it stands."""
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if tensor is not None:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


def watch(network: nn.Module, example: Tensor) -> tuple[list[Pair], Tensor]:
    """Find which normalisation follows which convolution; also return the features."""
    made: dict[int, tuple[str, Tensor]] = {}  # holds the outputs, so that no other gets their id
    follows: dict[str, str] = {}
    calls: Counter[str] = Counter()
    handles = []

    def hear(name: str, module: nn.Module) -> None:
        def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[name] += 1
            if type(module) is nn.BatchNorm2d and id(inputs[0]) in made:
                follows[name] = made[id(inputs[0])][0]

        def after(_: nn.Module, __: object, output: Tensor) -> None:
            if type(module) is nn.Conv2d:
                made[id(output)] = (name, output)

        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))

    for name, module in network.named_modules():
        if type(module) in (nn.Conv2d, nn.BatchNorm2d):
            hear(name, module)
    features: Tensor = network(example)
    for handle in handles:
        handle.remove()
    used = Counter(follows.values())
    return [
        Pair(convolution, norm)
        for norm, convolution in follows.items()
        if calls[norm] == calls[convolution] == used[convolution] == 1
        and network.get_submodule(norm).running_mean is not None
    ], features


def put_together(network: nn.Module, pairs: list[Pair]) -> None:
    """Merge pairs of layers in place; nothing is left of the normalisations."""
    for pair in pairs:
        convolution: Any = network.get_submodule(pair.convolution)
        norm: Any = network.get_submodule(pair.norm)
        replace(network, pair.convolution, fuse_conv_bn_eval(convolution, norm))
        replace(network, pair.norm, nn.Identity())


def replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer in the place of another one."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)


def hooks_of(module: nn.Module) -> tuple[Mapping[int, object], ...]:
    """Return the dictionaries of those who listen to a layer."""
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks
