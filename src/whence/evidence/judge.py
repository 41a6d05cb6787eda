"""The probability that an answer is wrong, for answers that were just computed."""

from torch import Tensor

from whence.evidence.answers import add_class_scores
from whence.memory.attend import Pairs, lay_out
from whence.memory.heads import Read
from whence.metrics.doubt import measure_doubts
from whence.models.calibration import error_probability
from whence.models.classifier import Classifier


def judge(
    model: Classifier,
    read: Read,
    queries: Tensor,
    *,
    places: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor | None:
    """Say how likely each answer is wrong.

    Args:
        model: that gave the answers from its bank.
        read: of `B` images, `(B, M)` over the whole bank, the scores of stored images that may not
            be used minus infinity; ``read_alone(logits)`` of a standard model.
        queries: `(B, E)` of the images.
        places: `(B, M)` where in the bank the stored images stand that were looked at for each
            answer; None is the whole bank in its order.
        mask: `(B, M)` bool, True where a stored image of the bank may be used; None allows all.

    Returns:
        `(B,)` float64 in [0, 1]; None when the model is not calibrated as it is now.

    Raises:
        ValueError: if the read does not fit the bank.
    """
    calibration = model.calibration
    if calibration is None:
        return None
    if read.predicted is None:
        read = read._replace(predicted=model.head.decide(read.logits))
    own = read.answers[:0]
    if model.bank is not None:
        own = model.bank.predicted if places is None else model.bank.predicted[places]
        head, names = model.memory_head, calibration.names
        read = add_class_scores(read, head, queries, model.bank, names, mask)
    signals = measure_doubts(read, own, calibration.names)
    return error_probability(calibration, signals)


def judge_pairs(
    model: Classifier, logits: Tensor, pairs: Pairs, queries: Tensor, mask: Tensor | None
) -> Tensor | None:
    """Say how likely each of the answers with the logits `(B, K)` is wrong, `(B,)`, as ``judge``.

    Args:
        model: that gave the answers from its bank.
        logits: `(B, K)`.
        pairs: of the images and the stored ones that they read.
        queries: `(B, E)` of the images.
        mask: `(B, M)` bool, True where a stored image may be used; None allows all.
    """
    if model.calibration is None:
        return None
    places, weights, scores = lay_out(pairs, len(logits))
    return judge(model, Read(logits, weights, scores), queries, places=places, mask=mask)
