"""How few features of each view must follow a path for the class to gain, and which they are."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.models.classifier import Classifier
from whence.morphing.gain import integrate_gradients, random_order, top_pixels
from whence.morphing.path_mask import Gain, MaskPlan, path_masks
from whence.studies.parts.concept_maps import map_unit
from whence.studies.path_on_activations.followed_views import PLAIN_PIXELS, FollowedView

MOST_OF_IT = 0.5
"""Of the gain, that the counted features keep: so much every mask does, or nearly."""

WEIGHT_OF_MASK = 0.3
"""Of a mask's size against its gain; with the package's 1 masks on some layers keep under half."""

FOLLOWED_ORDERS = ("mask", "gradients", "chance")


class ViewFollowed(NamedTuple):
    """What following a view found, of B paths.

    Attributes:
        masks: `(B, H', W')`.
        order: `(B, n)` features by mask times integrated gradients, the most important first.
        rises: `(B, n)` bool, the feature is larger at the end of the path than at its start.
        measures: by name `(B,)`: the share of the gain that the mask keeps, how many features
            it amounts to, and by order how many features keep ``MOST_OF_IT``; NaN without a gain.
    """

    masks: Tensor
    order: Tensor
    rises: Tensor
    measures: dict[str, Tensor]


def follow_view(
    view: FollowedView, path: Tensor, classes: Tensor, *, steps: int, generator: torch.Generator
) -> ViewFollowed:
    """Find the masks of paths in one view, and measure them.

    Args:
        view: what may follow.
        path: `(B, S, C, H, W)` images in [0, 1], from other to self.
        classes: `(B,)` the class of self.
        steps: of the thesis, of the search of a mask.
        generator: of the order by chance.
    """
    laid = view.lay(path.flatten(0, 1))
    laid = laid.view(*path.shape[:2], *laid.shape[1:])
    plan = MaskPlan(
        steps=steps, weight=WEIGHT_OF_MASK, blur=1.0 if view.name == PLAIN_PIXELS else 0.0
    )
    found = path_masks(view.model, laid, classes, plan=plan)
    slopes = integrate_gradients(view.model, laid, classes)
    count, height, width = found.masks.shape
    orders = {
        "mask": found.masks,
        "gradients": slopes,
        "chance": random_order((count, height, width), generator=generator),
    }
    whole = found.full_gains.sum(1)
    known = torch.where(whole > 0, whole, torch.nan)
    measures = {
        "kept": found.gains.sum(1) / known,
        "in the mask": found.masks.flatten(1).sum(1).where(whole > 0, torch.nan),
        "whole gain": whole,
    }
    for name in FOLLOWED_ORDERS:
        measures[name] = count_needed(view.model, laid, classes, orders[name])
    change = (laid[:, -1] - laid[:, 0]).sum(1).flatten(1)
    worth = (found.masks * slopes.clamp_min(0)).flatten(1)
    return ViewFollowed(
        found.masks, worth.argsort(dim=1, descending=True, stable=True), change > 0, measures
    )


def count_needed(model: Classifier, path: Tensor, classes: Tensor, ranking: Tensor) -> Tensor:
    """Count how many of the highest ranked features keep ``MOST_OF_IT`` of the gain.

    Args:
        model: answers from the features.
        path: `(B, S, C', H', W')`.
        classes: `(B,)` of self.
        ranking: `(B, H', W')`.

    Returns:
        `(B,)` the smallest of ``list_counts`` that does; NaN where the path gains nothing.
    """
    total = ranking.shape[1] * ranking.shape[2]
    gain = Gain(model, path, classes, BATCH_SIZE)
    whole = gain.of(torch.ones_like(ranking)).sum(1)
    needed = torch.full((len(path),), torch.nan, dtype=torch.float64)
    open_rows = (whole > 0).nonzero().squeeze(1)
    for count in list_counts(total):
        if len(open_rows) == 0:
            break
        following = top_pixels(ranking, share=count / total).to(path.dtype)
        enough = gain.of(following, open_rows).sum(1) >= MOST_OF_IT * whole[open_rows]
        needed[open_rows[enough]] = float(count)
        open_rows = open_rows[~enough]
    return needed


def list_counts(total: int) -> list[int]:
    """List how many features are tried: every second one is half as many again, up to all.

    >>> list_counts(20)
    [1, 2, 3, 4, 6, 8, 12, 16, 20]
    """
    counts = {total}
    power = 1
    while power < total:
        counts |= {power, 3 * power // 2} if power > 1 else {1}
        power *= 2
    return sorted(count for count in counts if count <= total)


def show_features(
    view: FollowedView, found: ViewFollowed, path: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Show the most important features of every path by attribution to pixels.

    A feature that rises along the path is shown on the image of self, one that falls on the image
    of other, from where it fell: by contrastive Excitation Backprop of the feature.

    Args:
        view: of activations.
        found: the most important ones of every path.
        path: `(B, S, C, H, W)`.
        count: T, at most.

    Returns:
        `(B, T, H, W)` maps, each a share of 1 or all 0, and `(B, T)` whether the feature rises.
    """
    chosen = found.order[:, :count]
    rises = found.rises.gather(1, chosen)
    rows = []
    for row, (places, up) in enumerate(zip(chosen.tolist(), rises.tolist(), strict=True)):
        ends = (path[row, :1], path[row, -1:])
        rows.append(
            torch.cat(
                [
                    map_unit(partial(read_followed, view, place), ends[rising])
                    for place, rising in zip(places, up, strict=True)
                ]
            )
        )
    return torch.stack(rows), rises


def read_followed(view: FollowedView, place: int, images: Tensor) -> Tensor:
    """Read one feature of images, `(N,)`."""
    return view.numbers(images)[:, place]


def average_measures(measures: Mapping[str, Tensor]) -> dict[str, Any]:
    """Average shares and take the median of counts, over the paths where they are known."""
    found: dict[str, Any] = {}
    for name, values in measures.items():
        known = values[values.isfinite()].double()
        middle = known.quantile(0.5) if name in FOLLOWED_ORDERS and len(known) else known.mean()
        found[name] = float(middle) if len(known) else None
    return found
