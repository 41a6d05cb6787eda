"""What a similarity is: how features are compared, and what makes that fast."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from torch import Tensor

from whence.memory import SIMILARITIES


class Comparison(NamedTuple):
    """Queries and a memory that are about to be compared, stretch by stretch."""

    write: Callable[[int, Tensor], object]
    """Writes the scores of the stored images from a place on into `(B, W)`."""

    error: Tensor | float
    """By how much what is written may miss the score of the same pair elsewhere; `(B, 1)`, or one
    number for all queries."""

    keys: Tensor
    """`(M,)`, a number for each stored image that is the same for those with equal features."""


class Rule(NamedTuple):
    """A similarity as ``scale * (mapped query . memory)``, but for terms of one side alone.

    The gradient of a pair's score in the stored image's features is then
    ``scale * mapped query - shrink * memory``. The scale is that of ``Similarity.scale``, 1 where
    there is none.
    """

    map_queries: Callable[[Tensor], Tensor]  # (B, D) to (B, D)
    pull_back: Callable[[Tensor, Tensor], Tensor]  # queries, gradient in the mapped ones; (B, D)
    shrink: Callable[[Tensor, Tensor], Tensor]  # scores (N,), scale (N,) to (N,)


@dataclass(frozen=True, eq=False)
class Similarity:
    """One way to compare features; all but the score is there to save time.

    Attributes:
        score: takes `(..., B, D)` queries and `(..., M, D)` memory to `(..., B, M)`, larger = more
            alike. What a pair gets depends on its two rows alone. Differentiable.
        scale: takes features `(M, D)` to one number per row, `(M,)`, that can be computed before;
            ``score`` then takes it as ``scale``. It is 0 where a row is too long for the rest.
        rule: how single pairs are differentiated.
        compare: takes queries `(B, D)`, memory `(M, D)` and its scale, if there is one, to what
            compares them stretch by stretch.
        pairs: takes `(N, D)` and `(N, D)` to scores `(N,)`; given where what ``compare`` writes is
            nearly the score, and not yet it.
        read: takes queries, a small memory and a mask to memory vectors `(B, D)`, with a gradient
            in few passes.
    """

    score: Callable[..., Tensor]
    scale: Callable[[Tensor], Tensor] | None = None
    rule: Rule | None = None
    compare: Callable[[Tensor, Tensor, Tensor | None], Comparison] | None = None
    pairs: Callable[[Tensor, Tensor], Tensor] | None = None
    read: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None

    def __call__(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Compare `(..., B, D)` with `(..., M, D)`; scores `(..., B, M)`."""
        return self.score(queries, memory)


def suit(similarity: Similarity, queries: Tensor, scale: Tensor | None) -> Similarity:
    """Leave the fast ways of a similarity out where a row is too long for them.

    Args:
        similarity: that features are compared by.
        queries: `(B, D)`.
        scale: `(M,)` of the memory.
    """
    if similarity.scale is None or scale is None:
        return similarity
    fine = bool(scale.all()) and bool(similarity.scale(queries).all())
    return similarity if fine else Similarity(similarity.score)


def find_similarity(name: str) -> Similarity:
    """Look a similarity up by name.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("Similarity", SIMILARITIES.find(name))
