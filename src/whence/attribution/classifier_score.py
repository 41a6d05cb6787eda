"""The score of a classifier of ours, which reads the stored images that are an image's evidence."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from whence.attribution.baseline_images import Baseline
from whence.attribution.graph.tape import as_part, is_recording
from whence.attribution.read_moved import read_moved
from whence.attribution.score import FunctionScore, StoredImages
from whence.attribution.target import Target, TargetLike, find_target
from whence.attribution.vote_odds import ComparedKeys, weigh_odds
from whence.data.augment import to_float
from whence.evidence.active import order_active
from whence.memory.bank import Bank, take_images
from whence.memory.copies import mask_copies
from whence.models.classifier import Classifier
from whence.models.sound import check_outputs
from whence.models.twin import make_twin


@dataclass(frozen=True, eq=False)
class ClassifierScore:
    """What a classifier says of B images, and what it read for that; on the model's device.

    Attributes:
        model: in eval mode; with a bank, unless it is a standard model.
        target: which of its logits is the score.
        rows: `(B,)` the numbers of the images that ``target`` knows them by.
        values: `(B,)` the score of the images as they are.
        answers: `(B,)` the classes that the images are put in.
        places: for each image `(A,)`, where its evidence stands in the bank, highest weight first;
            behind it what else ``sides`` compares with.
        mask: `(B, M)` bool, False where a stored image is a copy of the image; None allows all.
        batch_size: images encoded at once.
        sides: for each image `(A,)`, which of two classes each place speaks for, 1 or -1, 0 for
            neither: the score is then the log-odds of votes, in the place of ``target``; None for
            a target.
        twin: of the encoder, which images go through in its place; None for the encoder itself.
        alone: evidence is left out of what is explained; it is read as it is.
        encoded: evidence enters as features, and is explained no further than that.
    """

    model: Classifier
    target: Target
    rows: Tensor
    values: Tensor
    answers: Tensor
    places: tuple[Tensor, ...]
    mask: Tensor | None
    batch_size: int
    sides: tuple[Tensor, ...] | None = None
    twin: nn.Module | None = None
    alone: bool = False
    encoded: bool = False

    @property
    def bounded(self) -> bool:
        """Say that pixels run from 0 to 1."""
        return True

    @property
    def network(self) -> nn.Module:
        """Return the encoder, which images and stored images go through alike."""
        return self.model.encoder if self.twin is None else self.twin

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

        Where it enters as features, these `(E, D)`.

        Raises:
            ValueError: if the bank was saved without pixels.
        """
        if self.alone or not self.model.has_memory:
            return None
        bank, places = self.model.checked_bank(), torch.cat(self.places)
        if self.encoded:
            return bank.features[places]
        return self.pixels(take_images(stored_pixels(bank), places))

    def __call__(self, images: Tensor, evidence: Tensor | None = None) -> Tensor:
        """Score variants `(B, C, H, W)` of the images, and of their evidence as ``evidence`` is.

        A moved evidence image is moved for the image whose evidence it is, and all weights are
        computed anew. With gradients on, what does not go through the encoder at once goes through
        it again on the way back, so that memory is bounded by ``batch_size``.

        Returns:
            `(B,)`.
        """
        queries = self.encode(images)
        if not self.model.has_memory:
            return self.target.of(self.model.head(queries), self.rows)
        return self.read(queries, None if evidence is None else self.embed(evidence))

    def embed(self, evidence: Tensor) -> Tensor:
        """Bring what is like ``evidence`` to features `(E, D)`."""
        return evidence if self.encoded else self.encode(evidence)

    def begin_evidence(self, baseline: Baseline) -> Tensor | None:
        """Put what is like ``evidence`` where a path starts; None where there is nothing."""
        found = self.evidence
        if found is None or not self.encoded:
            return None if found is None else baseline(found)
        places, columns = torch.cat(self.places).unique(return_inverse=True)
        stored = take_images(stored_pixels(self.model.checked_bank()), places)
        with torch.no_grad():
            return self.encode(baseline(self.pixels(stored)))[columns]

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
            sides=None if self.sides is None else tuple(self.sides[row] for row in rows.tolist()),
        )

    def apart(self) -> "ClassifierScore":
        """Return the same score by a twin of the encoder."""
        return replace(self, twin=make_twin(self.model.encoder))

    def of_evidence(self, images: Tensor) -> FunctionScore | None:
        """Score variants of each evidence image alone; the images `(B, C, H, W)` stay as they are.

        Returns:
            A score of E images, in the order of ``evidence``; None of a standard model.
        """
        if not self.model.has_memory:
            return None
        with torch.no_grad():
            queries = self.encode(images)
        counts = torch.tensor(self.counts)
        owners = torch.arange(len(queries)).repeat_interleave(counts)
        columns = torch.cat([torch.arange(count) for count in self.counts])
        places = torch.cat(self.places)

        def look(variants: Tensor, numbers: Tensor) -> Tensor:
            rows, encoded = owners[numbers], self.encode(variants)
            one, asked = self.take(rows), queries[rows.to(queries.device)]
            if one.sides is None:
                one = replace(one, places=tuple(places[numbers.to(places.device), None]))
                return one.read(asked, encoded)
            firsts = counts[rows].cumsum(0) - counts[rows]
            at = (firsts + columns[numbers]).to(encoded.device)
            kept = self.model.checked_bank().features[torch.cat(one.places)]
            return one.read(asked, kept.to(encoded.dtype).index_put((at,), encoded))

        return FunctionScore(
            look,
            self.batch_size,
            network=self.network,
            bounded=True,
            values=self.values[owners.to(self.values.device)],
        )

    def with_values(self, values: Tensor) -> "ClassifierScore":
        """Say what the score `(B,)` of the images as they are is."""
        return replace(self, values=values)

    def read(self, queries: Tensor, moved: Tensor | None) -> Tensor:
        """Score queries `(B, D)` with their evidence where it is, or at `(E, D)`; `(B,)`."""
        bank = self.model.checked_bank()
        if self.sides is not None:
            places, sides = torch.cat(self.places), torch.cat(self.sides)
            keys = bank.features[places] if moved is None else moved
            head, labels = self.model.memory_head, bank.labels[places]
            return weigh_odds(head, queries, ComparedKeys(keys, labels, sides, self.counts))
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
        parts = images.split(self.batch_size)
        encode = self.model.encode if self.twin is None else self.encode_by_twin
        if len(parts) == 1:
            return encode(images)
        if torch.is_grad_enabled() and not is_recording():
            return torch.cat([checkpoint(encode, part, use_reentrant=False) for part in parts])
        return torch.cat([as_part(encode, part) for part in parts])

    def encode_by_twin(self, images: Tensor) -> Tensor:
        """Encode `(n, C, H, W)` to `(n, D)` as the model does."""
        features: Tensor = self.model.head.embed(self.network(self.model.normalise(images)))
        return features


class ReadAnswers(NamedTuple):
    """What a classifier answered for B images, without a gradient."""

    logits: Tensor  # (B, K)
    queries: Tensor  # (B, D)
    places: tuple[Tensor, ...]  # for each image (A,), where evidence is, highest weight first
    mask: Tensor | None  # (B, M) bool, False where a stored image is a copy; None allows all


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
    answered = answer_all(model, images, batch_size)
    found = find_target(target, answered.logits, model.class_names)
    rows = torch.arange(len(images), device=answered.logits.device)
    return ClassifierScore(
        model=model,
        target=found,
        rows=rows,
        values=found.of(answered.logits, rows),
        answers=model.head.decide(answered.logits),
        places=answered.places,
        mask=answered.mask,
        batch_size=batch_size,
    )


def answer_all(model: Classifier, images: Tensor, batch_size: int) -> ReadAnswers:
    """Classify images `(B, C, H, W)` with the bank, a batch at a time."""
    parts = [answer(model, batch) for batch in images.split(batch_size)]
    return ReadAnswers(
        torch.cat([one.logits for one in parts]),
        torch.cat([one.queries for one in parts]),
        tuple(places for one in parts for places in one.places),
        join_masks([one.mask for one in parts], [len(one.logits) for one in parts]),
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


def answer(model: Classifier, images: Tensor) -> ReadAnswers:
    """Classify images `(B, C, H, W)` with the bank, without a gradient."""
    with torch.no_grad():
        queries = model.encode(images)
        if not model.has_memory:
            logits = model.head(queries)
            check_outputs("logits", logits, model.head)
            nothing = torch.zeros(0, dtype=torch.int64, device=logits.device)
            return ReadAnswers(logits, queries, (nothing,) * len(images), None)
        bank = model.checked_bank()
        mask = mask_copies(bank, images)
        scale = bank.scale(model.memory_head.similarity)
        read = model.memory_head(queries, bank.features, mask, labels=bank.labels, scale=scale)
        check_outputs("logits", read.logits, model.head)
        places = order_active(read.weights, bank.indices)
        return ReadAnswers(read.logits, queries, places, mask)


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
