"""Association of single units with concepts: overlap of places, and precision as a detector."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TOP_SHARE = 0.02
"""Share of all places at which a unit counts as active."""


class UnitFit(NamedTuple):
    """How well a unit goes with a concept."""

    unit: int
    overlap: float | None  # intersection over union of places; None where these are not known
    precision: float  # average precision as a detector of the concept in images


def overlap_units(maps: Tensor, masks: Tensor, share: float = TOP_SHARE) -> Tensor:
    """Compute intersection over union of active places and those of a concept, for each unit.

    Bau et al. (2017), arXiv:1704.05796, section 2: maps are brought to the size of the image, a
    unit is active where it is among its own highest places over all images. There the highest
    0.5 %; ``share`` says which part here.

    Args:
        maps: `(N, D, h, w)` of a layer.
        masks: `(N, H, W)` bool, where the concept is.
        share: of all places.

    Returns:
        `(D,)`; 0 for a unit that gives the same everywhere.
    """
    found = []
    for unit in range(maps.shape[1]):
        grown = F.interpolate(
            maps[:, unit : unit + 1].float(), masks.shape[1:], mode="bilinear", align_corners=False
        )[:, 0]
        limit = grown.flatten().kthvalue(round((1 - share) * grown.numel())).values
        active = grown > limit
        both, either = (active & masks).sum(), (active | masks).sum()
        found.append(both / either if active.any() else both * 0.0)
    return torch.stack(found).float()


def detect_by_units(activity: Tensor, present: Tensor) -> Tensor:
    """Compute the average precision of each unit as a detector of a concept.

    Gonzalez-Garcia et al. (2018), arXiv:1607.03738, ask of boxes; here of whole images.

    Args:
        activity: `(N, D)`, for example the maximum over the image.
        present: `(N,)` bool, which images have the concept.
    """
    from sklearn.metrics import average_precision_score

    flags = present.numpy()
    scores = [float(average_precision_score(flags, one.numpy())) for one in activity.T]
    return torch.from_numpy(np.array(scores, dtype=np.float32))


def find_best_unit(activity: Tensor, present: Tensor, overlaps: Tensor | None = None) -> UnitFit:
    """Find the unit of a layer that goes best with a concept: by overlap, else by precision."""
    precisions = detect_by_units(activity, present)
    best = int((precisions if overlaps is None else overlaps).argmax())
    overlap = None if overlaps is None else float(overlaps[best])
    return UnitFit(best, overlap, float(precisions[best]))
