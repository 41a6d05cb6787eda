"""The score of images by the evidence that they have, and by no other stored image.

At images as they are, sparsemax gives a weight to the evidence alone, so this is the same number as
the score, without the difference that a moved image makes to a memory that stays.
"""

import torch
from torch import Tensor

from whence.attribution.classifier_score import ClassifierScore
from whence.attribution.evidence_rows import number_by_image
from whence.attribution.graph.tape import as_one
from whence.memory import SIMILARITIES
from whence.memory.attention import at_least_float32, weigh
from whence.memory.votes import Votes


def score_own(
    score: ClassifierScore, images: Tensor, evidence: Tensor | None, *, constant: bool
) -> Tensor:
    """Score images `(B, C, H, W)` that read their evidence `(E, C, h, w)`.

    Args:
        score: of B images.
        images: as ``score.pixels`` gives them.
        evidence: as ``score.evidence`` gives it; None for a model without a memory.
        constant: weights let nothing through to the features that they come from.

    Returns:
        `(B,)` the score; of votes, but for their log-odds, the same function of the weights of the
        classes, whose logarithm the logits are.
    """
    if score.sides is not None:
        return score(images, evidence)
    queries = score.encode(images)
    if evidence is None:
        return score.target.of(score.model.head(queries), score.rows)
    head, bank = score.model.memory_head, score.model.checked_bank()
    slots, allowed = number_by_image(score.counts, queries.device)  # (B, A)
    read = at_least_float32(score.embed(evidence))[slots]  # (B, A, D)
    labels = bank.labels[torch.cat(score.places)][slots]
    with torch.autocast(queries.device.type, enabled=False):
        asked, stored = head.pair(at_least_float32(queries)[:, None], read, labels)
        weights = as_one(weigh_allowed, SIMILARITIES[head.similarity](asked, stored)[:, 0], allowed)
        weights = weights.detach() if constant else weights
        vectors = (weights[:, None] @ head.values(read, labels))[:, 0]  # (B, V)
    answers = vectors if isinstance(head, Votes) else head.respond(queries, vectors)
    return score.target.of(answers, score.rows)


def weigh_allowed(scores: Tensor, allowed: Tensor) -> Tensor:
    """Weigh similarities `(B, A)` where ``allowed`` is True; `(B, A)`."""
    return weigh(scores, mask=allowed)
