"""What layers of a network give for images, and how answers depend on it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.attribution.layers import listening
from whence.bounds import BATCH_SIZE
from whence.encoders.at_layers import pool, watch_layers
from whence.models.classifier import Classifier
from whence.models.twin import make_twin
from whence.visualisation.unit import classify_encoded


def read_depths(
    model: Classifier,
    layers: Sequence[str],
    images: Tensor,
    *,
    encoder: nn.Module | None = None,
    grid: int = 1,
) -> dict[str, Tensor]:
    """Average what layers give over the fields of a grid.

    Args:
        model: in eval mode.
        layers: names of modules of its encoder.
        images: `(N, C, H, W)` uint8 or in [0, 1].
        encoder: another network in the place of the encoder; None for its own.
        grid: fields of a side; 1 is the mean over the whole image. Tokens have no grid, their mean
            stands in every field.

    Returns:
        By layer, `(N, D, grid, grid)` on the CPU.
    """
    network = make_twin(model.encoder if encoder is None else encoder)
    parts: dict[str, list[Tensor]] = {name: [] for name in layers}
    with torch.no_grad():
        for some in images.split(BATCH_SIZE):
            found = watch_layers(network, model.normalise(some), list(layers))
            for name in layers:
                parts[name].append(average_fields(found[name], some, grid).cpu())
    return {name: torch.cat(some) for name, some in parts.items()}


def average_fields(given: Tensor, images: Tensor, grid: int) -> Tensor:
    """Average maps over the fields of a grid; `(B, D, grid, grid)`."""
    if given.ndim == 4 and grid > 1 and min(given.shape[2:]) > 1:
        return F.adaptive_avg_pool2d(given, grid)
    return pool(given, images)[:, :, None, None].expand(-1, -1, grid, grid)


def find_class_slopes(
    model: Classifier, layers: Sequence[str], images: Tensor, classes: Tensor
) -> dict[str, Tensor]:
    """Differentiate the logit of a class by what layers give, with the mean over the places.

    Where a direction is added at every place of a layer, the logit rises by its product with these
    slopes, times the number of places.

    Args:
        model: in eval mode, with its memory if it reads one.
        layers: names of modules of its encoder.
        images: `(N, C, H, W)`.
        classes: `(N,)` int64, whose logit is differentiated for each image.

    Returns:
        By layer, `(N, D)` on the CPU.
    """
    twin = make_twin(model.encoder)
    parts = {name: twin.get_submodule(name) for name in layers}
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    for some, asked in zip(images.split(BATCH_SIZE), classes.split(BATCH_SIZE), strict=True):
        with torch.enable_grad(), listening(parts) as heard:
            inputs = model.normalise(some).requires_grad_()
            logits = classify_encoded(model, twin(inputs))
            chosen = logits.gather(1, asked.to(logits.device)[:, None]).sum()
            given = dict(heard)
            slopes = torch.autograd.grad(chosen, [given[name] for name in layers])
        for name, slope in zip(layers, slopes, strict=True):
            found[name].append(pool(slope, some).detach().cpu())
    return {name: torch.cat(some) for name, some in found.items()}
