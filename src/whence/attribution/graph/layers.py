"""Recordings of any score, a bounded number of images at a time."""

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from whence.attribution.classifier_score import ClassifierScore
from whence.attribution.found import FoundRelevance
from whence.attribution.graph.node import Operation, Recording
from whence.attribution.graph.tape import record_score
from whence.attribution.own_evidence import score_own
from whence.attribution.score import Score
from whence.memory.votes import Votes
from whence.messages import quote

MemoryWeights = Literal["constant", "explained"]
"""What becomes of the weights of the evidence: they are as they are, or relevance goes through them
to the similarities that they come from."""


class FoundByLayers(NamedTuple):
    """What was found for some images."""

    images: Tensor  # (B, C, H, W)
    evidence: Tensor | None  # (E, C, h, w)
    lines: dict[str, Tensor]  # (B,) each


def find_by_layers(
    score: Score,
    images: Tensor,
    explain: Callable[[Recording], FoundByLayers],
    *,
    known: Container[Operation],
    weights: str | None,
    sentence: str,
    merged: bool = True,
    adds_up: bool = True,
) -> FoundRelevance:
    """Record a score for some images after others, and explain each recording.

    Args:
        score: of B images.
        images: `(B, C, H, W)`.
        explain: finds the relevance of the images, and of their evidence.
        known: operations that there is a rule for.
        weights: as for ``choose_weights``.
        sentence: what a pixel's number means.
        merged: as for ``record_score``.
        adds_up: numbers are parts of the score, and there are lines.
    """
    constant, found, values = choose_weights(score, weights), [], []
    for rows in gather_rows(score, len(images)):
        part = score.take(rows)
        some = part.pixels(images[rows.to(images.device)])
        recording = record_part(part, some, known, constant=constant, merged=merged)
        found.append(explain(recording))
        values.append(recording.output.value)
        del recording  # before the next one is made
    evidence = list_stored_maps(score, found)
    return FoundRelevance(
        torch.cat([one.images for one in found]),
        torch.cat(evidence) if evidence else None,
        sentence,
        lines={name: torch.cat([one.lines[name] for one in found]) for name in found[0].lines}
        if adds_up
        else None,
        score=torch.cat(values) if is_of_weights(score) else None,
    )


def list_stored_maps(score: Score, found: Sequence[FoundByLayers]) -> list[Tensor]:
    """List the relevance of evidence images; nothing where these entered as features."""
    if isinstance(score, ClassifierScore) and score.encoded:
        return []
    return [one.evidence for one in found if one.evidence is not None]


def choose_weights(score: Score, weights: str | None) -> bool:
    """Say whether the weights of the evidence are constants.

    Args:
        score: that is explained.
        weights: None explains those of votes, which are the answer, and no others.

    Raises:
        ValueError: on an unknown name, if there is no evidence, or if nothing would be left of
            votes.
    """
    if weights is None:
        return not is_votes(score)
    if score.evidence is None:
        raise ValueError(
            f"weights must be left out for a model that reads no memory, got {quote(weights)}."
        )
    if weights not in get_args(MemoryWeights):
        choices = ", ".join(get_args(MemoryWeights))
        raise ValueError(f"Unknown weights {quote(weights)}. Choose from: {choices}.")
    if weights == "constant" and is_votes(score):
        raise ValueError(
            "weights must be explained for votes, whose answer they are: with constant weights no "
            'pixel has a part in it; leave weights out, or pass weights="explained".'
        )
    return weights == "constant"


def is_votes(score: Score) -> bool:
    """Say whether a score is of a model whose answers are the weights of its evidence."""
    return isinstance(score, ClassifierScore) and isinstance(score.model.head, Votes)


def is_of_weights(score: Score) -> bool:
    """Say whether what is recorded of a score are the weights of votes, not their logarithm."""
    return isinstance(score, ClassifierScore) and score.sides is None and is_votes(score)


def gather_rows(score: Score, total: int) -> Iterator[Tensor]:
    """Gather the rows of images that, with their evidence, go through a network at once."""
    counts = [0] * total
    if isinstance(score, ClassifierScore) and not score.encoded:
        counts = score.counts
    rows: list[int] = []
    held = 0
    for row in range(total):
        if rows and held + 1 + counts[row] > score.batch_size:
            yield torch.tensor(rows)
            rows, held = [], 0
        rows.append(row)
        held += 1 + counts[row]
    yield torch.tensor(rows)


def record_part(
    score: Score,
    images: Tensor,
    known: Container[Operation],
    *,
    constant: bool,
    merged: bool = True,
    evidence: Tensor | None = None,
) -> Recording:
    """Record the score of images `(B, C, H, W)` as ``score.pixels`` gives them.

    Args:
        score: of B images.
        images: the images, or others in their place.
        known: operations that there is a rule for.
        constant: weights of the evidence are constants.
        merged: as for ``record_score``.
        evidence: in the place of the evidence, and like it; None takes it as it is.
    """
    owners = torch.arange(len(images), device=images.device)
    if not isinstance(score, ClassifierScore):
        return record_score(score, [images], [owners], known, merged=merged)
    inputs, rows = [images], [owners]
    if score.evidence is not None:
        inputs.append(score.evidence if evidence is None else evidence)
        rows.append(owners.repeat_interleave(torch.tensor(score.counts, device=images.device)))

    def compute(some: Tensor, stored: Tensor | None = None) -> Tensor:
        return score_own(score, some, stored, constant=constant)

    return record_score(compute, inputs, rows, known, merged=merged)


def split_found(arrived: Sequence[Tensor], lines: dict[str, Tensor]) -> FoundByLayers:
    """Name what arrived at images and evidence."""
    return FoundByLayers(arrived[0], arrived[1] if len(arrived) > 1 else None, lines)
