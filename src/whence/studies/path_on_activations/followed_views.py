"""What can follow a path: pixels, units of a layer, whole feature maps, x-features.

Features that are never below 0 are divided by their largest value and laid out as images whose
pixels they are, and the rest of the network becomes a classifier of these. So everything that the
package does with paths of images, masks above all, does the same with paths of activations.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.studies.parts.explanation_module import ExplanationModule

PLAIN_PIXELS, UNBLURRED = "pixels", "pixels, mask not blurred"
LAYER_UNITS, LAYER_MAPS = "units of the convolution", "maps of the convolution"
DENSE, X_FEATURES = "units of the dense layer", "x-features"
FOLLOWED = (PLAIN_PIXELS, UNBLURRED, LAYER_UNITS, LAYER_MAPS, DENSE, X_FEATURES)
"""Every view, in the order of the table: from the image up."""

ON_PIXELS = (PLAIN_PIXELS, UNBLURRED)
ACTIVATED_AT_ONCE = 512


class FollowedView(NamedTuple):
    """Features that a mask may choose among, and what answers from them.

    Attributes:
        name: one of ``FOLLOWED``.
        model: classifies images `(N, C', H', W')` in [0, 1] whose pixels are the features.
        lay: maps images `(N, C, H, W)` to such images.
        numbers: maps images to `(N, n)`, the features one by one, in the order of the pixels.
    """

    name: str
    model: Classifier
    lay: Callable[[Tensor], Tensor]
    numbers: Callable[[Tensor], Tensor]


class RestOfNetwork(nn.Module):
    """Features laid out as images `(N, 1, 1, n)`, or by map `(N, h w, 1, c)`, to what comes next.

    Args:
        then: takes the activations as the network has them.
        scale: that they were divided by.
        shape: of the activations of one image, such as (c, h, w).
        by_map: laid out by map.
    """

    def __init__(
        self, then: nn.Module, *, scale: float, shape: Sequence[int], by_map: bool
    ) -> None:
        super().__init__()
        self.then, self.scale, self.shape, self.by_map = then, scale, tuple(shape), by_map

    def forward(self, laid: Tensor) -> Tensor:
        """Return `(N, D)` what the network makes of the activations."""
        flat = laid.squeeze(2).transpose(1, 2) if self.by_map else laid
        found: Tensor = self.then(flat.reshape(-1, *self.shape) * self.scale)
        return found


class SaidByModules(nn.Module):
    """The logits `(N, K)` that the modules of all classes say from their x-features `(N, K n)`."""

    def __init__(self, modules: Sequence[ExplanationModule]) -> None:
        super().__init__()
        self.says = nn.ModuleList(module.say for module in modules)

    def forward(self, concepts: Tensor) -> Tensor:
        """Say every logit from the x-features of its own class."""
        parts = concepts.chunk(len(self.says), dim=1)
        return torch.cat([say(part) for say, part in zip(self.says, parts, strict=True)], 1)


def lay_activations_out(activations: Tensor, scale: float, *, by_map: bool) -> Tensor:
    """Lay activations `(N, c, h, w)` or `(N, n)` out as images in [0, 1].

    Returns:
        `(N, 1, 1, n)`; by map `(N, h w, 1, c)`, whose channels are places and pixels are maps, so
        that a mask, which is one for all channels, lets whole maps follow.
    """
    shared = activations / scale
    if by_map:
        return shared.flatten(2).transpose(1, 2).unsqueeze(2)
    return shared.flatten(1)[:, None, None, :]


def cut_at_flatten(encoder: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut a sequence of layers in two, before the first that flattens.

    Raises:
        ValueError: if the encoder is no sequence, or nothing in it flattens.
    """
    layers = list(encoder) if isinstance(encoder, nn.Sequential) else []
    places = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Flatten)]
    if not places:
        raise ValueError("encoder must be a sequence of layers with nn.Flatten among them.")
    return nn.Sequential(*layers[: places[0]]), nn.Sequential(*layers[places[0] :])


def classify_features(
    encoder: nn.Module, like: Classifier, image_shape: tuple[int, int, int], head: dict[str, Any]
) -> Classifier:
    """Make a classifier of features that are laid out as images.

    Args:
        encoder: takes these.
        like: names the classes.
        image_shape: of what is laid out.
        head: parameters of the last layer.
    """
    made = wrap(
        encoder,
        like.class_names,
        variant="standard",
        image_shape=image_shape,
        drop_classifier=False,
    )
    made.head.load_state_dict(head)
    return made.eval().requires_grad_(False)


def view_layers(
    model: Classifier,
    modules: Sequence[ExplanationModule],
    module_scale: float,
    images: Tensor,
) -> dict[str, FollowedView]:
    """Build every view of a network.

    Args:
        model: with a sequence of layers that flattens once, and no normalisation.
        modules: one per class, of the features of its last layer divided by ``module_scale``.
        module_scale: that.
        images: `(N, C, H, W)` that will be looked at; their largest activations become 1.

    Returns:
        By name, in the order of ``FOLLOWED``.
    """
    below, above = cut_at_flatten(model.encoder)
    own = model.head.state_dict()
    plain = {"weight": torch.eye(len(modules)), "bias": torch.zeros(len(modules))}
    straight = {name: plain[name.rpartition(".")[2]].to(value.dtype) for name, value in own.items()}

    def embed(pixels: Tensor) -> Tensor:
        features = model.encoder(pixels) / module_scale
        return torch.cat([module.embed(features) for module in modules], 1)

    def sum_maps(pixels: Tensor) -> Tensor:
        summed: Tensor = below(pixels).sum((2, 3))
        return summed

    def flatten_units(pixels: Tensor) -> Tensor:
        flat: Tensor = below(pixels).flatten(1)
        return flat

    parts: dict[
        str, tuple[Callable[[Tensor], Tensor], nn.Module, dict[str, Any], Callable[..., Tensor]]
    ] = {
        LAYER_UNITS: (below, above, own, flatten_units),
        LAYER_MAPS: (below, above, own, sum_maps),
        DENSE: (model.encoder, nn.Identity(), own, model.encoder),
        X_FEATURES: (embed, SaidByModules(modules), straight, embed),
    }
    views = {
        name: FollowedView(name, model, lambda pixels: pixels, lambda pixels: pixels.flatten(1))
        for name in ON_PIXELS
    }
    for name, (activate, then, head, numbers) in parts.items():
        by_map = name == LAYER_MAPS
        found = activate_in_parts(activate, images)
        scale = float(found.amax()) or 1.0
        laid = lay_activations_out(found[:1], scale, by_map=by_map)
        rest = RestOfNetwork(then, scale=scale, shape=found.shape[1:], by_map=by_map)
        shape = (laid.shape[1], laid.shape[2], laid.shape[3])
        rest_alone = classify_features(rest, model, shape, head)
        views[name] = FollowedView(name, rest_alone, make_layer(activate, scale, by_map), numbers)
    return {name: views[name] for name in FOLLOWED}


def activate_in_parts(activate: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Compute activations of images `(N, C, H, W)`, a part at a time."""
    with torch.no_grad():
        return torch.cat([activate(some) for some in images.split(ACTIVATED_AT_ONCE)])


def make_layer(
    activate: Callable[[Tensor], Tensor], scale: float, by_map: bool
) -> Callable[[Tensor], Tensor]:
    """Return what maps images to their activations, laid out."""

    def lay(pixels: Tensor) -> Tensor:
        return lay_activations_out(activate_in_parts(activate, pixels), scale, by_map=by_map)

    return lay
