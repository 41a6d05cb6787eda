"""Occlusion: what the score loses where a window hides a part of the image."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.hiding import Fill, find_fill, score_hidden, share_channels
from whence.attribution.method import Method
from whence.attribution.patches import Sides, find_sides, list_windows
from whence.attribution.score import Score, explain_each, find_values


def occlusion(
    score: Score,
    images: Tensor,
    *,
    patch: Sides | None = None,
    stride: Sides | None = None,
    fill: Fill = "mean",
) -> FoundRelevance:
    """Slide a window over each image, and over each of its evidence images, and ask the score.

    Zeiler and Fergus (2014), arXiv:1311.2901, section 4.2. A pixel's number is the mean over all
    windows that hide it. An evidence image is hidden alone, while all others stay as they are.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        patch: height and width of the window; None is a quarter of the image's.
        stride: by how much it moves; None is half of the patch.
        fill: what is seen instead: a name from ``BASELINES`` ("mean" is the image's own mean
            colour), a number, a colour of C numbers, or an image `(C, H, W)`.

    Returns:
        Losses in score units, shared equally by the channels; they add up to nothing.

    Raises:
        ValueError: if the patch is larger than the images, the stride larger than the patch, or the
            fill does not fit.
    """
    height, width = images.shape[2:]
    window = find_sides("patch", patch, (height, width), share=4, of="the images")
    step = find_sides("stride", stride, window, share=2, of="the patch")
    filled = find_fill(fill, images, bounded=score.bounded)
    windows = list_windows((height, width), window, step)  # (P, H, W)
    seen = windows.sum(0)  # (H, W)

    def lose(part: Score, pixels: Tensor) -> Tensor:
        hidden = score_hidden(
            part,
            pixels,
            filled.of(pixels),
            lambda rows, ways: windows[ways],
            len(windows),
            method="occlusion",
        )
        losses = find_values(part, pixels)[:, None] - hidden  # (B, P)
        sums = torch.einsum("bp,phw->bhw", losses, windows.to(losses))
        return share_channels(sums / seen.to(sums), pixels.shape[1])

    sentence = (
        "A pixel's number is by how much the score falls where a window of "
        f"{window[0]} x {window[1]} pixels shows {filled.words} instead, the mean over those of "
        f"{len(windows):,} windows that hide it, in units of the score."
    )
    return FoundRelevance(*explain_each(score, images, lose), sentence)


OCCLUSION = Method("occlusion", occlusion, adds_up=False, lighter="evidence")
