"""Which stored images an answer hangs on: sets whose removal changes it."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.explanation.reread import Cached, answer_without, cache, reread
from whence.memory.bank import Bank
from whence.prediction.model import Classifier, check_images, evaluating
from whence.records import Removal
from whence.shapes import check_batch_size

SEARCHED = 2
LIMIT = 100
HEAVIEST = 100
"""Evidence of more images than this is too much to try in pairs; the greedy search then looks at
the images of highest weight only."""


class Found(NamedTuple):
    """A set of places in the memory, and the class that is predicted without it."""

    places: tuple[int, ...]
    becomes: int


def find_removals(
    model: Classifier, images: Tensor, *, limit: int = LIMIT, batch_size: int = 128
) -> tuple[Removal, ...]:
    """Search for the stored images without which each answer would be another one.

    First every set of one and of two images is tried (of one only, where over 100 images have a
    weight; ``searched`` says so). Only images with a weight can matter: taking
    out another changes no weight, so the second of a pair must have a weight without the first,
    and the search is complete although it tries few pairs. Where none is found, images are taken
    out greedily, each time the one without which the answer is closest to changing; of the result
    images are put back as long as the answer stays changed.

    Args:
        model: with a bank.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        limit: images that the greedy search takes out at most.
        batch_size: images, and answers, computed at once; changes memory use, not the result.

    Returns:
        One record per image.

    Raises:
        ValueError: if the model has no memory, or shapes or numbers do not fit.
        RuntimeError: if the bank does not fit the model.
    """
    check_images(model, images)
    check_batch_size(batch_size)
    if not model.has_memory:
        raise ValueError("A standard model has no memory; nothing can be removed from it.")
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}.")
    found: list[Removal] = []
    if len(images) == 0:
        return ()
    with evaluating(model):
        for batch in images.split(batch_size):
            cached = cache(model, batch, batch_size=batch_size)
            found += search(cached, model.checked_bank(), limit=limit, batch_size=batch_size)
    return tuple(found)


def search(cached: Cached, bank: Bank, *, limit: int, batch_size: int) -> list[Removal]:
    """Search for all queries at once, from features encoded once."""
    rows = torch.arange(len(cached.queries), device=cached.scores.device)
    read = next(reread(cached, rows, batch_size=len(rows)))
    predicted = read.logits.argmax(1)
    usable = cached.scores.isfinite().sum(1)  # (B,)
    few = (read.weights > 0).sum(1) <= HEAVIEST  # (B,)
    smallest = search_sets_of_one_or_two(cached, predicted, read.weights, usable, few, batch_size)
    open_rows = [row for row, found in enumerate(smallest) if found is None]
    greedy = search_greedily(
        cached, predicted, usable, open_rows, limit=limit, batch_size=batch_size
    )
    return [
        describe(
            bank,
            small,
            small or greedy.get(row),
            searched=SEARCHED if few[row] else 1,
            tried=min(limit, int(usable[row]) - 1),
        )
        for row, small in enumerate(smallest)
    ]


def describe(
    bank: Bank, smallest: Found | None, removed: Found | None, *, searched: int, tried: int
) -> Removal:
    """Turn places into dataset indices, or say how far the search went."""
    reason = None
    if removed is None:
        reason = (
            ("No one or two stored images change" if searched > 1 else "No stored image changes")
            + " the answer when left out, and leaving "
            f"out {tried} one after another does not either."
            if tried > 0
            else "The memory holds one image only, nothing can be left out."
        )
    return Removal(
        removed=to_indices(bank, removed),
        becomes=None if removed is None else removed.becomes,
        smallest=None if smallest is None else to_indices(bank, smallest),
        smallest_becomes=None if smallest is None else smallest.becomes,
        searched=searched,
        reason=reason,
    )


def to_indices(bank: Bank, found: Found | None) -> tuple[int, ...]:
    """Name the dataset indices of a set of places; empty for None."""
    return () if found is None else tuple(bank.indices[list(found.places)].tolist())


def margin(logits: Tensor, predicted: Tensor) -> Tensor:
    """Subtract the best other logit from that of the first answer; below 0, the answer changed."""
    own = logits.gather(1, predicted[:, None]).squeeze(1)
    best_other = logits.scatter(1, predicted[:, None], -torch.inf).amax(1)
    return own - best_other


def search_sets_of_one_or_two(
    cached: Cached,
    predicted: Tensor,
    weights: Tensor,
    usable: Tensor,
    few: Tensor,
    batch_size: int,
) -> list[Found | None]:
    """Try every set of one, then, for ``few`` `(B,)`, of two stored images.

    The strongest change wins.
    """
    rows, first = active_pairs(weights, usable > 1)
    found: list[Found | None] = [None] * len(predicted)
    take_best(found, cached, predicted, rows, first[:, None], batch_size)
    unsolved = torch.tensor([one is None for one in found], device=rows.device)
    left = (unsolved & few & (usable > 2))[rows]
    rows, first = rows[left], first[left]
    place = 0
    for read in reread(cached, rows, first[:, None], batch_size=batch_size):
        triple, second = active_pairs(read.weights)
        triple = triple + place
        twice = (weights[rows[triple], second] > 0) & (second < first[triple])  # tried as (j, i)
        triple, second = triple[~twice], second[~twice]
        pairs = torch.stack([first[triple], second], dim=1)  # (T, 2)
        take_best(found, cached, predicted, rows[triple], pairs, batch_size)
        place += len(read.weights)
    return found


def active_pairs(weights: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """List (row, place) of the weights above 0, of the rows that a bool `(B,)` chooses."""
    chosen = weights > 0 if rows is None else (weights > 0) & rows[:, None]
    found = chosen.nonzero()
    return found[:, 0], found[:, 1]


def keep_heaviest(weights: Tensor) -> Tensor:
    """Set all but the ``HEAVIEST`` weights of each row `(B, M)` to 0."""
    if weights.shape[1] <= HEAVIEST:
        return weights
    top = weights.topk(HEAVIEST, dim=1)
    return torch.zeros_like(weights).scatter(1, top.indices, top.values)


def take_best(
    found: list[Found | None],
    cached: Cached,
    predicted: Tensor,
    rows: Tensor,
    removed: Tensor,
    batch_size: int,
) -> None:
    """Try `(T, R)` sets and keep, for each row, the one that changes its answer most."""
    if len(rows) == 0:
        return
    logits = answer_without(cached, rows, removed, batch_size=batch_size)
    margins = margin(logits, predicted[rows])
    becomes = logits.argmax(1)
    hits = (becomes != predicted[rows]).nonzero().squeeze(1)
    for hit in hits[margins[hits].argsort(stable=True)].tolist():
        row = int(rows[hit])
        if found[row] is None:
            found[row] = Found(tuple(removed[hit].tolist()), int(becomes[hit]))


def search_greedily(
    cached: Cached,
    predicted: Tensor,
    usable: Tensor,
    open_rows: list[int],
    *,
    limit: int,
    batch_size: int,
) -> dict[int, Found]:
    """Take out, for every open row, one image after another until its answer changes."""
    device = predicted.device
    removed: dict[int, list[int]] = {row: [] for row in open_rows}
    found: dict[int, Found] = {}
    for taken in range(limit):
        going = [row for row in removed if row not in found and int(usable[row]) > taken + 1]
        if not going:
            break
        rows = torch.tensor(going, device=device)
        gone = torch.tensor([removed[row] for row in going], device=device).view(len(rows), taken)
        parts = reread(cached, rows, gone.long(), batch_size=batch_size)
        weights = torch.cat([part.weights for part in parts])
        which, place = active_pairs(keep_heaviest(weights))
        sets = torch.cat([gone.long()[which], place[:, None]], dim=1)  # (T, taken + 1)
        logits = answer_without(cached, rows[which], sets, batch_size=batch_size)
        margins = margin(logits, predicted[rows[which]])
        for position in range(len(going)):
            mine = (which == position).nonzero().squeeze(1)
            best = int(mine[margins[mine].argmin()])
            removed[going[position]].append(int(place[best]))
            if int(logits[best].argmax()) != int(predicted[going[position]]):
                found[going[position]] = Found(
                    tuple(sets[best].tolist()), int(logits[best].argmax())
                )
    return {
        row: put_back(cached, predicted, row, one, batch_size=batch_size)
        for row, one in found.items()
    }


def put_back(
    cached: Cached, predicted: Tensor, row: int, found: Found, *, batch_size: int
) -> Found:
    """Put images back as long as the answer stays changed; what is left is irreducible."""
    places, becomes = list(found.places), found.becomes
    while len(places) > 1:
        sets = torch.tensor([[p for p in places if p != back] for back in places])
        sets = sets.to(predicted.device)
        rows = torch.full((len(places),), row, device=predicted.device)
        logits = answer_without(cached, rows, sets, batch_size=batch_size)
        margins = margin(logits, predicted[rows])
        best = int(margins.argmin())
        if int(logits[best].argmax()) == int(predicted[row]):
            break
        becomes = int(logits[best].argmax())
        places.pop(best)
    return Found(tuple(places), becomes)
