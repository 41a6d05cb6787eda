"""Entropy between two classes along a path, and how the gradient grows with it (section 4.4)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.morphing.answers import check_gradients
from whence.records.show import show_record
from whence.shapes import check_batch_size, check_shape

DEVIATIONS = 1.96
RESAMPLES = 2000


class Window(NamedTuple):
    """Where on a path the entropy lies, in steps from 0, `(B,)` each; NaN without any entropy."""

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class PathAnswers:
    """What a classifier says along paths; on the CPU.

    Attributes:
        probabilities: `(B, S)` of the class of self, among all classes.
        entropies: `(B, S)` bits, between the two classes.
        gradients: `(B, S)` Euclidean norm, over all pixels, of the gradient of the probability of
            self among the two classes; per unit of pixels in [0, 1].
    """

    probabilities: Tensor
    entropies: Tensor
    gradients: Tensor

    __repr__ = show_record

    @property
    def window(self) -> Window:
        """Return the mean step by entropy, and 1.96 deviations to both sides."""
        return find_window(self.entropies)


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation of entropy and gradient, over all steps of all paths.

    Attributes:
        value: in [-1, 1].
        low: 2.5th percentile over resampled paths.
        high: 97.5th percentile.
        paths: how many.
    """

    value: float
    low: float
    high: float
    paths: int


def pair_logits(logits: Tensor, classes: Tensor) -> Tensor:
    """Take `(B, 2)` logits of two classes `(B, 2)` out of `(B, K)`."""
    return logits.gather(1, classes.to(logits.device))


def measure_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Compute the entropy between two classes: ``-p log2 p - q log2 q``.

    Args:
        logits: `(B, K)`.
        classes: `(B, 2)`, p and q are the softmax over these two.

    Returns:
        `(B,)` bits, in [0, 1].

    >>> measure_entropy(torch.tensor([[5.0, 2.0, 2.0]]), torch.tensor([[1, 2]]))
    tensor([1.])
    """
    sizes = check_shape("logits", logits, "B K")
    check_shape("classes", classes, "B two", B=sizes["B"], two=2)
    shares = pair_logits(logits, classes).softmax(1)
    nats: Tensor = torch.special.entr(shares).sum(1)
    return nats / math.log(2.0)


def find_window(entropies: Tensor) -> Window:
    """Average the steps of paths, weighted by entropy (figure 4.7).

    Args:
        entropies: `(B, S)` bits.

    Returns:
        The weighted mean step, the weighted deviation, and the mean minus and plus 1.96 of them.

    >>> find_window(torch.tensor([[0.0, 1.0, 2.0, 1.0]])).mean
    tensor([2.], dtype=torch.float64)
    """
    check_shape("entropies", entropies, "B S")
    weights = entropies.double()
    weights = weights / weights.sum(1, keepdim=True)  # NaN where there is none
    steps = torch.arange(entropies.shape[1], device=entropies.device).double()
    mean = (weights * steps).sum(1)
    deviation = (weights * (steps - mean[:, None]).square()).sum(1).sqrt()
    reach = DEVIATIONS * deviation
    return Window(mean, deviation, mean - reach, mean + reach)


def group_windows(window: Window, steps: int) -> tuple[str, ...]:
    """Sort paths as figure 4.8 does, by whether the window holds the first or the last step.

    Args:
        window: of B paths.
        steps: S.

    Returns:
        Per path "left" (ambiguous at its start), "right" (at its end), "both", "center", or "none"
        if there is no entropy at all.
    """
    names = []
    for low, high in zip(window.low.tolist(), window.high.tolist(), strict=True):
        if low != low:
            names.append("none")
        else:
            sides = (low <= 0, high >= steps - 1)
            names.append(
                {(True, True): "both", (True, False): "left", (False, True): "right"}.get(
                    sides, "center"
                )
            )
    return tuple(names)


def measure_path(
    model: Classifier, path: Tensor, classes: Tensor, *, batch_size: int = BATCH_SIZE
) -> PathAnswers:
    """Classify every image of paths and take the gradient of the class of self.

    Args:
        model: any classifier, with its bank if it has a memory; left as it was.
        path: `(B, S, C, H, W)` images in [0, 1], from other to self.
        classes: `(B, 2)` the classes of self and of other.
        batch_size: images at once; changes memory use, not the result.

    Raises:
        ValueError: if the shapes do not fit the model.
    """
    sizes = check_path(model, path, batch_size)
    check_shape("classes", classes, "B two", B=sizes["B"], two=2)
    check_own(model, classes)
    every = classes.repeat_interleave(sizes["S"], 0)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with evaluating(model), torch.enable_grad():
        for images, pair in zip(
            path.flatten(0, 1).split(batch_size), every.split(batch_size), strict=True
        ):
            leaf = images.detach().clone().requires_grad_()
            logits = at_least_float32(model.logits(leaf))
            share = pair_logits(logits, pair).softmax(1)[:, 0]
            (gradient,) = torch.autograd.grad(share.sum(), leaf)
            logits = logits.detach()
            own = logits.softmax(1).gather(1, pair[:, :1].to(logits.device)).squeeze(1)
            found.append((own, measure_entropy(logits, pair), gradient.flatten(1).norm(dim=1)))
    shape = sizes["B"], sizes["S"]
    parts = [torch.cat(column).cpu().view(shape) for column in zip(*found, strict=True)]
    return PathAnswers(*parts)


def check_path(model: Classifier, path: Tensor, batch_size: int) -> dict[str, int]:
    """Refuse paths that do not fit the model; return the sizes by letter."""
    check_gradients()
    check_batch_size(batch_size)
    if not path.is_floating_point():
        raise TypeError(f"path must be floats in [0, 1], got {path.dtype}.")
    channels, height, width = model.image_shape
    sizes = check_shape("path", path, "B S C H W", C=channels, H=height, W=width)
    if sizes["B"] == 0 or sizes["S"] < 2:
        raise ValueError(f"path must hold at least 1 path of 2 images, got {tuple(path.shape)}.")
    return sizes


def check_own(model: Classifier, classes: Tensor) -> None:
    """Refuse classes that the model does not have.

    Raises:
        ValueError: with what came.
    """
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or high >= len(model.class_names):
        raise ValueError(
            f"classes must be in 0 to {len(model.class_names) - 1}, got {low} to {high}."
        )


def correlate(
    entropies: Tensor,
    gradients: Tensor,
    *,
    generator: torch.Generator,
    resamples: int = RESAMPLES,
) -> Correlation:
    """Correlate entropy with the gradient's magnitude over many paths (figure 4.8).

    The steps of one path are not independent, so the interval comes from resampling whole paths
    with replacement.

    Args:
        entropies: `(B, S)` bits.
        gradients: `(B, S)` magnitudes.
        generator: of the resampling, on the CPU.
        resamples: how often.

    Raises:
        ValueError: if the shapes differ, there is a NaN, or one of the two never changes.
    """
    sizes = check_shape("entropies", entropies, "B S")
    check_shape("gradients", gradients, "B S", **sizes)
    one, two = entropies.double().cpu(), gradients.double().cpu()
    for name, values in (("entropies", one), ("gradients", two)):
        if bool(values.isnan().any()):
            raise ValueError(f"{name} must be numbers, got NaN.")
        if values.numel() == 0 or not bool(values.amax() > values.amin()):
            raise ValueError(
                f"{name} must differ between steps, got a single value; there is no correlation."
            )
    columns: Sequence[Tensor] = (torch.ones_like(one), one, two, one * one, two * two, one * two)
    sums = torch.stack([column.sum(1) for column in columns], 1)  # (B, 6)
    value = float(pearson(sums.sum(0, keepdim=True)))
    drawn = torch.randint(sizes["B"], (resamples, sizes["B"]), generator=generator)
    totals = torch.stack([sums[rows].sum(0) for rows in drawn])  # (resamples, 6)
    low, high = pearson(totals).nanquantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return Correlation(value, low, high, sizes["B"])


def pearson(sums: Tensor) -> Tensor:
    """Compute correlations from `(R, 6)` sums of 1, x, y, x x, y y and x y; NaN where undefined."""
    count, x, y, xx, yy, xy = sums.unbind(1)
    spread = (count * xx - x * x) * (count * yy - y * y)
    return torch.where(
        spread > 0, (count * xy - x * y) / spread.clamp_min(1e-300).sqrt(), torch.nan
    )
