"""Stored and measured images of a run that look the same."""

import torch

from whence.data.near_duplicates import EXTRA, find_near_duplicates
from whence.memory.bank import Bank
from whence.records.images import ImageSet
from whence.records.near_pairs import NearPairs


def find_pairs_of_run(bank: Bank | None, images: ImageSet, predicted: torch.Tensor) -> NearPairs:
    """Find near-duplicates among stored and measured images, or say why not.

    Args:
        bank: of the model; None for a standard model.
        images: that are measured.
        predicted: `(N,)` answers to them.
    """
    if bank is None or bank.images is None:
        return NearPairs(reason="The run keeps no pixels of stored images to compare.")
    if not bool((bank.labels >= 0).all()):
        return NearPairs(reason="The stored images have no labels.")
    stored = ImageSet(bank.images, bank.labels.cpu(), images.class_names, bank.sources)
    try:
        pairs = find_near_duplicates(stored, measured=images)
    except ModuleNotFoundError:
        return NearPairs(reason=f"They were not looked for; {EXTRA}.")
    except ValueError as error:
        return NearPairs(reason=str(error))
    seen = {pair.second for pair in pairs if pair.across}
    others = torch.tensor([place not in seen for place in range(len(images))])
    right = (predicted.cpu() == images.labels.cpu())[others]
    return NearPairs(
        pairs,
        measured=len(seen),
        accuracy_of_others=float(right.double().mean()) if len(right) else None,
    )
