"""Images that a model knows already: their accuracy says nothing about new images."""

import statistics
from collections.abc import Container, Mapping, Sequence

from torch import Tensor

from whence.records.measures import KnownImages


def is_known(hashes: Sequence[str], seen: Mapping[str, Container[str]]) -> list[bool]:
    """Say of each image whether it is in one of the sets."""
    return [any(one in found for found in seen.values()) for one in hashes]


def count_known(
    hashes: Sequence[str],
    predicted: Sequence[int],
    labels: Tensor,
    seen: Mapping[str, Container[str]],
) -> KnownImages:
    """Count the measured images that a model has seen, and measure the others alone.

    Args:
        hashes: of the pixels of `N` measured images.
        predicted: their answers.
        labels: `(N,)` their true classes.
        seen: hashes of the images in "memory", "train" and "validation", as far as they are known.
    """
    known = is_known(hashes, seen)
    answers = zip(predicted, labels.tolist(), known, strict=True)
    hits = [answer == truth for answer, truth, one in answers if not one]
    counts = {name: sum(one in found for one in hashes) for name, found in seen.items()}
    return KnownImages(
        images=sum(known),
        memory=counts.get("memory"),
        train=counts.get("train"),
        validation=counts.get("validation"),
        others=len(hits),
        accuracy_of_others=statistics.fmean(hits) if hits else None,
    )
