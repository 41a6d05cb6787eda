"""The ways from another class to an answer, as a report shows them."""

from dataclasses import dataclass

from torch import Tensor

from whence.shapes import check_shape


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
        reason: why there is none, and what to do; None when there is one.
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
        ways: at least one, unless the image has no code: none then.
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
        if not self.ways and self.code.reason is None:
            raise ValueError("ways must hold at least one way, got none.")

    @property
    def predicted(self) -> int:
        """Return the class of the answer, which is that of self."""
        return int(self.probabilities.argmax())
