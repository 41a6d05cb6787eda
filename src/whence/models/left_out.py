"""The model's own class for each image of its memory."""

import torch
from torch import Tensor

from whence.memory.attention import at_least_float32
from whence.memory.heads import MemoryHead
from whence.memory.similarity import find_similarity
from whence.models.sound import check_outputs


@torch.no_grad()
def predict_left_out(head: MemoryHead, features: Tensor, *, batch_size: int = 128) -> Tensor:
    """Classify every memory image with itself left out of the memory (a single one: on itself).

    Args:
        head: of the classifier.
        features: `(M, D)` the encoded memory.
        batch_size: how many are classified at once.

    Returns:
        `(M,)` class indices.

    Raises:
        ValueError: if logits are not finite.
    """
    total = len(features)
    places = torch.arange(total, device=features.device)
    measure = find_similarity(head.similarity).scale
    scale = None if measure is None else measure(at_least_float32(features))
    predicted = []
    for rows in places.split(batch_size):
        mask = None if total == 1 else rows[:, None] != places
        logits = head.logits(features[rows], features, mask, scale=scale)
        check_outputs("logits", logits, head)
        predicted.append(logits.argmax(1))
    return torch.cat(predicted)
