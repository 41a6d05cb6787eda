"""What a similarity is: how features are compared, and what makes that fast."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

from torch import Tensor

from whence.memory import SIMILARITIES

Compare: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], Callable[[int, Tensor], object]]


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
            ``score`` then takes it as ``scale``.
        rule: how single pairs are differentiated.
        compare: takes queries `(B, D)`, memory `(M, D)` and its scale, if there is one, to a
            function that writes the scores of stored images from a place on into `(B, W)`.
        read: takes queries, a small memory and a mask to memory vectors `(B, D)`, with a gradient
            in few passes.
    """

    score: Callable[..., Tensor]
    scale: Callable[[Tensor], Tensor] | None = None
    rule: Rule | None = None
    compare: Compare | None = None
    read: Callable[[Tensor, Tensor, Tensor | None], Tensor] | None = None

    def __call__(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Compare `(..., B, D)` with `(..., M, D)`; scores `(..., B, M)`."""
        return self.score(queries, memory)


def find_similarity(name: str) -> Similarity:
    """Look a similarity up by name.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("Similarity", SIMILARITIES.find(name))
