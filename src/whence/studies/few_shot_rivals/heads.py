"""Heads of few-shot networks: they read the same memories, in their own ways."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.memory.attention import recall, score
from whence.memory.heads import MemoryHead, Read
from whence.memory.votes import soften

LEAST_PROBABILITY = 1e-6
"""Of a class, so that the logarithm of none is infinite."""

READS = 2
"""How often full context embeddings look at the memory, as in the authors' comparison."""


class FewShotHead(MemoryHead):
    """Answer by the labels of the stored images; what the few-shot networks share.

    Args:
        features: D, the encoder's output width.
        classes: K.
        similarity: of the scores.
    """

    memory_alone: ClassVar[bool] = True
    reads_labels: ClassVar[bool] = True

    def __init__(self, features: int, classes: int, *, similarity: str) -> None:
        super().__init__(features, last_layers="none", similarity=similarity)
        self.classes = classes

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Read:
        """Answer for `(B, D)` queries from a memory `(M, D)`; arguments as for ``MemoryHead``."""
        return self.read_labels(queries, memory, mask, one_hot(labels, self.classes, memory))

    def logits(
        self,
        queries: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        *,
        labels: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits `(B, K)` of ``forward`` alone."""
        read: Read = self(queries, memory, mask, labels=labels)
        return read.logits

    @abstractmethod
    def read_labels(
        self, queries: Tensor, memory: Tensor, mask: Tensor | None, hot: Tensor
    ) -> Read:
        """Answer for queries `(B, D)` from a memory `(M, D)` with labels as rows of a one `(M, K)`.

        Args:
            queries: `(B, D)`.
            memory: `(M, D)`.
            mask: `(B, M)` bool, True where a stored image may be used; None allows all.
            hot: `(M, K)`.
        """


class MatchingHead(FewShotHead):
    """Matching Networks: the labels of the stored images, weighed by a softmax of cosines.

    Vinyals, Blundell, Lillicrap, Kavukcuoglu and Wierstra (2016), arXiv:1606.04080, equation 1 and
    section 2.1.1; ``context`` adds the full context embeddings of their appendix A.

    Args:
        features: D, the encoder's output width.
        classes: K.
        context: embed every image in the context of the memory.
    """

    variant, title = "matching", "Matching Networks"

    def __init__(self, features: int, classes: int, *, context: bool) -> None:
        super().__init__(features, classes, similarity="cosine")
        self.context = FullContext(features) if context else None

    def read_labels(
        self, queries: Tensor, memory: Tensor, mask: Tensor | None, hot: Tensor
    ) -> Read:
        """Sum the labels of the stored images by their weights."""
        if self.context is not None:
            queries, memory = self.context(queries, memory, mask)
        scores = score(queries, memory, similarity=self.similarity)
        weights = soften(scores, mask)
        return Read(self.respond(queries, recall(weights, hot)), weights, scores)

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Turn the weight on each label `(B, K)` into logits."""
        return vectors.clamp_min(LEAST_PROBABILITY).log()


class FullContext(nn.Module):
    """Embed queries and stored images in the context of the whole memory (appendix A).

    A stored image becomes itself plus both states of an LSTM that reads the memory forwards and
    backwards, in the order in which it was drawn; a query becomes what an LSTM makes of it that
    looks at the embedded memory a few times.

    Args:
        features: D.
        reads: how often a query looks.
    """

    def __init__(self, features: int, *, reads: int = READS) -> None:
        super().__init__()
        self.reads = reads
        self.both_ways = nn.LSTM(features, features, bidirectional=True)
        self.gates = nn.Linear(3 * features, 4 * features)

    def forward(
        self, queries: Tensor, memory: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embed `(B, D)` queries and a memory `(M, D)`; a query reads what the mask allows it."""
        return self.embed_queries(queries, stored := self.embed_memory(memory), mask), stored

    def embed_memory(self, memory: Tensor) -> Tensor:
        """Add to stored features `(M, D)` the states of both directions (appendix A.2)."""
        states, _ = self.both_ways(memory)  # (M, 2D)
        forwards, backwards = states.chunk(2, dim=-1)
        summed: Tensor = memory + forwards + backwards
        return summed

    def embed_queries(self, queries: Tensor, stored: Tensor, mask: Tensor | None) -> Tensor:
        """Let queries `(B, D)` read embedded images `(M, D)` several times (appendix A.1)."""
        hidden, cell = queries, torch.zeros_like(queries)
        for _ in range(self.reads):
            seen = recall(soften(hidden @ stored.mT, mask), stored)  # (B, D)
            took, kept, shown, new = self.gates(torch.cat([queries, hidden, seen], -1)).chunk(4, -1)
            cell = kept.sigmoid() * cell + took.sigmoid() * new.tanh()
            hidden = shown.sigmoid() * cell.tanh() + queries
        return hidden


class PrototypicalHead(FewShotHead):
    """Prototypical Networks: classes by the distance to the mean of their stored images.

    Snell, Swersky and Zemel (2017), arXiv:1703.05175, equations 1 and 2, with the squared Euclidean
    distance. A class without a stored image in the memory is as far as the farthest that has one.

    Args:
        features: D, the encoder's output width.
        classes: K.
    """

    variant, title = "prototypical", "Prototypical Networks"

    def __init__(self, features: int, classes: int) -> None:
        super().__init__(features, classes, similarity="l2")

    def read_labels(
        self, queries: Tensor, memory: Tensor, mask: Tensor | None, hot: Tensor
    ) -> Read:
        """Measure distances to the means of the classes.

        The weight of a stored image is its share of the mean of its class, times the probability
        of that class.
        """
        allowed = hot.expand(len(queries), -1, -1)  # (B, M, K)
        if mask is not None:
            allowed = allowed * mask[..., None].to(hot.dtype)
        counts = allowed.sum(1)  # (B, K)
        means = allowed.mT @ memory / counts.clamp_min(1)[..., None]  # (B, K, D)
        away = (queries[:, None] - means).square().sum(-1)  # (B, K)
        farthest = away.masked_fill(counts == 0, -torch.inf).amax(1, keepdim=True)
        away = torch.where(counts == 0, farthest, away)
        logits = self.respond(queries, away)
        shares = logits.softmax(1) / counts.clamp_min(1)  # (B, K)
        weights = (allowed * shares[:, None]).sum(-1)  # (B, M)
        return Read(logits, weights, score(queries, memory, similarity=self.similarity))

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Turn squared distances to the means of the classes `(B, K)` into logits."""
        return -vectors


def one_hot(labels: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """Write labels `(M,)` as rows of zeros with a one, `(M, K)`.

    Raises:
        ValueError: if there are none.
    """
    if labels is None:
        raise ValueError("labels must be those of the stored images, got none.")
    return F.one_hot(labels, classes).to(like.dtype)
