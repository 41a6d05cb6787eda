"""Stored images that are the very image to be explained."""

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.memory.bank import Bank


def mask_copies(bank: Bank, images: Tensor) -> Tensor | None:
    """Find which stored images each image may be answered from: all but copies of itself.

    An image that is in the bank (same content hash) would be its own evidence. Where the whole
    memory consists of copies nothing is masked, since an answer needs a memory.

    Args:
        bank: of `M` stored images.
        images: `(B, C, H, W)` uint8 or float in [0, 1].

    Returns:
        `(B, M)` bool on the bank's device, True where a stored image may be used; None when every
        image may use all of them.
    """
    names = content_hashes(images)
    found = [bank.places.get(name, ()) for name in names]
    found = [copies if len(copies) < len(bank) else () for copies in found]
    if not any(found):
        return None
    mask = torch.ones(len(images), len(bank), dtype=torch.bool)
    for row, copies in enumerate(found):
        mask[row, list(copies)] = False
    return mask.to(bank.features.device)
