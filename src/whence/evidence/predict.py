"""Answers with the stored images they were computed from."""

import statistics
from collections.abc import Sequence

from torch import Tensor

from whence.data.as_images import Images, as_images
from whence.evidence.judge import judge
from whence.memory.attend import Pairs, attend, lay_out
from whence.memory.bank import Bank
from whence.memory.copies import mask_copies
from whence.memory.heads import Read
from whence.metrics.doubt import read_alone
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.sound import check_outputs
from whence.records.answers import Evidence, Prediction
from whence.shapes import check_batch_size


def predict(model: Classifier, images: Images, *, batch_size: int = 128) -> tuple[Prediction, ...]:
    """Classify images with the model's bank.

    A stored image that is the very image asked about (same content hash) is left out for it.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1]; or arrays, PIL images, files, or a list of
            these. Files and PIL images are resized as those of a training folder are.
        batch_size: how many are encoded at once; changes memory use, not the result.

    Returns:
        One prediction per image.

    Raises:
        RuntimeError: if the model has no bank that fits it, or is in training mode.
        ValueError: if images are of another shape, or what comes out is not finite.
    """
    check_batch_size(batch_size)
    answers: list[Prediction] = []
    with evaluating(model):
        for batch in as_images(images, model).split(batch_size):
            if model.has_memory:
                answers += answer_batch(model, batch)
            else:
                answers += answer_without_memory(model, batch)
    return tuple(answers)


def answer_batch(model: Classifier, images: Tensor) -> list[Prediction]:
    """Classify one batch with the bank of a model in eval mode."""
    bank, head = model.checked_bank(), model.memory_head
    queries, mask = model.encode(images), mask_copies(bank, images)
    found = attend(
        queries,
        bank.features,
        similarity=head.similarity,
        mask=mask,
        scale=bank.scale(head.similarity),
    )
    logits = head.respond(queries, found.vectors)
    check_outputs("logits", logits, model)
    places, weights, scores = lay_out(found.pairs, len(images))
    errors = judge(model, Read(logits, weights, scores), places)
    allowed = [None] * len(images) if mask is None else mask.cpu()
    left_out = [() if row is None else list_left_out(bank, ~row) for row in allowed]
    return explain_pairs(logits, found.pairs, bank, left_out, errors)


def answer_without_memory(model: Classifier, images: Tensor) -> list[Prediction]:
    """Classify one batch with a standard model; there is no evidence to show."""
    logits = model(images)
    judged = judge(model, read_alone(logits))
    errors = [None] * len(logits) if judged is None else judged.tolist()
    return [
        Prediction(
            predicted=int(row.argmax()),
            probabilities=row,
            evidence=(),
            threshold=None,
            left_out=(),
            flag=False,
            error_probability=error,
        )
        for row, error in zip(logits.float().softmax(1).cpu(), errors, strict=True)
    ]


def list_left_out(bank: Bank, copies: Tensor) -> tuple[int, ...]:
    """List the dataset indices of stored images that are copies, `(M,)` bool, ascending."""
    return tuple(sorted(bank.indices[copies.to(bank.indices.device)].tolist()))


def explain_read(
    read: Read, bank: Bank, left_out: Sequence[tuple[int, ...]], errors: Tensor | None
) -> list[Prediction]:
    """Turn what the head returned for `B` images into records."""
    rows, places = (read.weights > 0).nonzero(as_tuple=True)
    pairs = Pairs(rows, places, read.weights[rows, places], read.scores[rows, places])
    return explain_pairs(read.logits, pairs, bank, left_out, errors)


def explain_pairs(
    logits: Tensor,
    pairs: Pairs,
    bank: Bank,
    left_out: Sequence[tuple[int, ...]],
    errors: Tensor | None,
) -> list[Prediction]:
    """Turn answers and the stored images with a weight into records.

    Args:
        logits: `(B, K)`.
        pairs: of the images and the stored ones that they read.
        bank: of the stored images.
        left_out: for each image the dataset indices of its copies.
        errors: `(B,)` the calibrated probability that each answer is wrong, or None.
    """
    probabilities = logits.float().softmax(1).cpu()
    predicted = logits.argmax(1).tolist()
    found: list[list[Evidence]] = [[] for _ in predicted]
    columns = zip(
        pairs.rows.tolist(),
        pairs.weights.tolist(),
        pairs.scores.tolist(),
        bank.stored(pairs.places),
        strict=True,
    )
    for row, weight, similarity, stored in columns:
        found[row].append(
            Evidence(
                index=stored.index,
                label=stored.label,
                predicted=stored.predicted,
                source=stored.source,
                weight=weight,
                similarity=similarity,
                role="example" if stored.predicted == predicted[row] else "counterfactual",
            )
        )
    for evidence in found:
        evidence.sort(key=lambda item: (-item.weight, item.index))
    judged = [None] * len(predicted) if errors is None else errors.tolist()
    return [
        Prediction(
            predicted=answer,
            probabilities=row,
            evidence=tuple(evidence),
            threshold=find_similarity_threshold(evidence),
            left_out=copies,
            flag=evidence[0].role == "counterfactual",
            error_probability=error,
        )
        for answer, row, evidence, copies, error in zip(
            predicted, probabilities, found, left_out, judged, strict=True
        )
    ]


def find_similarity_threshold(evidence: Sequence[Evidence]) -> float:
    """Find the similarity from which on stored images got a weight in an answer.

    Sparsemax takes one number off all similarities and keeps what is above 0 (Martins and Astudillo
    2016, arXiv:1602.02068, equation 2), so the weights of the evidence say what that number was.
    """
    return statistics.fmean(item.similarity - item.weight for item in evidence)
