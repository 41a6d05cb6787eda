"""A model as one graph from pixels to answer, evidence and doubt, as ``predict`` gives them."""

import torch
from torch import Tensor, nn

from whence.deploy.pixel_keys import draw_factors, keys_of_stored, measure_keys
from whence.memory.class_scores import sum_scores
from whence.memory.heads import Read
from whence.memory.votes import Votes
from whence.metrics.doubt import measure_doubts, read_alone
from whence.models.calibration import error_probability
from whence.models.classifier import Classifier
from whence.models.evaluating import check_mode
from whence.models.whole_graph import WholeGraph


class AnsweringGraph(nn.Module):
    """What ``predict`` does, with every step in sight of ``torch.export``.

    Args:
        model: in eval mode, with its memory; its parts are shared, not copied.

    Attributes:
        outputs: the names of what ``forward`` returns, in order.
        order: `(M,)` the places of the bank's images by dataset index, in which evidence is named.
        leaves_out: whether an image that is stored itself is left out for itself; not where the
            memory was saved without pixels.
    """

    mean: Tensor
    std: Tensor
    own: Tensor
    labels: Tensor
    order: Tensor
    factors: Tensor
    keys: Tensor

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        check_mode(model)
        self.head = model.head
        self.calibration = model.calibration
        self.whole = WholeGraph(model) if model.has_memory else None
        self.encoder = nn.Identity() if model.has_memory else model.encoder
        self.register_buffer("mean", model.mean)
        self.register_buffer("std", model.std)
        self.leaves_out = False
        names = ["answers", "probabilities"]
        if model.bank is not None:
            names += ["places", "weights"]
            self._remember(model)
        if self.calibration is not None:
            names.append("error_probability")
        self.outputs = tuple(names)

    def _remember(self, model: Classifier) -> None:
        """Keep of the bank what answers, and the doubt about them, are computed from."""
        bank = model.checked_bank()
        order = bank.indices.argsort(stable=True)
        self.register_buffer("own", bank.predicted)
        self.register_buffer("labels", bank.labels)
        self.register_buffer("order", order)
        self.in_order = bool((order[1:] > order[:-1]).all())
        self.leaves_out = bank.images is not None
        if bank.images is not None:
            factors = draw_factors(bank.images[0].numel())
            self.register_buffer("factors", factors.to(bank.features.device))
            keys = keys_of_stored(bank.images, factors)
            self.register_buffer("keys", keys.to(bank.features.device))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Answer for images.

        Args:
            images: `(B, C, H, W)` uint8.

        Returns:
            By the names of ``outputs``: answers `(B,)` int64, probabilities `(B, K)` float32; of a
            model with a memory places `(B, E)` int64 and weights `(B, E)` of the evidence, the
            highest weight first, filled up with weight 0 where another image has more; and of a
            calibrated one the probability `(B,)` float32 that the answer is wrong.
        """
        if self.whole is None:
            pixels = images.to(self.mean.dtype) / 255
            queries = self.head.embed(self.encoder((pixels - self.mean) / self.std))
            read = read_alone(self.head(queries))
        else:
            read = self.whole.read(images, self._mask(images))
        read = read._replace(predicted=self.head.decide(read.logits))
        found = [read.answers, self.head.probabilities(read.logits)]
        if self.whole is not None:
            found += self._list_evidence(read)
        if self.calibration is not None:
            own = read.answers[:0] if self.whole is None else self.own
            if isinstance(self.head, Votes):
                head = self.head
                sums = sum_scores(read.scores, self.labels, head.classes, head.warmth)
                read = read._replace(by_class=head.see_classes(sums))
            doubts = measure_doubts(read, own, self.calibration.names)
            found.append(error_probability(self.calibration, doubts).float())
        return tuple(found)

    def _mask(self, images: Tensor) -> Tensor | None:
        """Find `(B, M)` which stored images may be used: all but copies, unless all are copies."""
        if not self.leaves_out:
            return None
        asked = measure_keys(images, self.factors)
        copies = (asked[:, None, 0] == self.keys[:, 0]) & (asked[:, None, 1] == self.keys[:, 1])
        copies = copies & (asked[:, None, 2] == self.keys[:, 2])
        return ~copies | copies.all(1, keepdim=True)

    def _list_evidence(self, read: Read) -> list[Tensor]:
        """List places `(B, E)` and weights `(B, E)` by weight, then by dataset index."""
        weights = read.weights if self.in_order else read.weights[:, self.order]
        # in a graph it is a symbol, which int() would fix
        most: int = (weights > 0).sum(1).max().item()  # type: ignore[assignment]
        torch._check(most >= 1)
        torch._check(most <= weights.shape[1])
        found = weights.topk(most, dim=1)
        return [found.indices, found.values]
