"""The model's own class for each image of its memory."""

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.memory.attention import at_least_float32
from whence.memory.heads import MemoryHead
from whence.memory.similarity import find_similarity
from whence.models.sound import check_outputs


@torch.no_grad()
def predict_left_out(
    head: MemoryHead,
    features: Tensor,
    groups: Tensor,
    *,
    labels: Tensor | None = None,
    batch_size: int = BATCH_SIZE,
) -> Tensor:
    """Classify every memory image with itself and its copies left out of the memory.

    Where the whole memory consists of copies of it nothing is left out, as for every other image.

    Args:
        head: of the classifier.
        features: `(M, E)` the encoded memory.
        groups: `(M,)` a number for each image that its copies share.
        labels: `(M,)` of the memory, for a head that reads them.
        batch_size: how many are classified at once.

    Returns:
        `(M,)` class indices.

    Raises:
        ValueError: if logits are not finite.
    """
    places = torch.arange(len(features), device=features.device)
    alone = bool((groups == groups[0]).all())
    measure = find_similarity(head.similarity).scale
    scale = None if measure is None else measure(at_least_float32(features))
    predicted = []
    for rows in places.split(batch_size):
        mask = None if alone else groups[rows, None] != groups  # (b, M)
        logits = head.logits(features[rows], features, mask, labels=labels, scale=scale)
        check_outputs("logits", logits, head)
        predicted.append(logits.argmax(1))
    return torch.cat(predicted)
