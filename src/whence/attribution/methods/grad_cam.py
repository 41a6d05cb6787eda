"""Grad-CAM: the feature maps of a late layer, weighed by what the score makes of each."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, relu

from whence.attribution.found import FoundRelevance
from whence.attribution.hiding import share_channels
from whence.attribution.layers import find_layer, listening
from whence.attribution.method import Method
from whence.attribution.score import NO_GRADIENT, Score, batches, explain_each
from whence.messages import quote


def grad_cam(score: Score, images: Tensor, *, layer: str | None = None) -> FoundRelevance:
    """Weigh the maps of a layer by the mean slope of the score on each, and show what is positive.

    Selvaraju et al. (2017), arXiv:1610.02391, equations 1 and 2, brought to the size of the images
    by bilinear interpolation. Of a classifier with a memory the layer is one of the encoder, and
    each evidence image is looked at alone, while all others stay as they are.

    Args:
        score: of B images, with a network.
        images: `(B, C, H, W)`.
        layer: its name in the network; None is the last one that gives out maps.

    Returns:
        Numbers of at least 0, shared equally by the channels; they add up to nothing.

    Raises:
        ValueError: if the score is a plain function, or there is no such layer.
        RuntimeError: if the score has no gradient.
    """
    score = score.apart()  # whose layers nobody else uses
    name, found = find_layer(score, score.pixels(images), layer)

    def weigh_maps(part: Score, pixels: Tensor) -> Tensor:
        maps = [torch.zeros_like(pixels[:0, 0])]
        for one, some in batches(part, pixels):
            with listening({name: found}) as heard:
                total = one(some).sum()
            at = check_heard(name, [output for _, output in heard])
            slopes = differentiate_layer(total, at)
            weights = slopes.mean((2, 3), keepdim=True)
            seen = relu((weights * at.detach()).sum(1, keepdim=True)).to(pixels.dtype)
            maps.append(interpolate(seen, pixels.shape[2:], mode="bilinear")[:, 0])
        return share_channels(torch.cat(maps), pixels.shape[1])

    return FoundRelevance(
        *explain_each(score, images, weigh_maps),
        f"A pixel's number is how much the maps of layer {name} there speak for the score "
        "(Grad-CAM, only what is positive); its scale is that of the layer, and its edges are as "
        "coarse as the maps.",
    )


def check_heard(name: str, outputs: list[Tensor]) -> Tensor:
    """Take the last output of a layer, which must be maps `(n, c, h, w)`.

    Raises:
        ValueError: if the layer did not run, or gives out something else.
    """
    if not outputs:
        raise ValueError(f"layer {quote(name)} does not run when images are scored.")
    if outputs[-1].dim() != 4:
        shape = tuple(outputs[-1].shape)
        raise ValueError(f"layer {quote(name)} must give out maps (n, c, h, w), got shape {shape}.")
    return outputs[-1]


def differentiate_layer(total: Tensor, output: Tensor) -> Tensor:
    """Differentiate the sum of scores with respect to a layer's output.

    Raises:
        RuntimeError: if it has no gradient.
    """
    slopes = None
    if total.requires_grad and output.requires_grad:
        (slopes,) = torch.autograd.grad(total, output, allow_unused=True)
    if slopes is None:
        raise RuntimeError(NO_GRADIENT)
    return slopes


GRAD_CAM = Method("grad_cam", grad_cam, adds_up=False, lighter="evidence")
