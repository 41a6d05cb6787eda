"""Fit the probability of an error on validation images."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.fingerprint import content_hashes
from whence.evidence.answers import Memory, answer, signals_of
from whence.evidence.known import is_known
from whence.evidence.out_of_fold import Judged
from whence.kinds import check_arguments
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.calibration import prepare
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.using import encode_unless_known
from whence.records.measures import Calibration

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

LEAST = 5
"""Wrong answers, and right ones, that a calibration needs."""

PER_SIGNAL = 10
"""Wrong answers, and right ones, that each signal after the first needs (Peduzzi et al. 1996)."""

NOISE = 1e-6
"""A signal that varies less, relative to its mean, does not vary: it comes from float32."""


@check_arguments
def calibrate(
    model: Classifier,
    images: LabelledImages,
    *,
    batch_size: int = BATCH_SIZE,
    features: Tensor | None = None,
    more: Judged | None = None,
) -> Calibration | None:
    """Fit the probability that an answer is wrong, from signals of doubt.

    Set ``model.calibration`` to the result. Use images that the model was not trained on; images
    that are in its memory (same pixels) are left out.

    Args:
        model: with a bank, unless it is a standard model.
        images: validation images, labelled: an ``ImageSet``, (X, y), or a data set of
            (image, label) such as torchvision's ``ImageFolder``.
        batch_size: images encoded at once; changes memory use, not the result.
        features: `(N, D)` the images encoded by this model, if that was done already.
        more: answers for other images that a model like this one was not trained on, from
            ``answer_out_of_fold``; they count as those for validation images.

    Returns:
        None when fewer than five answers are wrong, or fewer than five right.

    Raises:
        ValueError: if there are no images, or the signals are not finite.
        RuntimeError: if the model has no bank that fits it.
    """
    held_out = as_image_set(images, model)
    if len(held_out) == 0:
        raise ValueError("images must hold at least one image to calibrate on, got none.")
    with evaluating(model):
        memory = Memory.of(model) if model.has_memory else None
        features = encode_unless_known(model, held_out.images, features, batch_size=batch_size)
        labels, names = held_out.labels.to(features.device), signals_of(model)
        if model.bank is not None:
            known = is_known(content_hashes(held_out.images), {"memory": model.bank.places})
            new = [place for place, one in enumerate(known) if not one]
            features, labels = features[new], labels[new]
        if len(labels) == 0:
            return None
        found = answer(model, features, labels, memory, signals=names, batch_size=batch_size)
    doubts, wrong = found.doubts, found.predicted != labels
    if more is not None:
        doubts, wrong = torch.cat([doubts, more.doubts]), torch.cat([wrong, more.wrong])
    return fit_calibration(doubts, wrong, names)


def fit_calibration(signals: Tensor, errors: Tensor, names: tuple[str, ...]) -> Calibration | None:
    """Fit a logistic regression of errors on signals.

    The signals are prepared (log-odds and logs) and standardised;
    the squared coefficients are penalised (scikit-learn's C = 1). The rarer of wrong and right
    answers limits what can be learnt: the first signal is taken alone while there are fewer than
    20 of them, and at most one more for every 10. Of these, as few are taken, from the first on,
    as make errors in a fifth of the images nearly likeliest when fitted on the others. Measured on
    FashionMNIST and CIFAR-10 (1,000 training images): with 5 errors the first signal alone halves
    the calibration error of the softmax at least and keeps its AUROC, all seven lose 0.03 to 0.06
    of it; below 5 the slope is often of the wrong sign. A signal that never changes, but for
    rounding, gets the coefficient 0.

    Args:
        signals: `(N, S)`, a column per name.
        errors: `(N,)` bool, the answer is wrong.
        names: of the signals, the most important first.

    Returns:
        None with fewer than ``LEAST`` errors or right answers.

    Raises:
        ValueError: if a signal is not finite.
    """
    wrong = int(errors.sum())
    if min(wrong, len(errors) - wrong) < LEAST:
        return None
    most = max(1, min(wrong, len(errors) - wrong) // PER_SIGNAL)
    names = names[:most]
    values = prepare(signals[:, : len(names)], names).cpu()
    if not bool(torch.isfinite(values).all()):
        raise ValueError("signals of doubt must be finite numbers, got NaN or infinity.")
    means, scales = values.mean(0), values.std(0, correction=0)
    scales = torch.where(scales > NOISE * (1 + means.abs()), scales, torch.inf)
    standardised = ((values - means) / scales).numpy()  # 0 for a signal that never changes
    truth = errors.cpu().numpy()
    count = choose_count(standardised, truth)
    found = build_regression().fit(standardised[:, :count], truth)
    names, means, scales = names[:count], means[:count], scales[:count]
    return Calibration(
        names=names,
        means=tuple(means.tolist()),
        scales=tuple(1.0 if math.isinf(scale) else scale for scale in scales.tolist()),
        coefficients=tuple(float(number) for number in found.coef_[0]),
        intercept=float(found.intercept_[0]),
        images=len(errors),
        errors=wrong,
    )


def choose_count(signals: NDArray[np.float64], errors: NDArray[np.bool_]) -> int:
    """Choose how many of the first signals to take: few that make held-out errors nearly likeliest.

    The fewest with which the loss is above the least one by no more than the standard error of that
    difference (Breiman et al. 1984, Classification and regression trees, 3.4.3).

    Args:
        signals: `(N, S)`, standardised.
        errors: `(N,)`, ``LEAST`` of them True and as many False at least.

    Returns:
        In 1 .. S.
    """
    if signals.shape[1] == 1:
        return 1
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(LEAST)
    losses = []
    for count in range(1, signals.shape[1] + 1):
        told = cross_val_predict(
            build_regression(), signals[:, :count], errors, cv=folds, method="predict_proba"
        )
        losses.append(-np.log(np.where(errors, told[:, 1], told[:, 0])))
    means = [float(loss.mean()) for loss in losses]
    best = losses[int(np.argmin(means))]
    for count, loss in enumerate(losses, 1):
        more = loss - best
        if more.mean() <= more.std() / math.sqrt(len(errors)):
            return count
    return len(losses)


def build_regression() -> "LogisticRegression":
    """Build the regression of a calibration; its penalty is scikit-learn's."""
    from sklearn.linear_model import LogisticRegression  # takes a second; reading needs none

    return LogisticRegression(C=1.0, tol=1e-8, max_iter=1000)
