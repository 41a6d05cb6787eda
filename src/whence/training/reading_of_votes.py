"""How trained votes are read: chosen on images that they were not fitted to."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data.balanced_draw import weigh_classes
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""By what the logarithm of a class's share of the stored images may be multiplied."""


class VoteReading(NamedTuple):
    """How votes are read."""

    sharpness: float
    handicaps: Tensor | None  # (K,), None for none


@torch.no_grad()
def choose_handicaps(
    head: Votes,
    stored: Tensor,
    labels: Tensor,
    asked: Tensor,
    truth: Tensor,
    *,
    sharpnesses: tuple[float, ...],
    most: int,
) -> VoteReading:
    """Choose what is taken off the scores of large classes, together with the sharpness.

    The handicap of a class of n stored images is a multiple of log(n / mean n). Of the readings
    with which few enough stored images vote, the one is taken with which the true classes are most
    likely, every class counting alike; without any, the one with the fewest voters.

    Args:
        head: with trained keys.
        stored: `(N, D)` features of the images that vote.
        labels: `(N,)` of them.
        asked: `(V, D)` features of others.
        truth: `(V,)` their classes.
        sharpnesses: that are tried.
        most: stored images that may vote on an answer, in the median.
    """
    was = head.training
    head.eval()
    head.sharpness.fill_(1)
    queries, memory = head.embed(asked), head.embed(stored)
    cosines, values = queries @ memory.T, head.values(memory, labels)
    counts = labels.bincount(minlength=head.classes).clamp_min(1).to(cosines.dtype)
    shares = (counts / counts.mean()).log()  # (K,)
    weights = weigh_classes(truth, head.classes)[truth]  # (V,)
    found: list[tuple[bool, float, float, float]] = []
    for strength in STRENGTHS:
        for sharpness in sharpnesses:
            votes = sparsemax(cosines * sharpness - strength * shares[labels])
            voters = float((votes > 0).sum(1).double().median())
            each = F.cross_entropy(head.respond(queries, votes @ values), truth, reduction="none")
            loss = float((each * weights).mean())
            too_many = voters > most
            found.append((too_many, voters if too_many else loss, strength, sharpness))
    head.train(was)
    _, _, strength, sharpness = min(found)
    return VoteReading(sharpness, strength * shares if strength else None)
