"""What an attribution method explains: one number for each of B images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from whence.bounds import BATCH_SIZE
from whence.models.evaluating import evaluating
from whence.models.twin import make_twin

NO_GRADIENT = (
    "The model lets no gradient through to the pixels, which this method needs; "
    "remove no_grad() or detach() from its forward."
)


ScoreFunction = Callable[[Tensor, Tensor], Tensor]
"""Maps images `(n, C, H, W)` and their numbers `(n,)` to `(n,)`."""


class StoredImages(NamedTuple):
    """What a model keeps, and what it answers for B images with it."""

    images: Tensor  # (M, C, h, w) as they are kept
    labels: Tensor  # (M,) -1 where not known
    allowed: Tensor | None  # (B, M) bool, False where one is a copy of an image; None allows all
    answers: Tensor  # (B,) classes


class Score(Protocol):
    """One number for each of B images, which depends on that image and on its evidence only."""

    @property
    def batch_size(self) -> int:
        """Return how many images may go through a network at once."""

    @property
    def bounded(self) -> bool:
        """Say whether values run from 0 to 1, and no others are taken."""

    @property
    def values(self) -> Tensor | None:
        """Return the score `(B,)` of the images as they are, where it is known."""

    @property
    def network(self) -> nn.Module | None:
        """Return the module that images go through; None of a plain function."""

    @property
    def stored(self) -> StoredImages | None:
        """Return what the model keeps; None without a memory.

        Raises:
            ValueError: if the memory was saved without pixels.
        """

    @property
    def evidence(self) -> Tensor | None:
        """Return the pixels `(E, C, h, w)` of all evidence images, image by image; None of none."""

    def __call__(self, images: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Score variants of the images, and of their evidence; `(B,)`, with a gradient.

        Args:
            images: `(B, C, H, W)`, as ``pixels`` gives them.
            evidence: `(E, C, h, w)`; None leaves the evidence as it is.
        """

    def pixels(self, images: Tensor) -> Tensor:
        """Bring images `(B, C, H, W)` to the numbers, precision and device that are explained."""

    def take(self, rows: Tensor) -> "Score":
        """Ask about the images at ``rows`` `(n,)` only, in that order; one may occur often."""

    def apart(self) -> "Score":
        """Return the same score by a network of its own, which shares all tensors with this one."""

    def of_evidence(self, images: Tensor) -> "Score | None":
        """Turn round: a score of variants of each evidence image alone, as if it were the image.

        Args:
            images: `(B, C, H, W)` as they are; they and all other stored images stay so.

        Returns:
            A score of all E evidence images, each for the image whose evidence it is; None of a
            score without evidence.
        """


@dataclass(frozen=True, eq=False)
class FunctionScore:
    """A score that is a function of the images alone.

    Attributes:
        function: maps variants `(n, C, H, W)` and the numbers `(n,)` of the images that they are
            variants of to `(n,)`.
        batch_size: images at once.
        rows: `(B,)` numbers of the images; None counts them.
        network: the module that images go through; None of a plain function.
        by: makes such a function of another network; None of a plain function.
        bounded: values run from 0 to 1.
        values: `(B,)` the score of the images as they are; None where that is not known.
    """

    function: ScoreFunction
    batch_size: int = BATCH_SIZE
    rows: Tensor | None = None
    network: nn.Module | None = None
    by: Callable[[nn.Module], ScoreFunction] | None = None
    bounded: bool = False
    values: Tensor | None = None

    @property
    def evidence(self) -> None:
        """Say that there is no evidence."""

    @property
    def stored(self) -> None:
        """Say that there is no memory."""

    def apart(self) -> "FunctionScore":
        """Return the same score by a twin of the network; a plain function is its own."""
        if self.network is None or self.by is None:
            return self
        twin = make_twin(self.network)
        return replace(self, function=self.by(twin), network=twin)

    def of_evidence(self, images: Tensor) -> None:
        """Say that there is no evidence to turn to."""

    def __call__(self, images: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Score images `(B, C, H, W)`; `(B,)`."""
        rows = torch.arange(len(images)) if self.rows is None else self.rows
        return self.function(images, rows)

    def pixels(self, images: Tensor) -> Tensor:
        """Take images `(B, C, H, W)` as they are; they must be floats."""
        check_floats(images)
        return images.detach()

    def take(self, rows: Tensor) -> "FunctionScore":
        """Ask about the images at ``rows`` `(n,)`."""
        values = None if self.values is None else self.values[rows.to(self.values.device)]
        rows = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=rows, values=values)


def check_floats(images: Tensor) -> None:
    """Refuse what is no finite floating point number, which alone has a gradient.

    Raises:
        TypeError: with what came.
        ValueError: naming the first image with NaN or infinity.
    """
    if not images.is_floating_point():
        raise TypeError(f"images must be floats, as the model takes them, got {images.dtype}.")
    finite = torch.isfinite(images).flatten(1).all(1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise ValueError(f"images must be finite numbers, image {row} has NaN or infinity.")


def batches(score: Score, images: Tensor) -> Iterator[tuple[Score, Tensor]]:
    """Cut images `(B, C, H, W)` and their score into parts that go through a network at once."""
    for rows in torch.arange(len(images)).split(score.batch_size):
        yield score.take(rows), score.pixels(images[rows.to(images.device)])


def find_values(score: Score, images: Tensor) -> Tensor:
    """Return the score `(B,)` of the images `(B, C, H, W)` as they are."""
    return score_images(score, images) if score.values is None else score.values


def score_images(score: Score, images: Tensor) -> Tensor:
    """Score images `(B, C, H, W)`, a batch at a time, without a gradient; `(B,)`."""
    with torch.no_grad():
        return torch.cat([part(some) for part, some in batches(score, images)])


def explain_each(
    score: Score, images: Tensor, find: Callable[[Score, Tensor], Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Find relevance of images, then of each evidence image alone, all else as it is.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        find: takes a score of n images, and these in its precision, `(n, C, h, w)`; gives relevance
            of that shape.

    Returns:
        Relevance `(B, C, H, W)`, and `(E, C, h, w)` of the evidence, None without any.
    """
    own = find(score, score.pixels(images))
    evidence = score.evidence
    turned = None if evidence is None else score.of_evidence(images)
    return own, None if turned is None or evidence is None else find(turned, evidence)


def find_slopes(score: Score, *points: Tensor) -> tuple[Tensor, ...]:
    """Differentiate a score at images `(B, C, H, W)`, and at their evidence where that is given.

    Returns:
        A gradient for each of the points, in score units per unit of a value.

    Raises:
        RuntimeError: if the score lets no gradient through to the images.
    """
    leaves = [point.detach().clone().requires_grad_() for point in points]
    total = score(*leaves).sum()
    slopes: tuple[Tensor | None, ...] = (None,)
    if total.requires_grad:
        slopes = torch.autograd.grad(total, leaves, allow_unused=True)
    if slopes[0] is None:
        raise RuntimeError(NO_GRADIENT)
    return tuple(
        torch.zeros_like(leaf) if slope is None else slope
        for slope, leaf in zip(slopes, leaves, strict=True)
    )


@contextmanager
def differentiating(model: nn.Module) -> Iterator[None]:
    """Switch gradients on for a model that must be in eval mode.

    Raises:
        RuntimeError: if the model is in training mode.
    """
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        yield
