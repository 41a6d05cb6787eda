"""What the study learns filters from: pieces of photos, or images, without their smooth part."""

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.studies.deconvolutional.layers import find_smooth

CROP_SIDE = 32
"""Pixels of a side."""

SMOOTHNESS = 0.3
"""Weight of the prior of the smooth map."""

LEAST_CONTRAST = 0.02
"""Pieces whose rest deviates less than this, of a range of 1, are not taken: sky, and blur."""


def load_photos() -> list[Tensor]:
    """Load the two photos that scikit-learn ships, grey, half as large; `(1, h, w)` in [0, 1]."""
    from sklearn.datasets import load_sample_images

    found = []
    for pixels in load_sample_images().images:
        grey = torch.from_numpy(pixels.copy()).float().mean(2)[None] / 255
        found.append(torch.nn.functional.avg_pool2d(grey, 2))
    return found


def cut_crops(photos: list[Tensor], count: int, generator: torch.Generator) -> Tensor:
    """Cut so many pieces with contrast out of photos, by turns; `(N, 1, 32, 32)` in [0, 1]."""
    found: list[Tensor] = []
    while len(found) < count:
        photo = photos[len(found) % len(photos)]
        top, left = (
            int(torch.randint(size - CROP_SIDE + 1, (1,), generator=generator))
            for size in photo.shape[1:]
        )
        crop = photo[:, top : top + CROP_SIDE, left : left + CROP_SIDE]
        if float(split_smooth(crop[None])[1].std()) >= LEAST_CONTRAST:
            found.append(crop)
    return torch.stack(found)


def split_smooth(images: Tensor) -> tuple[Tensor, Tensor]:
    """Divide images `(N, C, H, W)` in their smooth part and the rest."""
    smooth = find_smooth(images, SMOOTHNESS)
    return smooth, images - smooth


def prepare_images(images: Tensor) -> Tensor:
    """Bring images `(N, 1, H, W)`, uint8 or in [0, 1], to their rest, of deviation 1 each."""
    rest = split_smooth(to_float(images))[1]
    spread: Tensor = rest.flatten(1).std(1)
    return rest / spread.clamp_min(LEAST_CONTRAST)[:, None, None, None]
