"""A classifier and its memory as one graph of plain operations, to be exported."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from whence.kinds import check_arguments
from whence.memory.attention import at_least_float32
from whence.memory.equal_rows import find_equal_rows, tell_apart
from whence.memory.heads import Read
from whence.memory.similarity import find_similarity
from whence.memory.sparsemax import SORTED_WHOLE, find_threshold
from whence.models.classifier import Classifier
from whence.models.evaluating import check_mode

GROUPED = 32
"""Scores of which the largest is looked at first."""


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
    scale: Tensor | None
    first: Tensor | None
    """`(M,)` for every stored image the first with equal features, None where all differ."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        head, bank = model.memory_head, model.checked_bank()
        self.encoder, self.head = model.encoder, head
        self.compare = find_similarity(head.similarity).score
        features = at_least_float32(bank.features)
        _, stored = head.pair(features[:1], features, bank.labels)
        self.register_buffer("mean", model.mean)
        self.register_buffer("std", model.std)
        self.register_buffer("memory", stored)
        self.register_buffer("values", head.values(features, bank.labels))
        self.register_buffer("scale", bank.scale(head.similarity))
        places = torch.arange(len(stored), device=stored.device)
        keys = tell_apart(stored) if self.scale is None else self.scale
        self.register_buffer("first", find_equal_rows(stored, places, keys))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Classify images.

        Args:
            images: `(B, C, H, W)` uint8, or float in [0, 1], which is not checked.

        Returns:
            `(B, K)` logits, and `(B, M)` the weight of each stored image.
        """
        read = self.read(images)
        return read.logits, read.weights

    def read(self, images: Tensor, mask: Tensor | None = None) -> Read:
        """Do what ``Classifier.read`` does.

        Args:
            images: `(B, C, H, W)` as for ``forward``.
            mask: `(B, M)` bool, True where a stored image may be used; None allows all.
        """
        pixels = images.to(self.mean.dtype)
        pixels = pixels / 255 if images.dtype == torch.uint8 else pixels
        queries = at_least_float32(self.head.embed(self.encoder((pixels - self.mean) / self.std)))
        none = torch.zeros(0, dtype=torch.int64, device=queries.device)
        asked, _ = self.head.pair(queries, queries[:0], none)
        options = {} if self.scale is None else {"scale": self.scale}
        scores = self.compare(asked, self.memory, **options)  # (B, M)
        scores = scores if self.first is None else scores[:, self.first]
        scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
        shifted = scores - scores.amax(1, keepdim=True)
        weights = (shifted - find_threshold(rank_highest(shifted))).clamp_min(0)
        return Read(self.head.respond(queries, weights @ self.values), weights, scores)


def rank_highest(scores: Tensor) -> Tensor:
    """Sort scores `(B, M)`, the largest of each row 0: at least all that can have a weight.

    Of many, only those above the threshold of sparsemax over the largest of every ``GROUPED`` are
    sorted: over some of the scores it is never above the one over all.

    Returns:
        `(B, S)` in descending order; S is the same for all rows, and hangs on the numbers.
    """
    total = scores.shape[1]
    if total <= SORTED_WHOLE:
        return scores.sort(dim=1, descending=True).values
    padded = pad(scores, (0, -total % GROUPED), value=-torch.inf)
    largest = padded.unflatten(1, (-1, GROUPED)).amax(2)  # (B, M / GROUPED)
    low = find_threshold(largest.sort(dim=1, descending=True).values)
    # in a graph it is a symbol, which int() would fix
    most: int = (scores > low).sum(1).max().item()  # type: ignore[assignment]
    torch._check(most >= 1)
    torch._check(most <= total)
    return scores.topk(most, dim=1).values


@check_arguments
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
