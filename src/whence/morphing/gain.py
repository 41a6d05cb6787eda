"""How much of a path's gain is kept when only the highest ranked pixels follow it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from whence.attribution.methods.gradient import gradient
from whence.attribution.methods.path_integrated_gradients import path_integrated_gradients
from whence.attribution.methods.random import draw_like
from whence.attribution.score import FunctionScore, differentiating
from whence.bounds import BATCH_SIZE
from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.models.using import check_images
from whence.morphing.answers import check_gradients
from whence.morphing.entropy import check_own, check_path
from whence.morphing.path_mask import Gain
from whence.records.show import show_record
from whence.shapes import check_batch_size, check_shape

SHARE = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class Kept:
    """Shares of a path's gain, `(B,)` each; on the CPU; 1 is all of it, higher is better.

    Attributes:
        steps: sum over the steps of the gain when, from each image of the path to the next, only
            the chosen pixels change: what the path mask maximises, and its images stay near real
            ones.
        end: the gain of the start's image with the chosen pixels of the end's: the pixels follow
            the path to its end, all others stay. NaN in both where the path gains nothing.
    """

    steps: Tensor
    end: Tensor

    __repr__ = show_record


def gain_kept(
    model: Classifier,
    path: Tensor,
    classes: Tensor,
    ranking: Tensor,
    *,
    share: float = SHARE,
    batch_size: int = BATCH_SIZE,
) -> Kept:
    """Let only the highest ranked pixels follow the path.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        path: `(B, S, C, H, W)` images in [0, 1], from other to self.
        classes: `(B,)` the class of self.
        ranking: `(B, H, W)` any numbers, higher is more important.
        share: fraction of the pixels that follow.
        batch_size: images at once; changes memory use, not the result.

    Returns:
        Parts of the probability of self at the end of the path minus that at its start.

    Raises:
        ValueError: if shapes do not fit, the ranking has NaN, or ``share`` is not in 0 to 1.
    """
    sizes = check_path(model, path, batch_size)
    check_shape("classes", classes, "B", B=sizes["B"])
    check_shape("ranking", ranking, "B H W", **{name: sizes[name] for name in "BHW"})
    check_own(model, classes)
    following = top_pixels(ranking.to(path.device), share=share).to(path.dtype)
    steps = Gain(model, path, classes, batch_size).of(following).sum(1)
    ends = Gain(model, path[:, [0, -1]], classes, batch_size)
    whole = ends.of(torch.ones_like(following)).squeeze(1)
    part = ends.of(following).squeeze(1)
    whole = torch.where(whole > 0, whole, torch.nan)
    return Kept((steps / whole).cpu(), (part / whole).cpu())


def top_pixels(ranking: Tensor, *, share: float = SHARE) -> Tensor:
    """Choose the highest ranked pixels.

    Pixels that tie at the edge follow in equal parts, so that no order of pixels is preferred.

    Args:
        ranking: `(B, H, W)`, higher is more important.
        share: fraction of the pixels, in (0, 1].

    Returns:
        `(B, H, W)` in [0, 1], float64, whose sum is ``share`` of the pixels, rounded, at least 1.

    Raises:
        ValueError: if the ranking has NaN, or the share is out of range.

    >>> top_pixels(torch.tensor([[[3.0, 1.0], [1.0, 0.0]]]), share=0.5)[0]
    tensor([[1.0000, 0.5000],
            [0.5000, 0.0000]], dtype=torch.float64)
    """
    sizes = check_shape("ranking", ranking, "B H W")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}.")
    if bool(ranking.isnan().any()):
        raise ValueError("ranking must be numbers that can be ordered, got NaN.")
    flat = ranking.flatten(1)
    chosen = max(1, round(share * sizes["H"] * sizes["W"]))
    edge = flat.topk(chosen, dim=1).values[:, -1:]  # (B, 1)
    above, level = (flat > edge).double(), (flat == edge).double()
    part = (chosen - above.sum(1, keepdim=True)) / level.sum(1, keepdim=True)
    return (above + part * level).view(ranking.shape)


def integrate_gradients(
    model: Classifier, path: Tensor, classes: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Rank pixels by Integrated Gradients along the path. Sundararajan et al. (2017), 1703.01365.

    The integral of the gradient of the probability of self over the path, by the trapezoidal rule,
    summed over channels.

    Args:
        model: any classifier; left as it was.
        path: `(B, S, C, H, W)` images in [0, 1], from other to self.
        classes: `(B,)` the class of self.
        batch_size: images at once; changes memory use, not the result.

    Returns:
        `(B, H, W)` in probability, on the CPU; the sum is about the path's whole gain.

    Raises:
        ValueError: if shapes do not fit.
    """
    sizes = check_path(model, path, batch_size)
    check_shape("classes", classes, "B", B=sizes["B"])
    check_own(model, classes)
    score = score_probability(model, classes, batch_size)
    with differentiating(model):
        found = path_integrated_gradients(score, path[:, -1], path=path)
    return found.images.sum(1).cpu()


def plain_gradient(
    model: Classifier, images: Tensor, classes: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Rank pixels by the absolute gradient of the probability of self, summed over channels.

    Simonyan et al. (2014), arXiv:1312.6034, who take the largest channel.

    Args:
        model: any classifier; left as it was.
        images: `(B, C, H, W)` float in [0, 1], of self.
        classes: `(B,)` its class.
        batch_size: images at once; changes memory use, not the result.

    Returns:
        `(B, H, W)` per unit of pixels in [0, 1], on the CPU.

    Raises:
        ValueError: if shapes do not fit.
    """
    check_gradients()
    check_batch_size(batch_size)
    check_images(model, images)
    check_shape("classes", classes, "B", B=len(images))
    check_own(model, classes)
    return slope_of(model, images, classes, batch_size).abs().sum(1).cpu()


def random_order(shape: tuple[int, int, int], *, generator: torch.Generator) -> Tensor:
    """Rank pixels `(B, H, W)` by chance."""
    count, height, width = shape
    return draw_like(torch.empty(count, 1, height, width), generator)[:, 0]


def slope_of(model: Classifier, images: Tensor, classes: Tensor, batch_size: int) -> Tensor:
    """Return `(n, C, H, W)` the gradient of the probability of a class of images."""
    with differentiating(model):
        return gradient(score_probability(model, classes, batch_size), images).images


def score_probability(model: Classifier, classes: Tensor, batch_size: int) -> FunctionScore:
    """Score images by the probability of the class `(B,)` of each, with the memory as it is."""

    def probability(images: Tensor, rows: Tensor) -> Tensor:
        shares = at_least_float32(model.logits(images)).softmax(1)
        own = classes[rows.to(classes.device), None].to(shares.device)
        return shares.gather(1, own).squeeze(1)

    return FunctionScore(probability, batch_size)
