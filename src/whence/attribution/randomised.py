"""Copies of a model whose layers are randomised, from the answer down to the pixels."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from whence.attribution.classifier_score import stored_pixels
from whence.bounds import BATCH_SIZE
from whence.models.classifier import Classifier
from whence.seeds import make_generator

CASCADE_STAGES = 5
"""Copies of a model, each with more randomised layers, the last with all of them."""

STATISTICS = ("running_mean", "running_var")
"""Buffers that were learned from images."""


def randomise(
    model: nn.Module, *, seed: int, stages: int = CASCADE_STAGES, batch_size: int = BATCH_SIZE
) -> Iterator[tuple[str, nn.Module]]:
    """Copy a model with its uppermost layers randomised, more of them in every copy.

    The cascade of Adebayo et al. (2018), arXiv:1810.03292, section 3.1. Numbers are not drawn anew
    but shuffled within each tensor, so that every layer keeps their distribution.

    Args:
        model: in eval mode; it stays as it is. Its memory is encoded again by each copy.
        seed: of the shuffles; a layer is shuffled alike in all copies.
        stages: how many copies; fewer where the model has fewer layers.
        batch_size: images encoded at once.

    Yields:
        The name of the lowest layer that is randomised, and the copy, in eval mode.

    Raises:
        ValueError: if no layer has a parameter, or a memory was saved without pixels.
    """
    names = [name for name, layer in model.named_modules() if list_learned(layer)][::-1]
    if not names:
        raise ValueError("model must have at least one layer with parameters to be randomised.")
    ends = sorted({max(1, round(len(names) * stage / stages)) for stage in range(1, stages + 1)})
    for end in ends:
        copied, generator = copy.deepcopy(model), make_generator(seed)
        for name in names[:end]:
            shuffle_layer(copied.get_submodule(name), generator)
        if isinstance(copied, Classifier) and isinstance(model, Classifier) and model.has_memory:
            remember_again(copied, model, batch_size)
        yield names[end - 1], copied


def list_learned(layer: nn.Module) -> list[Tensor]:
    """List what a layer itself has learned, without the layers inside it."""
    found = [one for one in layer.parameters(recurse=False) if one.numel() > 1]
    buffers = dict(layer.named_buffers(recurse=False))
    return found + [buffers[name] for name in STATISTICS if buffers.get(name) is not None]


def shuffle_layer(layer: nn.Module, generator: torch.Generator) -> None:
    """Shuffle the numbers of each tensor; vectors of one length move together."""
    orders: dict[int, Tensor] = {}
    with torch.no_grad():
        for tensor in list_learned(layer):
            size = tensor.numel()
            if tensor.dim() > 1 or size not in orders:
                orders[size] = torch.randperm(size, generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[orders[size]].view(tensor.shape))


def remember_again(copied: Classifier, model: Classifier, batch_size: int) -> None:
    """Let a copy encode the memory of a model."""
    bank = model.checked_bank()
    copied.remember(
        stored_pixels(bank), bank.labels, bank.indices, bank.sources, batch_size=batch_size
    )
