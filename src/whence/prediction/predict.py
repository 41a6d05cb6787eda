"""Answers with the stored images they were computed from."""

from torch import Tensor

from whence.memory.bank import Bank
from whence.memory.copies import mask_copies
from whence.memory.wrap import Read
from whence.prediction.model import Classifier, evaluating
from whence.records import Evidence, Prediction
from whence.shapes import check_batch_size


def predict(model: Classifier, images: Tensor, *, batch_size: int = 128) -> tuple[Prediction, ...]:
    """Classify images with the model's bank.

    A stored image that is the very image asked about (same content hash) is left out for it.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        batch_size: how many are encoded at once; changes memory use, not the result.

    Returns:
        One prediction per image.

    Raises:
        RuntimeError: if the model has no bank that fits it.
    """
    check_batch_size(batch_size)
    answers: list[Prediction] = []
    with evaluating(model):
        for batch in images.split(batch_size):
            if model.has_memory:
                bank = model.checked_bank()
                answers += explain_read(model.read(batch, mask=mask_copies(bank, batch)), bank)
            else:
                probabilities = model(batch).float().softmax(1).cpu()
                answers += [Prediction(int(row.argmax()), row, ()) for row in probabilities]
    return tuple(answers)


def explain_read(read: Read, bank: Bank) -> list[Prediction]:
    """Turn what the head returned for `B` images into records."""
    probabilities = read.logits.float().softmax(1).cpu()
    predicted = read.logits.argmax(1).tolist()
    rows, places = (read.weights > 0).nonzero(as_tuple=True)
    found: list[list[Evidence]] = [[] for _ in predicted]
    columns = zip(
        rows.tolist(),
        read.weights[rows, places].tolist(),
        read.scores[rows, places].tolist(),
        bank.indices[places].tolist(),
        bank.labels[places].tolist(),
        bank.predicted[places].tolist(),
        places.tolist(),
        strict=True,
    )
    for row, weight, similarity, index, label, own, place in columns:
        found[row].append(
            Evidence(
                index=index,
                label=None if label < 0 else label,
                predicted=own,
                weight=weight,
                similarity=similarity,
                role="example" if own == predicted[row] else "counterfactual",
                source=None if bank.sources is None else bank.sources[place],
            )
        )
    for evidence in found:
        evidence.sort(key=lambda item: (-item.weight, item.index))
    return [
        Prediction(answer, row, tuple(evidence))
        for answer, row, evidence in zip(predicted, probabilities, found, strict=True)
    ]
