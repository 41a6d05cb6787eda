"""What a method found, as a record with a ledger of where the score went."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.records.relevance import EVIDENCE, OUTSIDE, WITHOUT_VOTE, Relevance

STAYS = " Evidence images stay as they are, and get nothing."


class ScoreFacts(NamedTuple):
    """What a record says of a score of B images."""

    values: Tensor  # (B,)
    names: tuple[str, ...]  # in words
    evidence: list[int]  # how many evidence images each has
    compared: tuple[tuple[int, ...], ...] = ()  # of each, indices of what follows without a vote


def record(
    found: FoundRelevance, facts: ScoreFacts, method: str, options: dict[str, object]
) -> Relevance:
    """Put what a method found of a score into a record, with its ledger."""
    images, names = found.images.detach().cpu(), facts.names
    evidence, compared = split_stored(found.evidence, images, facts)
    score = (facts.values if found.score is None else found.score).detach().cpu()
    if found.score is not None:
        names = tuple(name.replace("logit", "weight") for name in names)
    start = torch.zeros_like(score) if found.start is None else found.start.detach().cpu()
    ledger, rest = None, (found.lines or {}).get(OUTSIDE)
    if found.lines is not None:
        ledger = {"image": images.sum((1, 2, 3), dtype=torch.float64)}
        if found.evidence is not None or any(facts.evidence):
            ledger[EVIDENCE] = sum_each(evidence)
        if found.evidence is not None and any(facts.compared):
            ledger[WITHOUT_VOTE] = sum_each(compared)
        ledger |= {name: amounts.detach().cpu().double() for name, amounts in found.lines.items()}
        told = torch.stack([*ledger.values()]).sum(0)
        ledger["unexplained"] = score.double() - start.double() - told
    return Relevance(
        images=images,
        evidence=evidence,
        rest=None if rest is None else rest.detach().cpu(),
        score=score,
        start=start,
        ledger=ledger,
        target=names,
        method=method,
        options=options,
        sentence=found.sentence + (STAYS if found.evidence is None and any(facts.evidence) else ""),
        compared=compared,
        compared_indices=facts.compared or ((),) * len(images),
    )


def split_stored(
    found: Tensor | None, images: Tensor, facts: ScoreFacts
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Split relevance `(E, C, h, w)` by image, into evidence and what has no vote."""
    if found is None:
        nothing = tuple(images.new_zeros((0, *images.shape[1:])) for _ in facts.evidence)
        return nothing, nothing
    compared = [len(one) for one in facts.compared] or [0] * len(facts.evidence)
    counts = zip(facts.evidence, compared, strict=True)
    parts = found.detach().cpu().split([count for pair in counts for count in pair])
    return parts[::2], parts[1::2]


def sum_each(parts: Sequence[Tensor]) -> Tensor:
    """Sum what each of B images has, `(B,)` float64."""
    return torch.stack([one.sum(dtype=torch.float64) for one in parts])
