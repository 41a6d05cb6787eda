"""From which head start on an image is answered as a class by votes."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.evidence.answers import rows_at_once
from whence.memory.attend import attend
from whence.memory.bank import Bank
from whence.memory.votes import Votes
from whence.metrics.threshold import cost_threshold, recall_threshold

HALF = 0.5
"""Of the weight, from which on a class with a head start is the answer."""

TIMES_HALVED = 24
"""Times that the interval is halved in which a head start lies; float32 has no more digits."""


class Leads(NamedTuple):
    """The least head start with which half of the weight is on stored images of a class."""

    each: Tensor  # (N,) similarity, in [-most, most]
    most: float  # with which all of the weight is there, whatever the image


@torch.no_grad()
def find_leads(head: Votes, queries: Tensor, bank: Bank, place: int, *, batch_size: int) -> Leads:
    """Find, for each image, the least head start that a class needs to be its answer.

    The weight on a class never falls while its scores rise, since sparsemax is the gradient of a
    convex function (Martins and Astudillo 2016, arXiv:1602.02068, A.1), so halving finds it.

    Args:
        head: in eval mode; its own decision is not looked at.
        queries: `(N, E)` keys of the images.
        bank: the stored images.
        place: index of the class.
        batch_size: images looked at together, fewer with a large memory.
    """
    plain = head.without_decision()
    of_class = (bank.labels == place).to(torch.float32)[:, None]  # (M, 1)
    taken = plain.taken_off
    apart = 0.0 if taken is None else float(taken.max() - taken.min())
    most = 2 + (1 + apart) / float(plain.unit)
    found = []
    for part in queries.split(rows_at_once(batch_size, len(bank))):
        asked, stored = plain.pair(part, bank.features, bank.labels)
        stored = torch.cat([stored, of_class.to(stored.dtype)], 1)
        low = asked.new_full((len(part),), -most)
        high = -low
        for _ in range(TIMES_HALVED):
            middle = (low + high) / 2
            led = torch.cat([asked, (middle * plain.unit)[:, None]], 1)
            share = attend(led, stored, similarity=plain.similarity, values=of_class).vectors[:, 0]
            enough = share >= HALF
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        found.append(high)
    return Leads(torch.cat(found).cpu(), most)


def choose_head_start(
    leads: Leads, of_class: Tensor, *, recall: float | None, cost: float | None
) -> float:
    """Choose the head start that finds so many images of a class, or is of least cost.

    It lies half-way between two images, so that rounding does not decide; of equally good ones the
    smallest is taken for a recall, and for a cost the one nearest to none at all.

    Args:
        leads: of N images.
        of_class: `(N,)` bool, the image is of it; at least one is.
        recall: wanted, in (0, 1].
        cost: of missing one, in place of a recall.
    """
    ranks = (1 - leads.each.double() / leads.most) / 2  # in [0, 1], 1/2 for no head start
    if cost is None:
        rank = recall_threshold(ranks, of_class, recall or 1) or 0.0
    else:
        rank = cost_threshold(ranks, of_class, cost, aim=HALF)
    return leads.most * (1 - 2 * rank)
