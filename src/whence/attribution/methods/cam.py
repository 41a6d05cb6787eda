"""Class activation maps: what each place would add to a logit, where that is linear in places."""

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.attribution.found import FoundRelevance
from whence.attribution.graph.affine import READERS
from whence.attribution.graph.chords import CHOOSING
from whence.attribution.graph.kinds import ROUTES, SUMS
from whence.attribution.graph.layers import FoundByLayers, find_by_layers
from whence.attribution.graph.node import Node, Recording, Slot, aten
from whence.attribution.graph.pull import Messages, first_of, pull
from whence.attribution.graph.standing import name_operation
from whence.attribution.graph.tape import Everything
from whence.attribution.graph.walk_back import walk_back
from whence.attribution.method import Method
from whence.attribution.score import Score

BETWEEN = (ROUTES - CHOOSING) | {
    aten.add,
    aten.sub,
    aten.mm,
    aten.mv,
    aten.bmm,
    aten.addmm,
    aten.addmv,
}
"""What may stand between the pool and the score, as long as it is linear there."""


def cam(score: Score, images: Tensor) -> FoundRelevance:
    """Weigh the feature maps before a global average pool as the linear layer after it does.

    Zhou et al. (2016), arXiv:1512.04150, section 2. The maps are brought to the size of the images
    by bilinear interpolation, and the channels of a pixel share its number equally. Evidence, where
    it is summed before a linear layer, has maps of its own.

    Args:
        score: of B images, linear in the features behind a global average pool.
        images: `(B, C, H, W)`.

    Returns:
        Signed numbers in score units; over the places of the feature maps their mean is the score
        without biases.

    Raises:
        ValueError: if there is no such pool, or something else than linear layers after it.
    """
    return find_by_layers(
        score,
        images,
        weigh_maps,
        known=Everything(),
        weights=None,
        sentence="A pixel's number is a part of the score that there would be if the whole image "
        "were as it is there (class activation map), in units of the score.",
        adds_up=False,
    )


def weigh_maps(recording: Recording) -> FoundByLayers:
    """Find the maps of a recording, and weigh them by what the score makes of their means."""
    found: list[tuple[Slot, Tensor]] = []

    def pass_on(node: Node, arriving: list[Tensor | None]) -> Messages:
        maps = node.inputs[0].value
        if node.operation in SUMS and maps.dim() == 4 and is_one_place(node):
            weights = first_of(arriving).view(*maps.shape[:2], 1, 1)
            found.append((find_source(node.inputs[0]), (maps * weights).sum(1, keepdim=True)))
            return []
        layer = node.operation not in READERS or READERS[node.operation](node) is not None
        if node.operation not in BETWEEN or not layer:
            raise ValueError(
                "cam needs a network that ends in a global average pool and linear layers, this "
                f"one has {name_operation(node.operation)} after it; grad_cam needs no such end."
            )
        return pull(node, arriving)

    walk_back(recording, torch.ones_like(recording.output.value), pass_on)
    parts = []
    for slot in recording.inputs:
        own = [some for source, some in reversed(found) if source is slot]
        maps = torch.cat(own) if own else slot.value[:, :1, :1, :1] * 0
        channels, *size = slot.value.shape[1:]
        wide = F.interpolate(maps, size, mode="bilinear", align_corners=False) / channels
        parts.append(wide.expand(-1, channels, -1, -1))
    return FoundByLayers(parts[0], parts[1] if len(parts) > 1 else None, {})


def is_one_place(node: Node) -> bool:
    """Say whether an operation leaves one number of each feature map."""
    return node.output.value.numel() == node.inputs[0].value.shape[:2].numel()


def find_source(slot: Slot) -> Slot:
    """Find which of the inputs a value comes from."""
    while slot.maker is not None:
        slot = slot.maker.inputs[0]
    return slot


CAM = Method("cam", cam, adds_up=False)
