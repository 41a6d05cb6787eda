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
    rows: Tensor | None = None,
    batch_size: int = BATCH_SIZE,
) -> Tensor:
    """Classify every memory image with itself and its copies left out of the memory.

    Where the whole memory consists of copies of it nothing is left out, as for every other image.

    Args:
        head: of the classifier.
        features: `(M, E)` the encoded memory.
        groups: `(M,)` a number for each image that its copies share.
        labels: `(M,)` of the memory, for a head that reads them.
        rows: `(R,)` places of the images to classify; None is all.
        batch_size: how many are classified at once.

    Returns:
        `(M,)` class indices, or `(R,)` of the rows.

    Raises:
        ValueError: if logits are not finite.
    """
    plain = head.without_decision()
    places = torch.arange(len(features), device=features.device) if rows is None else rows
    alone = bool((groups == groups[0]).all())
    measure = find_similarity(head.similarity).scale
    scale = None if measure is None else measure(at_least_float32(features))
    predicted = []
    for part in places.split(batch_size):
        mask = None if alone else groups[part, None] != groups  # (b, M)
        logits = plain.logits(features[part], features, mask, labels=labels, scale=scale)
        check_outputs("logits", logits, head)
        predicted.append(logits.argmax(1))
    return torch.cat(predicted)
