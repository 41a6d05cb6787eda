"""Answers with the stored images they were computed from."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.evidence.judge import judge, judge_pairs
from whence.kinds import check_arguments
from whence.memory.attend import Pairs, attend
from whence.memory.bank import Bank
from whence.memory.copies import mask_copies
from whence.memory.heads import MemoryHead, Read
from whence.metrics.doubt import read_alone
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.sound import check_given_features, check_outputs
from whence.records.answer_pixels import AnswerPixels
from whence.records.answer_tuple import AnAnswer, AnswerTuple
from whence.records.answers import Evidence, Prediction
from whence.shapes import check_batch_size

KEPT_IMAGES = 1000
"""Images asked about at once that their answers hold on to; those of more are let go."""


@check_arguments
def predict(
    model: Classifier,
    images: Images,
    *,
    batch_size: int = BATCH_SIZE,
    features: Tensor | None = None,
) -> AnswerTuple[Prediction]:
    """Classify images with the model's bank.

    A stored image that is the very image asked about (same content hash) is left out for it.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1]; or arrays, PIL images, files, or a list of
            these. Files and PIL images are resized as those of a training folder are.
        batch_size: how many are encoded at once; changes memory use, not the result.
        features: `(B, E)` the images encoded by this model, if that was done already.

    Returns:
        One prediction per image; together they are a frame of pandas, too (``to_frame``).

    Raises:
        RuntimeError: if the model has no bank that fits it, or is in training mode.
        ValueError: if images are of another shape, or what comes out is not finite.
    """
    check_batch_size(batch_size)
    answers: list[Prediction] = []
    with evaluating(model):
        pixels = as_images(images, model)
        if features is not None:
            check_given_features("features", features, total=len(pixels), width=model.head.width)
        known = None if features is None else features.split(batch_size)
        for number, batch in enumerate(pixels.split(batch_size) if len(pixels) else ()):
            queries = model.encode(batch) if known is None else known[number]
            if model.has_memory:
                answers += answer_batch(model, batch, queries)
            else:
                answers += answer_without_memory(model, queries)
    return name_answers(model, pixels, answers)


def name_answers(
    model: Classifier, images: Tensor, answers: Sequence[AnAnswer]
) -> AnswerTuple[AnAnswer]:
    """Give answers to images `(B, C, H, W)` the names of their classes and the pixels behind them.

    Args:
        model: that answered.
        images: as the model takes them.
        answers: one per image.
    """
    bank, names = model.bank, model.class_names
    stored = None if bank is None else bank.images
    indices = None if bank is None else bank.indices.cpu()
    kept = images if len(images) <= KEPT_IMAGES else [None] * len(images)
    return AnswerTuple(
        replace(answer, class_names=names, seen=AnswerPixels(image, stored, indices))
        for answer, image in zip(answers, kept, strict=True)
    )


def answer_batch(model: Classifier, images: Tensor, queries: Tensor) -> list[Prediction]:
    """Classify one batch, encoded as queries `(B, E)`, with the bank of a model in eval mode."""
    bank, head = model.checked_bank(), model.memory_head
    mask = mask_copies(bank, images)
    asked, stored = head.pair(queries, bank.features, bank.labels)
    found = attend(
        asked,
        stored,
        similarity=head.similarity,
        mask=mask,
        scale=bank.scale(head.similarity),
        values=head.values(bank.features, bank.labels),
    )
    logits = head.respond(queries, found.vectors)
    check_outputs("logits", logits, model)
    errors = judge_pairs(model, logits, found.pairs, queries, mask)
    allowed = [None] * len(images) if mask is None else mask.cpu()
    left_out = [() if row is None else list_left_out(bank, ~row) for row in allowed]
    return explain_pairs(head, logits, found.pairs, bank, left_out, errors)


def answer_without_memory(model: Classifier, queries: Tensor) -> list[Prediction]:
    """Classify one encoded batch with a standard model; there is no evidence to show."""
    logits = model.head(queries)
    check_outputs("logits", logits, model)
    judged = judge(model, read_alone(logits), queries)
    errors = [None] * len(logits) if judged is None else judged.tolist()
    shares, decided = model.head.probabilities(logits).cpu(), model.head.decide(logits).tolist()
    return [
        Prediction(
            predicted=predicted,
            probabilities=row,
            evidence=(),
            threshold=None,
            left_out=(),
            flag=False,
            error_probability=error,
            decision=model.decision,
        )
        for predicted, row, error in zip(decided, shares, errors, strict=True)
    ]


def list_left_out(bank: Bank, copies: Tensor) -> tuple[int, ...]:
    """List the dataset indices of stored images that are copies, `(M,)` bool, ascending."""
    return tuple(sorted(bank.indices[copies.to(bank.indices.device)].tolist()))


def explain_read(
    head: MemoryHead,
    read: Read,
    bank: Bank,
    left_out: Sequence[tuple[int, ...]],
    errors: Tensor | None,
) -> list[Prediction]:
    """Turn what the head returned for `B` images into records."""
    rows, places = (read.weights > 0).nonzero(as_tuple=True)
    pairs = Pairs(rows, places, read.weights[rows, places], read.scores[rows, places])
    return explain_pairs(head, read.logits, pairs, bank, left_out, errors)


def explain_pairs(
    head: MemoryHead,
    logits: Tensor,
    pairs: Pairs,
    bank: Bank,
    left_out: Sequence[tuple[int, ...]],
    errors: Tensor | None,
) -> list[Prediction]:
    """Turn answers and the stored images with a weight into records.

    Args:
        head: that answered.
        logits: `(B, K)`.
        pairs: of the images and the stored ones that they read.
        bank: of the stored images.
        left_out: for each image the dataset indices of its copies.
        errors: `(B,)` the calibrated probability that each answer is wrong, or None.
    """
    answers, labels = head.decide(logits), bank.labels[pairs.places]
    similar = pairs._replace(scores=head.unscale(pairs.scores, labels))
    handicaps = head.handicaps_shown
    judged = [None] * len(answers) if errors is None else errors.tolist()
    return [
        Prediction(
            predicted=predicted,
            probabilities=row,
            evidence=evidence,
            threshold=threshold,
            left_out=copies,
            flag=evidence[0].role == "counterfactual",
            error_probability=error,
            by_label=head.reads_labels,
            decision=head.decision,
            handicaps=handicaps,
        )
        for predicted, row, evidence, threshold, copies, error in zip(
            answers.tolist(),
            head.probabilities(logits).cpu(),
            list_evidence(answers, similar, bank),
            head.unscale(find_score_thresholds(pairs, len(answers))).tolist(),
            left_out,
            judged,
            strict=True,
        )
    ]


def list_evidence(answers: Tensor, pairs: Pairs, bank: Bank) -> list[tuple[Evidence, ...]]:
    """List what each of the answers `(B,)` was computed from, by weight, then by index."""
    keys = (bank.indices[pairs.places], -pairs.weights, pairs.rows)  # the last one comes first
    order = torch.from_numpy(np.lexsort([key.cpu().numpy() for key in keys]))
    rows, places, weights, scores = (column[order.to(column.device)] for column in pairs)
    indices, labels, own, sources = bank.describe(places)
    same = (bank.predicted[places] == answers[rows]).tolist()
    roles = ["example" if alike else "counterfactual" for alike in same]
    items = map(Evidence, indices, labels, own, weights.tolist(), scores.tolist(), roles, sources)
    return [tuple(islice(items, count)) for count in rows.bincount(minlength=len(answers)).tolist()]


def find_score_thresholds(pairs: Pairs, queries: int) -> Tensor:
    """Find for each query the score from which on stored images got a weight; `(B,)` float64.

    Sparsemax takes one number off all scores and keeps what is above 0 (Martins and Astudillo
    2016, arXiv:1602.02068, equation 2), so the weights of the evidence say what that number was.
    """
    taken_off = pairs.scores.double() - pairs.weights.double()
    sums = taken_off.new_zeros(queries).index_add_(0, pairs.rows, taken_off)
    return sums / pairs.rows.bincount(minlength=queries)
