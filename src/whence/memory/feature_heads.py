"""Memory Wrap and Only Memory, which sum features by weight, and the head without a memory.

La Rosa et al. (2021), arXiv:2106.01440.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from whence.bounds import check_number
from whence.memory.attention import at_least_float32
from whence.memory.heads import Head, MemoryHead
from whence.memory.similarity import find_similarity
from whence.messages import quote


class FeatureHead(MemoryHead):
    """Sum the stored images' features by weight, then classify: Memory Wrap and Only Memory.

    Args:
        features: D, the encoder's output width.
        classes: K.
        similarity: "cosine" (the paper's), "l2" or "dot".
        classifier: "mlp", one hidden layer of twice the input width, or "linear" (paper, A.2).
    """

    vectors: ClassVar[int]
    """How many vectors of D features the last layers take."""

    def __init__(
        self, features: int, classes: int, *, similarity: str = "cosine", classifier: str = "mlp"
    ) -> None:
        find_similarity(similarity)  # refuses an unknown one
        check_number("features", features)
        check_number("classes", classes)
        super().__init__(features, last_layers=classifier, similarity=similarity)
        width = self.vectors * features
        self.classifier = build_classifier(width, 2 * width, classes, classifier)


class MemoryWrap(FeatureHead):
    """Classify the query's features joined with the memory vector (equation 4).

    Arguments as for ``FeatureHead``.
    """

    variant, title = "memory-wrap", "Memory Wrap"
    vectors, memory_alone = 2, False

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Classify queries `(B, D)` with their memory vectors `(B, D)`; logits `(B, K)`."""
        joined = torch.cat([queries.to(vectors.dtype), vectors], dim=-1)  # (B, 2D)
        return classify(self.classifier, joined)


class OnlyMemory(FeatureHead):
    """Classify the memory vector alone: the query decides only which memories are read.

    Arguments as for ``FeatureHead``.
    """

    variant, title = "only-memory", "Only Memory"
    vectors, memory_alone = 1, True

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Classify memory vectors `(B, D)`; logits `(B, K)`. The queries are not looked at."""
        return classify(self.classifier, vectors)


class Standard(Head):
    """Classify the query's features without a memory: the baseline.

    Args:
        features: D, the encoder's output width.
        classes: K.
        classifier: "linear" (the paper's baseline), or "mlp": one hidden layer, as wide as gives
            the head the number of parameters that Memory Wrap's has, for a matched comparison.
    """

    variant, title = "standard", "Standard"
    has_memory = False

    def __init__(self, features: int, classes: int, *, classifier: str = "linear") -> None:
        super().__init__(features, last_layers=classifier)
        self.classifier = build_classifier(
            features, matched_width(features, classes), classes, classifier
        )

    def forward(self, queries: Tensor) -> Tensor:
        """Classify `(B, D)` features; returns logits `(B, K)`."""
        return classify(self.classifier, queries)


def classify(classifier: nn.Module, features: Tensor) -> Tensor:
    """Run the last layers in the precision of their parameters; logits are at least float32."""
    logits: Tensor = classifier(features.to(next(classifier.parameters()).dtype))
    return at_least_float32(logits)


def build_classifier(width: int, hidden: int, classes: int, kind: str) -> nn.Module:
    """Build the last layers: "mlp" ``width -> hidden -> classes`` with ReLU, or "linear"."""
    if kind == "mlp":
        return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    if kind == "linear":
        return nn.Linear(width, classes)
    raise ValueError(f"Unknown classifier {quote(kind)}. Choose from: mlp, linear.")


def matched_width(features: int, classes: int) -> int:
    """Find the hidden width that gives `D -> width -> K` as many parameters as Memory Wrap's head.

    >>> matched_width(128, 10)
    983
    """
    wanted = (2 * features + 1) * 4 * features + (4 * features + 1) * classes
    return round((wanted - classes) / (features + 1 + classes))
