"""Images that look the same and are in two parts, said before a training."""

from importlib.util import find_spec

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.data.hash_pairs import pair_hashes
from whence.data.near_duplicates import hash_perceptually, name_row
from whence.records.images import ImageSet

ADVICE = (
    "accuracy on them says little about new images; whence report lists such pairs, and a column "
    "group in a table of labels keeps them in one part."
)


def describe_near(train: ImageSet, test: ImageSet) -> list[str]:
    """Say how many test images look like a training image, though their pixels differ.

    Images with equal pixels are named when the data are loaded.

    Returns:
        One sentence; none where there is no such image, or ImageHash is not installed.
    """
    if find_spec("imagehash") is None or not len(train) or not len(test):
        return []
    try:
        pairs = pair_hashes(hash_perceptually(train.images), hash_perceptually(test.images))
    except ValueError as error:
        return [f"Near-duplicates were not counted: {error}"]
    equal = set(content_hashes(train.images))
    fresh = [digest not in equal for digest in content_hashes(test.images)]
    first = {tested: learnt for learnt, tested, _ in reversed(pairs) if fresh[tested]}
    if not first:
        return []
    tested = min(first)
    named = name_row(test.sources, tested), name_row(train.sources, first[tested])
    what = "test image looks" if len(first) == 1 else "test images look"
    return [f"{len(first):,} {what} like a training image (first: {' and '.join(named)}); {ADVICE}"]


def describe_near_folds(images: ImageSet, part_of: Tensor) -> list[str]:
    """Say how many images look like one of another fold, as ``describe_near`` does.

    Args:
        images: that are divided.
        part_of: `(N,)` the fold of each.
    """
    if find_spec("imagehash") is None:
        return []
    try:
        pairs = pair_hashes(hash_perceptually(images.images))
    except ValueError as error:
        return [f"Near-duplicates were not counted: {error}"]
    digests = content_hashes(images.images)
    across = [
        pair[:2]
        for pair in pairs
        if part_of[pair[0]] != part_of[pair[1]] and digests[pair[0]] != digests[pair[1]]
    ]
    if not across:
        return []
    count = len(torch.tensor(across).unique())
    named = " and ".join(name_row(images.sources, place) for place in across[0])
    return [f"{count:,} images look like an image of another fold (first: {named}); {ADVICE}"]
