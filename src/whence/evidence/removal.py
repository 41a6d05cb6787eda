"""Which stored images an answer hangs on: sets whose removal changes it."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.evidence.reread import Cached, answer_without, cache, read_whole, weigh_without
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.answers import Removal
from whence.shapes import check_batch_size

SEARCHED = 2
LIMIT = 100
HEAVIEST = 100
"""Evidence of more images than this is too much to try in pairs; the greedy search then looks at
the images of highest weight only."""


class Found(NamedTuple):
    """A set of places in the memory, the class predicted without it, and by what margin."""

    places: tuple[int, ...]
    becomes: int
    margin: float  # below 0


@check_arguments
def find_removals(
    model: Classifier, images: Images, *, limit: int = LIMIT, batch_size: int = BATCH_SIZE
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
        images: `(B, C, H, W)` uint8 or float in [0, 1]; or arrays, PIL images, files, or a list of
            these. Files and PIL images are resized as those of a training folder are.
        limit: images that the greedy search takes out at most.
        batch_size: images, and answers, computed at once; changes memory use, not the result.

    Returns:
        One record per image.

    Raises:
        ValueError: if the model has no memory, or shapes or numbers do not fit.
        RuntimeError: if the bank does not fit the model.
    """
    asked = as_images(images, model)
    check_batch_size(batch_size)
    if not model.has_memory:
        raise ValueError("A standard model has no memory; nothing can be removed from it.")
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}.")
    found: list[Removal] = []
    if len(asked) == 0:
        return ()
    with evaluating(model):
        for batch in asked.split(batch_size):
            cached = cache(model, batch, batch_size=batch_size)
            found += search(cached, model.checked_bank(), limit=limit, batch_size=batch_size)
    return tuple(found)


def search(cached: Cached, bank: Bank, *, limit: int, batch_size: int) -> list[Removal]:
    """Search for all queries at once, from features encoded once."""
    read = read_whole(cached)
    predicted = read.answers
    usable = cached.scores.isfinite().sum(1)  # (B,)
    few = (read.weights > 0).sum(1) <= HEAVIEST  # (B,)
    smallest = search_sets_of_one_or_two(cached, predicted, read.weights, usable, few, batch_size)
    open_rows = [row for row, found in enumerate(smallest) if found is None]
    counts, pairs = usable.tolist(), few.tolist()
    greedy = search_greedily(
        cached, predicted, counts, open_rows, limit=limit, batch_size=batch_size
    )
    indices = bank.indices.cpu()
    return [
        describe(
            indices,
            small,
            small or greedy.get(row),
            searched=SEARCHED if pairs[row] else 1,
            tried=min(limit, counts[row] - 1),
        )
        for row, small in enumerate(smallest)
    ]


def describe(
    indices: Tensor, smallest: Found | None, removed: Found | None, *, searched: int, tried: int
) -> Removal:
    """Turn places into dataset indices `(M,)`, or say how far the search went."""
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
        removed=to_indices(indices, removed),
        becomes=None if removed is None else removed.becomes,
        smallest=None if smallest is None else to_indices(indices, smallest),
        smallest_becomes=None if smallest is None else smallest.becomes,
        searched=searched,
        reason=reason,
    )


def to_indices(indices: Tensor, found: Found | None) -> tuple[int, ...]:
    """Name the dataset indices of a set of places; empty for None."""
    return () if found is None else tuple(indices[list(found.places)].tolist())


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
    rows, first = ((weights > 0) & (usable > 1)[:, None]).nonzero(as_tuple=True)
    found: list[Found | None] = [None] * len(predicted)
    take_best(found, cached, predicted, rows, first[:, None], batch_size)
    unsolved = torch.tensor([one is None for one in found], device=rows.device)
    left = (unsolved & few & (usable > 2))[rows]
    rows, first = rows[left], first[left]
    for part, gone in zip(rows.split(batch_size), first.split(batch_size), strict=True):
        which, second = active_pairs(*weigh_without(cached.scores, part, gone[:, None]))
        twice = (weights[part[which], second] > 0) & (second < gone[which])  # tried as (j, i)
        which, second = which[~twice], second[~twice]
        pairs = torch.stack([gone[which], second], dim=1)  # (T, 2)
        take_best(found, cached, predicted, part[which], pairs, batch_size)
    return found


def active_pairs(places: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """List (row, place) of the weights above 0, from `(B, L)` places and their weights."""
    rows, columns = (weights > 0).nonzero(as_tuple=True)
    return rows, places[rows, columns]


def keep_heaviest(places: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the ``HEAVIEST`` highest weights of each row `(B, L)`, the first ones among equals."""
    order = weights.argsort(dim=1, descending=True, stable=True)
    kept = order[:, :HEAVIEST].sort(1).values
    return places.gather(1, kept), weights.gather(1, kept)


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
    margins, becomes = try_without(cached, predicted, rows, removed, batch_size=batch_size)
    hits = (becomes != predicted[rows]).nonzero().squeeze(1)
    best = hits[best_of_each(rows[hits], margins[hits])]
    for row, one in zip(
        rows[best].tolist(), list_found(removed, becomes, margins, best), strict=True
    ):
        known = found[row]
        if known is None or one.margin < known.margin:
            found[row] = one


def try_without(
    cached: Cached, predicted: Tensor, rows: Tensor, removed: Tensor, *, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Answer without each of `(T, R)` sets; the margin `(T,)` of the first answer, the new one."""
    logits = answer_without(cached, rows, removed, batch_size=batch_size)
    return cached.head.margin(logits, predicted[rows]), cached.head.decide(logits)


def best_of_each(rows: Tensor, margins: Tensor) -> Tensor:
    """Find, for each row that is named in `(T,)`, where its smallest margin `(T,)` stands.

    The first one among equals.

    >>> best_of_each(torch.tensor([0, 0, 4, 4]), torch.tensor([2.0, 1.0, -3.0, -3.0]))
    tensor([1, 2])
    """
    order = margins.argsort(stable=True)
    order = order[rows[order].argsort(stable=True)]  # by row, then by margin
    counts = rows.unique(return_counts=True)[1]
    return order[counts.cumsum(0) - counts]


def list_found(removed: Tensor, becomes: Tensor, margins: Tensor, chosen: Tensor) -> list[Found]:
    """Turn the chosen ones of `(T, R)` sets into records."""
    columns = (column[chosen].tolist() for column in (removed, becomes, margins))
    return [Found(tuple(places), *rest) for places, *rest in zip(*columns, strict=True)]


def search_greedily(
    cached: Cached,
    predicted: Tensor,
    usable: list[int],
    open_rows: list[int],
    *,
    limit: int,
    batch_size: int,
) -> dict[int, Found]:
    """Take out, for every open row, one image after another until its answer changes."""
    device, answers = predicted.device, predicted.tolist()
    removed: dict[int, tuple[int, ...]] = dict.fromkeys(open_rows, ())
    found: dict[int, Found] = {}
    for taken in range(limit):
        going = [row for row in removed if row not in found and usable[row] > taken + 1]
        if not going:
            break
        rows = torch.tensor(going, device=device)
        gone = torch.tensor([removed[row] for row in going], dtype=torch.int64, device=device)
        which, place = active_pairs(*keep_heaviest(*weigh_without(cached.scores, rows, gone)))
        sets = torch.cat([gone[which], place[:, None]], dim=1)  # (T, taken + 1)
        margins, becomes = try_without(cached, predicted, rows[which], sets, batch_size=batch_size)
        best = best_of_each(which, margins)
        for row, one in zip(going, list_found(sets, becomes, margins, best), strict=True):
            removed[row] = one.places
            if one.becomes != answers[row]:
                found[row] = one
    return {
        row: put_back(cached, predicted, row, one, batch_size=batch_size)
        for row, one in found.items()
    }


def put_back(
    cached: Cached, predicted: Tensor, row: int, found: Found, *, batch_size: int
) -> Found:
    """Put images back as long as the answer stays changed; what is left is irreducible."""
    answer = int(predicted[row])
    while len(found.places) > 1:
        sets = torch.tensor([[p for p in found.places if p != back] for back in found.places])
        sets = sets.to(predicted.device)
        rows = torch.full((len(sets),), row, device=predicted.device)
        margins, becomes = try_without(cached, predicted, rows, sets, batch_size=batch_size)
        (one,) = list_found(sets, becomes, margins, margins.argmin()[None])
        if one.becomes == answer:
            break
        found = one
    return found
