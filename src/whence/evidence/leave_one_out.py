"""What becomes of an answer when one of its evidence images is left out of the memory."""

import torch
from torch import Tensor

from whence.evidence.active import order_active
from whence.evidence.reread import Cached, answer_without
from whence.memory.heads import Read


def leave_one_out(
    cached: Cached, read: Read, indices: Tensor, *, batch_size: int
) -> tuple[Tensor, ...]:
    """Compute how much every logit changes without each evidence image, all in one batch.

    Args:
        cached: of `B` queries and `M` stored images.
        read: the answers to them, with everything in.
        indices: `(M,)` dataset indices of the stored images; they order equal weights.
        batch_size: answers computed at once.

    Returns:
        For each query `(A, K)` float32 on the CPU, logit without the image minus logit with it, in
        the order of the evidence; NaN where the image is all that the query may use, since
        sparsemax of nothing is NaN.
    """
    places = order_active(read.weights, indices)
    counts = torch.tensor([len(found) for found in places], device=read.weights.device)
    rows = torch.arange(len(places), device=counts.device).repeat_interleave(counts)  # (T,)
    without = answer_without(cached, rows, torch.cat(places)[:, None], batch_size=batch_size)
    change = without - read.logits[rows]  # (T, K)
    return tuple(change.float().cpu().split(counts.tolist()))
