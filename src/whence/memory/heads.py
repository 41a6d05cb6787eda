"""Memory Wrap and Only Memory: classify an image together with the stored images it resembles.

La Rosa et al. (2021), arXiv:2106.01440.
"""

import copy
import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from whence.memory import HEADS
from whence.memory.attend import read_vectors
from whence.memory.attention import recall, score, weigh
from whence.memory.class_scores import ClassScores
from whence.records.decision import Decision


class Read(NamedTuple):
    """What a head returns."""

    logits: Tensor  # (B, K)
    weights: Tensor  # (B, M), rows sum to one
    scores: Tensor  # (B, M), the similarities that the weights were made from
    predicted: Tensor | None = None  # (B,), the answers where a threshold decides as well
    by_class: ClassScores | None = None  # of votes, where a signal of doubt asked for it

    @property
    def answers(self) -> Tensor:
        """Return the answers `(B,)`."""
        return self.logits.argmax(1) if self.predicted is None else self.predicted


class Head(nn.Module, ABC):
    """Classify features: the last part of a model, and all that other parts need to know of it.

    Args:
        features: D, the encoder's output width.
        last_layers: "mlp" or "linear".
        similarity: with which it reads a memory; None without one.
    """

    variant: ClassVar[str]
    """Its name in ``HEADS``."""

    title: ClassVar[str]
    """Its name for people."""

    has_memory: ClassVar[bool]
    """It is a ``MemoryHead``, and its answers are computed from a memory."""

    decision: Decision | None = None
    """The rule of its answers, where it is not the highest probability that wins."""

    def __init__(self, features: int, *, last_layers: str, similarity: str | None = None) -> None:
        super().__init__()
        self.features = features
        self.last_layers = last_layers
        self.similarity = similarity

    @property
    def width(self) -> int:
        """Return E, how many numbers ``embed`` makes of an image."""
        return self.features

    def with_classes(self, classes: int, known: Tensor, labels: Tensor) -> "Head":
        """Return a head of more classes that shares all that was learned with this one.

        Args:
            classes: how many there are now.
            known: `(N, D)` features of the stored images.
            labels: `(N,)` of these.

        Raises:
            ValueError: if the head has learned an output for each class.
        """
        raise ValueError(
            f"A head {self.variant} has learned its classes and takes no new ones; train again, or "
            "train votes (--variant votes), which take new classes as stored images."
        )

    def embed(self, features: Tensor) -> Tensor:
        """Turn the encoder's output `(B, D)` into what is compared and classified, `(B, E)`."""
        return features

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turn logits `(B, K)` into the probabilities that people see, float32."""
        return logits.float().softmax(1)

    def without_decision(self) -> Self:
        """Return a head that answers by the highest probability and shares all else with this."""
        if self.decision is None:
            return self
        plain = copy.copy(self)
        plain.decision = None
        return plain

    def decide(self, logits: Tensor) -> Tensor:
        """Turn logits `(B, K)` into answers `(B,)`."""
        if self.decision is None:
            return logits.argmax(1)
        return self.decision.choose(self.probabilities(logits), logits)

    def margin(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Say how far logits `(B, K)` are from another answer than classes `(B,)`.

        The logit of the class minus the best other one; where a threshold decides, the log of the
        probability over the threshold for its class, and the smaller of both distances for others.

        Returns:
            `(B,)`; below 0 where the answer is another one.
        """
        own = logits.gather(1, classes[:, None]).squeeze(1)
        best_other = logits.scatter(1, classes[:, None], -torch.inf)
        if self.decision is None:
            return own - best_other.amax(1)
        share = self.probabilities(logits)[:, self.decision.place].double()
        above = (share.log() - math.log(self.decision.threshold)).to(logits.dtype)
        rest = own - self.decision.forbid(best_other).amax(1)
        return torch.where(classes == self.decision.place, above, torch.minimum(rest, -above))


class MemoryHead(Head):
    """Read a memory: what all heads that have one share."""

    has_memory = True
    similarity: str

    memory_alone: ClassVar[bool]
    """The answer hangs on the query by what is read alone."""

    reads_labels: ClassVar[bool] = False
    """It reads the labels of the stored images, so each of them must have one."""

    telling: ClassVar[tuple[str, ...]] = ()
    """Signals of doubt that say most of it; a calibration takes these up first."""

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Read:
        """Classify `(B, E)` queries with a memory `(M, E)`, both from ``embed``.

        Args:
            queries: `(B, E)`.
            memory: `(M, E)`.
            mask: `(B, M)` bool, True where a stored image may be used; None allows all.
            labels: `(M,)` of the stored images, for a head that reads them.
            scale: `(M,)` of the memory, from ``Similarity.scale``, if it was computed before.
        """
        asked, stored = self.pair(queries, memory, labels)
        scores = score(asked, stored, similarity=self.similarity, scale=scale)
        weights = weigh(scores, mask=mask)
        vectors = recall(weights, self.values(memory, labels))
        return Read(self.respond(queries, vectors), weights, scores)

    def logits(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits `(B, K)` of ``forward`` alone; holds no weights of a large memory.

        Arguments as for ``forward``.
        """
        asked, stored = self.pair(queries, memory, labels)
        vectors = read_vectors(
            asked,
            stored,
            values=self.values(memory, labels),
            similarity=self.similarity,
            mask=mask,
            scale=scale,
        )
        return self.respond(queries, vectors)

    def pair(self, queries: Tensor, memory: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Lay both sides out as they are compared by the similarity: here as they are.

        Args:
            queries: `(..., B, E)`.
            memory: `(..., M, E)`.
            labels: `(..., M)` of the stored images; None where they are not known.
        """
        return queries, memory

    def values(self, memory: Tensor, labels: Tensor | None) -> Tensor:
        """Choose what is summed by weight: here the stored images' features themselves.

        Args:
            memory: `(..., M, E)` stored images, from ``embed``.
            labels: `(..., M)` their classes; None where they are not known.

        Returns:
            `(..., M, V)`.
        """
        return memory

    @property
    def handicaps_shown(self) -> Tensor | None:
        """Return `(K,)` what similarities of stored images of each label lose; None for nothing."""
        return None

    def unscale(self, scores: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn scores, or differences of them, into the unit that people see.

        Args:
            scores: of any shape.
            labels: of the stored images that they are of, in the same shape; None for differences,
                and where the labels are not known.
        """
        return scores

    def score_classes(
        self, queries: Tensor, memory: Tensor, labels: Tensor, mask: Tensor | None = None
    ) -> ClassScores:
        """Score classes by all of their stored images, whatever their weights.

        Args:
            queries: `(B, E)`.
            memory: `(M, E)`.
            labels: `(M,)` of the stored images.
            mask: `(B, M)` bool, True where a stored image may be used; None allows all.

        Raises:
            TypeError: if the head does not read labels.
        """
        raise TypeError(f"A head {self.variant} does not ask stored images class by class.")

    @abstractmethod
    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Classify queries `(B, E)` with their memory vectors `(B, V)`; logits `(B, K)`."""


def build_head(
    variant: str, features: int, classes: int, *, similarity: str, classifier: str | None
) -> Head:
    """Build the head of a variant.

    Args:
        variant: a name from ``HEADS``.
        features: D, the encoder's output width.
        classes: K.
        similarity: a name from ``SIMILARITIES``, for those that read a memory.
        classifier: the last layers, "mlp" or "linear"; None is the paper's choice.

    Raises:
        ValueError: on an unknown name.
    """
    build, options = HEADS.find(variant), {} if classifier is None else {"classifier": classifier}
    if find_head(variant).has_memory:
        options["similarity"] = similarity
    head: Head = build(features, classes, **options)
    return head


def find_head(variant: str) -> type[Head]:
    """Look a head up by the name of its variant.

    Raises:
        ValueError: if there is none of this name.
    """
    return cast("type[Head]", HEADS.find(variant))
