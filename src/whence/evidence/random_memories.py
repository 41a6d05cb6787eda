"""What random parts of the memory would have answered."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import check_number
from whence.data.memory_draw import draw_memory
from whence.evidence.reread import Cached
from whence.memory.attention import recall, weigh
from whence.memory.bank import Bank
from whence.memory.heads import Read
from whence.records.answers import Draws
from whence.seeds import make_generator


class Plan(NamedTuple):
    """Memories drawn once for all images of a call.

    Attributes:
        places: one `(m,)` tensor per draw, ascending dataset indices.
        seed: of the draws.
    """

    places: tuple[Tensor, ...]
    seed: int


def plan_draws(bank: Bank, *, draws: int, memory_size: int, seed: int) -> Plan:
    """Draw ``draws`` memories of ``memory_size`` images from a bank, without replacement.

    Raises:
        ValueError: if a number is under 1, or the bank holds fewer images.
    """
    check_number("draws", draws, least=1)
    check_number("seed", seed)
    if not 1 <= memory_size <= len(bank):
        raise ValueError(
            f"memory_size must be in 1 to {len(bank)}, the images in the memory, got {memory_size}."
        )
    generator = make_generator(seed)
    drawn = [draw_memory(len(bank), memory_size, generator=generator) for _ in range(draws)]
    places = [one.to(bank.features.device) for one in drawn]
    return Plan(tuple(one[bank.indices[one].argsort()] for one in places), seed)


def measure_draws(cached: Cached, read: Read, bank: Bank, plan: Plan) -> list[Draws]:
    """Answer again with each drawn memory, from cached features.

    Args:
        cached: of `B` queries.
        read: the answers to them with the whole memory.
        bank: that the memories were drawn from.
        plan: the drawn memories.

    Returns:
        One record per query.
    """
    predicted = read.answers
    example = find_example(read.weights, predicted, bank.predicted, bank.indices)
    probabilities = torch.zeros_like(read.logits)
    changed, drawn, kept = (torch.zeros_like(predicted) for _ in range(3))
    for places in plan.places:
        again = read_part(cached, places)
        answer = again.answers
        probabilities += cached.head.probabilities(again.logits)
        changed += answer != predicted
        there = (places == example[:, None]).any(1) & (example >= 0)
        own, indices = bank.predicted[places], bank.indices[places]
        best = find_example(again.weights, answer, own, indices)  # (B,) in the drawn memory
        drawn += there
        kept += (best >= 0) & (places[best.clamp_min(0)] == example)
    total = len(plan.places)
    mean = (probabilities / total).float().cpu()
    columns = zip(mean, changed.tolist(), drawn.tolist(), kept.tolist(), strict=True)
    return [
        Draws(
            draws=total,
            memory_size=len(plan.places[0]),
            seed=plan.seed,
            probabilities=row,
            changed=others / total,
            example_drawn=held,
            example_kept=same / held if held else None,
        )
        for row, others, held, same in columns
    ]


def read_part(cached: Cached, places: Tensor) -> Read:
    """Answer with the stored images at ``places`` `(m,)` alone.

    A query that may use none of them, because all are copies of it, uses them all.
    """
    scores = cached.scores[:, places]  # (B, m)
    forbidden = scores.isneginf().all(1, keepdim=True)
    scores = scores.masked_fill(forbidden, 0)  # copies are all equally similar
    weights = weigh(scores)
    vectors = recall(weights, cached.values[places])
    logits = cached.head.respond(cached.queries, vectors)
    return Read(logits, weights, scores, cached.head.decide(logits))


def find_example(weights: Tensor, predicted: Tensor, own: Tensor, indices: Tensor) -> Tensor:
    """Find each answer's example: the highest weight the model puts in the predicted class.

    Args:
        weights: `(B, M)`.
        predicted: `(B,)` the answers.
        own: `(M,)` the model's own class for each stored image.
        indices: `(M,)` their dataset indices; the lowest wins among equal weights.

    Returns:
        `(B,)` places in 0 .. M-1, -1 where there is no example.
    """
    same = weights * (own == predicted[:, None])  # (B, M)
    best = same.amax(1, keepdim=True)
    tied = torch.where(same == best, indices, torch.iinfo(torch.int64).max)
    return tied.argmin(1).masked_fill(best.squeeze(1) == 0, -1)
