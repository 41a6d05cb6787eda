"""Labels for images that have none: the model's own answers, where they are likely to be right."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.evidence.answers import Memory, answer, signals_of
from whence.messages import quote
from whence.models.calibration import error_probability
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating

TAKEN_BY = ("calibrated", "confidence")
"""What says how likely an answer is wrong: the calibrated probability, or 1 less the softmax's."""


class JudgedImages(NamedTuple):
    """A model's answers for `N` images without labels."""

    predicted: Tensor  # (N,) int64
    confidences: Tensor  # (N,) highest probability
    errors: Tensor | None  # (N,) calibrated probability of an error, None without a calibration


class PseudoLabels(NamedTuple):
    """Images that are taken up with the class that the model answers."""

    places: Tensor  # (n,) int64, rising
    labels: Tensor  # (n,) int64
    errors: Tensor  # (n,) probability that the label is wrong, as it was judged


def judge_unlabelled(
    model: Classifier, features: Tensor, *, batch_size: int = BATCH_SIZE
) -> JudgedImages:
    """Answer for images without labels, and say how likely each answer is wrong.

    Args:
        model: in eval mode, calibrated where the calibrated probability is to decide.
        features: `(N, E)` of the images, as the head compares them.
        batch_size: answers computed at once.
    """
    names = signals_of(model)
    nothing = torch.zeros(len(features), dtype=torch.int64, device=features.device)
    with evaluating(model):
        memory = Memory.of(model) if model.has_memory else None
        found = answer(model, features, nothing, memory, signals=names, batch_size=batch_size)
    probabilities = model.head.probabilities(found.logits)
    confidences = probabilities.gather(1, found.predicted[:, None]).squeeze(1).cpu()
    errors = None
    if model.calibration is not None:
        places = [names.index(name) for name in model.calibration.names]
        errors = error_probability(model.calibration, found.doubts[:, places]).cpu()
    return JudgedImages(found.predicted.cpu(), confidences, errors)


def choose_pseudo_labels(
    judged: JudgedImages, limit: float, *, by: str = "calibrated"
) -> PseudoLabels:
    """Take up the images whose answer is wrong with a probability of at most ``limit``.

    Pseudo-labels are by Lee (2013); that confidence decides which, by Sohn et al. (2020),
    arXiv:2001.07685. Here the probability of an error is the one that was calibrated.

    Args:
        judged: the answers.
        limit: in (0, 1).
        by: "calibrated", or "confidence", the softmax's.

    Raises:
        ValueError: if the limit does not fit, the model is not calibrated, or no image is taken.
    """
    if not 0 < limit < 1:
        raise ValueError(f"limit must be above 0 and below 1, got {limit}.")
    if by not in TAKEN_BY:
        raise ValueError(f"by must be one of {', '.join(TAKEN_BY)}, got {quote(by)}.")
    errors = 1 - judged.confidences.double() if by == "confidence" else judged.errors
    if errors is None:
        raise ValueError(
            "Pseudo-labels need a calibrated model, and this one has no calibration (it needs five "
            "wrong validation answers, and five right ones)."
        )
    places = (errors <= limit).nonzero().squeeze(1)
    if len(places) == 0:
        least = float(errors.min()) if len(errors) else 1.0
        raise ValueError(
            f"None of {len(errors):,} unlabelled images is taken up: each answer is wrong with "
            f"a probability above {limit:g} (least: {least:.3f}); raise the limit, or label some."
        )
    return PseudoLabels(places, judged.predicted[places], errors[places])
