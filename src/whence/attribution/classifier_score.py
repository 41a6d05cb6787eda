"""The score of a classifier of ours, which reads the stored images that are an image's evidence."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from whence.attribution.graph.tape import as_part, is_recording
from whence.attribution.score import FunctionScore, StoredImages
from whence.attribution.target import Target, TargetLike, find_target
from whence.data.augment import to_float
from whence.evidence.active import order_active
from whence.memory import SIMILARITIES
from whence.memory.attention import at_least_float32, recall, weigh
from whence.memory.bank import Bank, take_images
from whence.memory.copies import mask_copies
from whence.memory.heads import MemoryHead
from whence.models.classifier import Classifier
from whence.models.sound import check_outputs


@dataclass(frozen=True, eq=False)
class ClassifierScore:
    """What a classifier says of B images, and what it read for that; on the model's device.

    Attributes:
        model: in eval mode; with a bank, unless it is a standard model.
        target: which of its logits is the score.
        rows: `(B,)` the numbers of the images that ``target`` knows them by.
        values: `(B,)` the score of the images as they are.
        answers: `(B,)` the classes that the images are put in.
        places: for each image `(A,)`, where its evidence stands in the bank, highest weight first.
        mask: `(B, M)` bool, False where a stored image is a copy of the image; None allows all.
        batch_size: images encoded at once.
    """

    model: Classifier
    target: Target
    rows: Tensor
    values: Tensor
    answers: Tensor
    places: tuple[Tensor, ...]
    mask: Tensor | None
    batch_size: int

    @property
    def bounded(self) -> bool:
        """Say that pixels run from 0 to 1."""
        return True

    @property
    def network(self) -> nn.Module:
        """Return the encoder, which images and stored images go through alike."""
        return self.model.encoder

    @property
    def stored(self) -> StoredImages | None:
        """Return what the bank keeps; None of a standard model.

        Raises:
            ValueError: if the bank was saved without pixels.
        """
        if not self.model.has_memory:
            return None
        bank = self.model.checked_bank()
        return StoredImages(stored_pixels(bank), bank.labels, self.mask, self.answers)

    @property
    def precision(self) -> torch.dtype:
        """Name the precision of pixels and relevance: the model's, float32 at least."""
        return torch.promote_types(self.model.mean.dtype, torch.float32)

    @property
    def counts(self) -> list[int]:
        """Count the evidence images of each image."""
        return [len(one) for one in self.places]

    @property
    def evidence(self) -> Tensor | None:
        """Return the pixels `(E, C, h, w)` of all evidence images; None of a standard model.

        Raises:
            ValueError: if the bank was saved without them.
        """
        if not self.model.has_memory:
            return None
        stored = stored_pixels(self.model.checked_bank())
        return self.pixels(take_images(stored, torch.cat(self.places)))

    def __call__(self, images: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Score variants `(B, C, H, W)` of the images, and `(E, C, h, w)` of their evidence.

        A moved evidence image is moved for the image whose evidence it is, and all weights are
        computed anew. With gradients on, what does not go through the encoder at once goes through
        it again on the way back, so that memory is bounded by ``batch_size``.

        Returns:
            `(B,)`.
        """
        queries = self.encode(images)
        if not self.model.has_memory:
            return self.target.of(self.model.head(queries), self.rows)
        return self.read(queries, None if evidence is None else self.encode(evidence))

    def pixels(self, images: Tensor) -> Tensor:
        """Bring images `(B, C, H, W)`, uint8 or in [0, 1], to floats in [0, 1]."""
        return to_float(images.detach().to(self.values.device)).to(self.precision)

    def take(self, rows: Tensor) -> "ClassifierScore":
        """Ask about the images at ``rows`` `(n,)` only, in that order; one may occur often."""
        rows = rows.to(self.rows.device)
        return replace(
            self,
            rows=self.rows[rows],
            values=self.values[rows],
            answers=self.answers[rows],
            places=tuple(self.places[row] for row in rows.tolist()),
            mask=None if self.mask is None else self.mask[rows],
        )

    def of_evidence(self, images: Tensor) -> FunctionScore | None:
        """Score variants of each evidence image alone; the images `(B, C, H, W)` stay as they are.

        Returns:
            A score of E images, in the order of ``evidence``; None of a standard model.
        """
        if not self.model.has_memory:
            return None
        with torch.no_grad():
            queries = self.encode(images)
        owners = torch.arange(len(queries)).repeat_interleave(torch.tensor(self.counts))
        places = torch.cat(self.places)

        def look(variants: Tensor, numbers: Tensor) -> Tensor:
            rows = owners[numbers]
            one = replace(self.take(rows), places=tuple(places[numbers.to(places.device), None]))
            return one.read(queries[rows.to(queries.device)], one.encode(variants))

        return FunctionScore(
            look,
            self.batch_size,
            network=self.network,
            bounded=True,
            values=self.values[owners.to(self.values.device)],
        )

    def read(self, queries: Tensor, moved: Tensor | None) -> Tensor:
        """Score queries `(B, D)` with their evidence where it is, or at `(E, D)`; `(B,)`."""
        bank = self.model.checked_bank()
        logits = read_moved(
            self.model.memory_head,
            queries,
            bank.features,
            bank.labels,
            self.places,
            moved,
            self.mask,
        )
        return self.target.of(logits, self.rows)

    def encode(self, images: Tensor) -> Tensor:
        """Encode `(n, C, H, W)` to `(n, D)`, a batch at a time."""
        parts, encode = images.split(self.batch_size), self.model.encode
        if len(parts) == 1:
            return encode(images)
        if torch.is_grad_enabled() and not is_recording():
            return torch.cat([checkpoint(encode, part, use_reentrant=False) for part in parts])
        return torch.cat([as_part(encode, part) for part in parts])


def score_classifier(
    model: Classifier, images: Tensor, target: TargetLike, *, batch_size: int
) -> ClassifierScore:
    """Classify images `(B, C, H, W)` with the bank, and make a target of the answers a score.

    Args:
        model: in eval mode.
        images: uint8 or float in [0, 1]. An image that is itself stored does not read itself.
        target: as for ``find_target``.
        batch_size: images encoded at once.
    """
    answers = [answer(model, batch) for batch in images.split(batch_size)]
    logits = torch.cat([one[0] for one in answers])
    found = find_target(target, logits, model.class_names)
    rows = torch.arange(len(images), device=logits.device)
    return ClassifierScore(
        model=model,
        target=found,
        rows=rows,
        values=found.of(logits, rows),
        answers=model.head.decide(logits),
        places=tuple(one for _, places, _ in answers for one in places),
        mask=join_masks([one[2] for one in answers], [len(one[0]) for one in answers]),
        batch_size=batch_size,
    )


def join_masks(masks: list[Tensor | None], sizes: list[int]) -> Tensor | None:
    """Join masks of batches, each `(n, M)` or None, which allows all."""
    known = [mask for mask in masks if mask is not None]
    if not known:
        return None
    parts = [
        known[0].new_ones((size, known[0].shape[1])) if mask is None else mask
        for mask, size in zip(masks, sizes, strict=True)
    ]
    return torch.cat(parts)


def answer(model: Classifier, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor | None]:
    """Classify images `(B, C, H, W)` with the bank, without a gradient.

    Returns:
        Logits `(B, K)`; for each image `(A,)` places in the bank, highest weight first; and
        `(B, M)` bool, False where a stored image is a copy of the image, None if none is.
    """
    with torch.no_grad():
        queries = model.encode(images)
        if not model.has_memory:
            logits = model.head(queries)
            check_outputs("logits", logits, model.head)
            nothing = torch.zeros(0, dtype=torch.int64, device=logits.device)
            return logits, (nothing,) * len(images), None
        bank = model.checked_bank()
        mask = mask_copies(bank, images)
        scale = bank.scale(model.memory_head.similarity)
        read = model.memory_head(queries, bank.features, mask, labels=bank.labels, scale=scale)
        check_outputs("logits", read.logits, model.head)
        return read.logits, order_active(read.weights, bank.indices), mask


def read_moved(
    head: MemoryHead,
    queries: Tensor,
    features: Tensor,
    labels: Tensor,
    places: tuple[Tensor, ...],
    moved: Tensor | None,
    mask: Tensor | None,
) -> Tensor:
    """Classify queries that each see some stored images elsewhere than they are.

    Args:
        head: its classifier and similarity.
        queries: `(B, D)`.
        features: `(M, D)` of the stored images as they are.
        labels: `(M,)` of them.
        places: for each query `(A,)`, the stored images that it sees elsewhere.
        moved: `(E, D)` their features as it sees them, query by query; None moves nothing.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.

    Returns:
        Logits `(B, K)`.
    """
    queries, features = at_least_float32(queries), at_least_float32(features)
    if moved is None:
        places, moved = (), queries[:0]
    moved = at_least_float32(moved)
    counts = torch.tensor([len(one) for one in places], dtype=torch.int64)
    owners = torch.arange(len(counts)).repeat_interleave(counts).to(queries.device)  # (E,)
    stored = torch.cat([owners[:0], *places])  # (E,)
    similarity = SIMILARITIES[head.similarity]
    with torch.autocast(queries.device.type, enabled=False):
        scores = similarity(*head.pair(queries, features, labels))  # (B, M)
        single = head.pair(queries[owners][:, None], moved[:, None], labels[stored][:, None])
        own = similarity(*single)[:, 0, 0]  # (E,)
        weights = weigh(scores.index_put((owners, stored), own), mask=mask)
        values = head.values(features, labels)  # (M, V)
        changes = head.values(moved, labels[stored]) - values[stored]
        changes = weights[owners, stored][:, None] * changes
        vectors = recall(weights, values).index_add(0, owners, changes)  # (B, V)
    return head.respond(queries, vectors)


def stored_pixels(bank: Bank) -> Tensor:
    """Return the bank's images `(M, C, H, W)`.

    Raises:
        ValueError: if it was saved without them.
    """
    if bank.images is None:
        raise ValueError(
            "The bank was saved without pixels, which the relevance of stored images needs; "
            "call model.remember(memory_images) again, or save the model with pixels."
        )
    return bank.images
