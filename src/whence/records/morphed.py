"""What a report shows of the way from another class to an answer: records, without a model."""

import math
from dataclasses import dataclass

from torch import Tensor

from whence.shapes import check_shape

SHOWN_STEPS = 10
"""Images of a path that a page shows."""

MOST = 0.8
"""The steps that a page names as the place of the gain hold this share of it."""


LEAST_GAIN = 0.05
"""Probability that a path must gain before shares of it are worth a number."""


@dataclass(frozen=True)
class Start:
    """The real training image that a way starts from.

    Attributes:
        index: its place in the dataset that the training images were taken from.
        label: its true class, None when not known.
        source: the file it came from, None when not known.
        image: `(C, H, W)` uint8.
    """

    index: int
    label: int | None
    source: str | None
    image: Tensor


@dataclass(frozen=True)
class Code:
    """The code of the image asked about, and what it decodes to.

    Attributes:
        image: `(C, H, W)` uint8, the reconstruction.
        probabilities: `(K,)` of the classifier for the reconstruction.
        how: "sampled", "optimised", or "none" if there is no code; then it is the nearest miss.
        reason: why there is none, in a sentence; None when there is one.
        distance: mean absolute difference of the pixels from the image, in [0, 1].
        norm: Euclidean length of the code.
    """

    image: Tensor
    probabilities: Tensor
    how: str
    reason: str | None
    distance: float
    norm: float


@dataclass(frozen=True)
class Along:
    """The path from other to self, and what the classifier says along it.

    Attributes:
        images: `(S, C, H, W)` uint8.
        probabilities: `(S,)` of the class of self, among all classes.
        entropies: `(S,)` bits, between the two classes.
        gradients: `(S,)` length of the gradient of the probability of self among the two classes,
            per unit of pixels in [0, 1].
        mean: step, from 0, averaged by entropy; NaN without any entropy.
        low: 1.96 deviations before that, may be below 0.
        high: 1.96 deviations after it, may be beyond the last step.
    """

    images: Tensor
    probabilities: Tensor
    entropies: Tensor
    gradients: Tensor
    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        sizes = check_shape("images", self.images, "S C H W")
        for name in ("probabilities", "entropies", "gradients"):
            check_shape(name, getattr(self, name), "S", S=sizes["S"])


@dataclass(frozen=True)
class Mask:
    """The path mask and what it gains.

    Attributes:
        mask: `(H, W)` in [0, 1]; 1 where a pixel follows the path.
        increase: `(H, W)` mask times the growth of intensity from other to self, in [0, 1].
        decrease: `(H, W)` mask times its fall, in [0, 1].
        gains: `(S - 1,)` growth of the probability of self at each step when the mask follows it.
        full_gains: `(S - 1,)` the same when every pixel follows.
        reason: why it is not to be used, in a sentence; None when it is.
    """

    mask: Tensor
    increase: Tensor
    decrease: Tensor
    gains: Tensor
    full_gains: Tensor
    reason: str | None

    def __post_init__(self) -> None:
        sizes = check_shape("mask", self.mask, "H W")
        check_shape("increase", self.increase, "H W", **sizes)
        check_shape("decrease", self.decrease, "H W", **sizes)
        steps = check_shape("gains", self.gains, "S")
        check_shape("full_gains", self.full_gains, "S", **steps)


@dataclass(frozen=True)
class Way:
    """One other image, the path from it to self, and the mask of that path.

    Attributes:
        kind: "morph", "nearest" or "memory".
        classes: of self and of other.
        image: `(C, H, W)` uint8, the decoding of the code of other; the nearest miss if there is no
            other.
        probabilities: `(K,)` of the classifier for it.
        found: False if there is no other.
        reason: why there is none, in a sentence; None when there is one.
        steps: of Adam that a morph took; 0 for the other kinds.
        start: the real image it was made from; None for a morph, or if there is none.
        pixel_distance: sum of absolute differences from the reconstruction, pixels in [0, 1].
        cosine: of the two codes, in [-1, 1].
        norm: Euclidean length of the code of other.
        class_norm: mean length of codes of stored images of its class; NaN if it has none.
        norm_range: the lengths that a morph may have.
        along: the path.
        mask: of the path.
    """

    kind: str
    classes: tuple[int, int]
    image: Tensor
    probabilities: Tensor
    found: bool
    reason: str | None
    steps: int
    start: Start | None
    pixel_distance: float
    cosine: float
    norm: float
    class_norm: float
    norm_range: tuple[float, float]
    along: Along
    mask: Mask

    @property
    def valid(self) -> bool:
        """Say whether the classifier puts the image in the class of other."""
        return int(self.probabilities.argmax()) == self.classes[1]


@dataclass(frozen=True)
class Morph:
    """One image, its code, and every way to it that was asked for.

    Attributes:
        name: what the user calls the image: a file, or "test image 7".
        image: `(C, H, W)` uint8, as the model saw it.
        truth: its true class, None when not known.
        probabilities: `(K,)` of the classifier for it.
        code: what stands for it among codes.
        ways: at least one.
        notes: sentences about this image, for example that it was made smaller.
    """

    name: str
    image: Tensor
    truth: int | None
    probabilities: Tensor
    code: Code
    ways: tuple[Way, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_shape("image", self.image, "C H W")
        if not self.ways:
            raise ValueError("ways must hold at least one way, got none.")

    @property
    def predicted(self) -> int:
        """Return the class of the answer, which is that of self."""
        return self.ways[0].classes[0]


def choose_steps(steps: int, shown: int = SHOWN_STEPS) -> tuple[int, ...]:
    """Choose steps of a path at even distances, the first and the last among them.

    >>> choose_steps(100, 4), choose_steps(3)
    ((0, 33, 66, 99), (0, 1, 2))
    """
    if steps <= shown:
        return tuple(range(steps))
    return tuple(round(place * (steps - 1) / (shown - 1)) for place in range(shown))


def place_gain(gains: Tensor, share: float = MOST) -> tuple[int, int] | None:
    """Find where on a path most of the gain lies.

    Args:
        gains: `(S - 1,)` of each step; losses do not count.
        share: of the sum of the gains.

    Returns:
        The first and the last step of the shortest stretch that holds so much of it, the first such
        stretch of equal ones; None where nothing is gained.
    """
    found = gains.double().nan_to_num(nan=0.0).clamp_min(0).tolist()
    wanted = share * sum(found) * (1 - 1e-9)  # rounding must not ask for one more step
    if wanted <= 0:
        return None
    best, first, held = (0, len(found) - 1), 0, 0.0
    for last, gain in enumerate(found):
        held += gain
        while held - found[first] >= wanted:
            held -= found[first]
            first += 1
        if held >= wanted and last - first < best[1] - best[0]:
            best = first, last
    return best


def share_kept(mask: Mask) -> float | None:
    """Return which part of the path's whole gain the mask keeps; None where that hardly gains."""
    whole, kept = (float(gains.double().sum()) for gains in (mask.full_gains, mask.gains))
    return kept / whole if whole >= LEAST_GAIN and math.isfinite(kept) else None
