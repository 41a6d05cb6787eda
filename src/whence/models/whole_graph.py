"""A classifier and its memory as one graph of plain operations, to be exported."""

import torch
from torch import Tensor, nn

from whence.memory.attention import at_least_float32
from whence.memory.similarity import find_similarity
from whence.memory.sparsemax import find_threshold
from whence.models.classifier import Classifier
from whence.models.evaluating import check_mode


class WholeGraph(nn.Module):
    """Encoder, memory and head with every step in sight, and nothing that hangs on the numbers.

    All stored images are compared and weighed, where a ``Classifier`` looks only at those that can
    have a weight; answers are equal to rounding.

    Args:
        model: with a memory, in eval mode; its parts are shared, not copied.
    """

    mean: Tensor
    std: Tensor
    memory: Tensor
    values: Tensor

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        head, bank = model.memory_head, model.checked_bank()
        self.encoder, self.head = model.encoder, head
        self.compare = find_similarity(head.similarity).score
        self.register_buffer("mean", model.mean)
        self.register_buffer("std", model.std)
        self.register_buffer("memory", at_least_float32(bank.features))
        self.register_buffer("values", head.values(self.memory, bank.labels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify images.

        Args:
            images: `(B, C, H, W)` uint8, or float in [0, 1], which is not checked.

        Returns:
            `(B, K)` logits, and `(B, M)` the weight of each stored image.
        """
        pixels = images.to(self.mean.dtype)
        pixels = pixels / 255 if images.dtype == torch.uint8 else pixels
        queries = at_least_float32(self.head.embed(self.encoder((pixels - self.mean) / self.std)))
        scores = self.compare(queries, self.memory)  # (B, M)
        scores = scores - scores.amax(1, keepdim=True)
        threshold = find_threshold(scores.sort(dim=1, descending=True).values)
        weights = (scores - threshold).clamp_min(0)
        return self.head.respond(queries, weights @ self.values), weights


def as_graph(model: Classifier) -> WholeGraph:
    """Return a model with its memory as a module that ``torch.export`` takes.

    ``torch.export.export(whence.as_graph(model), (images,))`` holds the stored images' features
    and needs no ``whence`` to run.

    Args:
        model: with a memory, in eval mode; its parts are shared, not copied.

    Returns:
        A module that takes images `(B, C, H, W)`, uint8 or float in [0, 1], and returns logits
        `(B, K)` and weights `(B, M)`.

    Raises:
        RuntimeError: without a bank, in training mode, or when parameters changed since.
        ValueError: for a standard model, which has no memory.
    """
    check_mode(model)
    return WholeGraph(model).eval()
