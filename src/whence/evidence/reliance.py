"""How much of an answer comes from the memory."""

import torch
from torch import Tensor

from whence.evidence.reread import Cached
from whence.memory.attention import recall
from whence.memory.heads import MemoryHead, Read


def measure_reliance(cached: Cached, read: Read) -> Tensor:
    """Split each answer's log-odds between the image's own features and the memory vector.

    With s(q, v) the log-odds of the predicted class for features q and memory vector v, and o the
    mean of all stored features, which says nothing about the image, the memory's part is its
    Shapley value in the game of two players (Shapley 1953)

        m = ½ [s(q, v) - s(q, o)] + ½ [s(o, v) - s(o, o)],

    the image's part e is the same with the roles exchanged, m + e = s(q, v) - s(o, o), and

        reliance = |m| / (|m| + |e|).

    A head that answers from the memory alone, such as Only Memory, has a reliance of 1.

    Returns:
        `(B,)` float32 in [0, 1]; 0 where neither part changes the log-odds.
    """
    if cached.head.memory_alone:
        return torch.ones(len(cached.queries), device=cached.queries.device)
    queries, vectors = cached.queries, recall(read.weights, cached.values)  # (B, D) both
    nothing = cached.memory.mean(0).expand_as(queries).to(vectors.dtype)
    predicted = read.answers

    def measure(features: Tensor, memory: Tensor) -> Tensor:
        return log_odds(cached.head.respond(features, memory), predicted)

    return share_of_memory(
        measure(queries, vectors),
        measure(queries, nothing),
        measure(nothing, vectors),
        measure(nothing, nothing),
    )


def split_answers(
    head: MemoryHead, queries: Tensor, vectors: Tensor, stored: Tensor, logits: Tensor
) -> Tensor:
    """Split answers as ``measure_reliance`` does, from memory vectors that are at hand.

    Args:
        head: of a model in eval mode.
        queries: `(B, D)` features.
        vectors: `(B, D)` memory vectors that were read for them.
        stored: `(M, D)` features of all stored images.
        logits: `(B, K)` the answers.

    Returns:
        `(B,)` float32 in [0, 1].
    """
    if head.memory_alone:
        return torch.ones(len(queries), device=queries.device)
    nothing, predicted = stored.mean(0, keepdim=True).to(vectors.dtype), head.decide(logits)
    every = nothing.expand_as(vectors)
    return share_of_memory(
        log_odds(logits, predicted),
        log_odds(head.respond(queries, every), predicted),
        log_odds(head.respond(every, vectors), predicted),
        log_odds(head.respond(nothing, nothing).expand_as(logits), predicted),
    )


def share_of_memory(whole: Tensor, image: Tensor, memory: Tensor, neither: Tensor) -> Tensor:
    """Compute the memory's share of log-odds, after Shapley.

    Args:
        whole: `(B,)` of the answers.
        image: `(B,)` with the memory vector replaced by nothing.
        memory: `(B,)` with the image's features replaced by nothing.
        neither: `(B,)` with both replaced.

    Returns:
        `(B,)` float32 in [0, 1]; 0 where neither part changes the log-odds.
    """
    from_memory = ((whole - image) + (memory - neither)).abs()
    from_image = ((whole - memory) + (image - neither)).abs()
    total = from_memory + from_image
    return torch.where(total > 0, from_memory / total, 0).float()


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Compute log(p / (1 - p)) of one class per row, `(B, K)` and `(B,)` to `(B,)`."""
    own = logits.gather(1, classes[:, None]).squeeze(1)
    others = logits.scatter(1, classes[:, None], -torch.inf)
    return own - others.logsumexp(1)
