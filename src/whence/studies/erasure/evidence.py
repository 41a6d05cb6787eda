"""The smallest sets of stored images: votes on the study's own images."""

from typing import Any

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.data.stratify import stratified
from whence.evidence.removal import search_greedily
from whence.evidence.reread import Cached, read_whole
from whence.memory.attention import score
from whence.memory.votes import Votes
from whence.records.images import Dataset, ImageSet
from whence.seeds import make_generator
from whence.studies.erasure.smallest_sets import find_smallest_evidence
from whence.studies.parts.stored_votes import train_votes

SHOWN_HANGING = 3


def erase_evidence(
    images: Dataset,
    *,
    stored: int,
    asked: int,
    largest: int,
    most_sets: int,
    epochs: int,
    seed: int,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train votes on pixels, store some images, and find what each answer hangs on.

    Args:
        images: to learn from and to ask about.
        stored: images that vote, as many of every class as it has its share.
        asked: images that are asked about, at most.
        largest: size at which the exact search ends.
        most_sets: that are tried of one size.
        epochs: of the training of the keys.
        seed: of the choice of images, and of the training.
        device: of the training; the sets are looked for on the CPU.

    Returns:
        "accuracy", "sizes" of the smallest sets (0 where none was found), those of the "greedy"
        search, up to which size was "searched", and some "examples": places of an image, of what
        votes on it, and of what was left out.
    """
    test = images.test
    pixels = to_float(images.train.images).flatten(1).to(device)
    classes = len(images.train.class_names)
    head = train_votes(pixels, images.train.labels, classes, epochs=epochs, seed=seed).to("cpu")
    kept = stratified(images.train.labels, stored, generator=make_generator(seed))
    chosen = torch.randperm(len(test), generator=make_generator(seed))[:asked]
    cached = cache_pixels(head, images.train.take(kept), test.images[chosen])
    read = read_whole(cached)
    found = find_smallest_evidence(cached, largest=largest, most_sets=most_sets)
    rows = range(len(chosen))
    greedy = search_greedily(
        cached, read.answers, [stored] * len(rows), [*rows], limit=stored - 1, batch_size=256
    )
    shown = [row for row in rows if found[row].places][:SHOWN_HANGING]
    return {
        "accuracy": float((read.answers == test.labels[chosen]).double().mean()),
        "sizes": [len(one.places or ()) for one in found],
        "searched": min((one.searched for one in found if one.places is None), default=largest),
        "greedy": [len(greedy[row].places) if row in greedy else 0 for row in rows],
        "largest": largest,
        "examples": [
            {
                "image": int(chosen[row]),
                "answer": int(read.answers[row]),
                "becomes": found[row].becomes,
                "voters": list_voters(read.weights[row], found[row].places or (), kept),
            }
            for row in shown
        ],
    }


def list_voters(weights: Tensor, gone: tuple[int, ...], stored: Tensor) -> list[dict[str, Any]]:
    """List the stored images of an answer, with their weights and whether they were left out.

    Args:
        weights: `(M,)` of the stored images.
        gone: which of them were left out.
        stored: `(M,)` their places among the training images.
    """
    return [
        {"image": int(stored[one]), "weight": float(weights[one]), "gone": one in gone}
        for one in order_voters(weights, gone)
    ]


def cache_pixels(head: Votes, stored: ImageSet, asked: Tensor) -> Cached:
    """Compare images that are asked about, `(Q, C, H, W)`, with stored ones by votes on pixels."""
    queries, memory = (head.embed(to_float(pixels).flatten(1)) for pixels in (asked, stored.images))
    paired = head.pair(queries, memory, stored.labels)
    scores = score(*paired, similarity=head.similarity)
    return Cached(head, queries, memory, head.values(memory, stored.labels), scores)


def order_voters(weights: torch.Tensor, gone: tuple[int, ...], most: int = 10) -> list[int]:
    """List the stored images that are left out, then those with the most weight.

    >>> order_voters(torch.tensor([0.1, 0.0, 0.6, 0.3]), (3,), most=3)
    [3, 2, 0]
    """
    heaviest = [one for one in weights.argsort(descending=True).tolist() if weights[one] > 0]
    return [*gone, *(one for one in heaviest if one not in gone)][:most]
