"""Answers with the stored images they were computed from."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict

from torch import Tensor

from whence.data.as_images import Images, as_images
from whence.memory.attend import Pairs, attend
from whence.memory.bank import Bank
from whence.memory.copies import mask_copies
from whence.memory.heads import Read
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
                probabilities = model(batch).float().softmax(1).cpu()
                answers += [Prediction(int(row.argmax()), row, (), None) for row in probabilities]
    return tuple(answers)


def answer_batch(model: Classifier, images: Tensor) -> list[Prediction]:
    """Classify one batch with the bank of a model in eval mode."""
    bank, head = model.checked_bank(), model.memory_head
    queries = model.encode(images)
    found = attend(
        queries,
        bank.features,
        similarity=head.similarity,
        mask=mask_copies(bank, images),
        scale=bank.scale(head.similarity),
    )
    logits = head.respond(queries, found.vectors)
    check_outputs("logits", logits, model)
    return explain_pairs(logits, found.pairs, bank)


def explain_read(read: Read, bank: Bank) -> list[Prediction]:
    """Turn what the head returned for `B` images into records."""
    rows, places = (read.weights > 0).nonzero(as_tuple=True)
    return explain_pairs(
        read.logits,
        Pairs(rows, places, read.weights[rows, places], read.scores[rows, places]),
        bank,
    )


def explain_pairs(logits: Tensor, pairs: Pairs, bank: Bank) -> list[Prediction]:
    """Turn logits `(B, K)` and the stored images with a weight into records."""
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
                **asdict(stored),
                weight=weight,
                similarity=similarity,
                role="example" if stored.predicted == predicted[row] else "counterfactual",
            )
        )
    for evidence in found:
        evidence.sort(key=lambda item: (-item.weight, item.index))
    return [
        Prediction(answer, row, tuple(evidence), find_similarity_threshold(evidence))
        for answer, row, evidence in zip(predicted, probabilities, found, strict=True)
    ]


def find_similarity_threshold(evidence: Sequence[Evidence]) -> float:
    """Find the similarity from which on stored images got a weight in an answer.

    Sparsemax takes one number off all similarities and keeps what is above 0 (Martins and Astudillo
    2016, arXiv:1602.02068, equation 2), so the weights of the evidence say what that number was.
    """
    return statistics.fmean(item.similarity - item.weight for item in evidence)
