"""How well a signal of doubt finds the wrong answers."""

import math

import torch
from torch import Tensor

from whence.records.measures import FlagQuality
from whence.shapes import check_shape

BINS = 15
COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


def measure_flag(doubts: Tensor, errors: Tensor, *, probability: bool) -> FlagQuality:
    """Measure how well a signal finds the wrong answers.

    Args:
        doubts: `(N,)`, larger = more doubtful.
        errors: `(N,)` bool, the answer is wrong.
        probability: the signal is a probability of error, so that its calibration counts.

    Raises:
        ValueError: if there are no images, or a doubt is not finite.
    """
    risks = risk_curve(doubts, errors)
    return FlagQuality(
        auroc=auroc(doubts, errors),
        ece=expected_calibration_error(doubts, errors) if probability else None,
        aurc=float(risks.mean()),
        risk_coverage={share: risk_at(risks, share) for share in COVERAGES},
    )


def auroc(doubts: Tensor, errors: Tensor) -> float | None:
    """Compute the area under the ROC curve of a signal for errors; higher is better.

    Ties count half.

    Args:
        doubts: `(N,)`, larger = more doubtful.
        errors: `(N,)` bool, the answer is wrong.

    Returns:
        In [0, 1]; None when all answers are right, or all wrong.

    >>> auroc(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([False, True, False]))
    1.0
    """
    check_judged(doubts, errors)
    if bool(errors.all()) or not bool(errors.any()):
        return None
    from sklearn.metrics import roc_auc_score  # takes a second, and most answers never need it

    return float(roc_auc_score(errors.cpu().numpy(), doubts.double().cpu().numpy()))


def expected_calibration_error(probabilities: Tensor, errors: Tensor) -> float:
    """Compare probabilities of error with how often errors came; lower is better.

    Guo et al. (2017), arXiv:1706.04599, equation 3: the gap between the mean probability and the
    share of errors in each of 15 bins of equal width, weighted by the images in it. A probability
    on an edge goes to the upper bin, which is the paper's rule for the confidence ``1 - p``.

    Args:
        probabilities: `(N,)` of error, in [0, 1].
        errors: `(N,)` bool, the answer is wrong.

    Returns:
        In [0, 1].

    Raises:
        ValueError: if a probability lies outside [0, 1].

    >>> round(expected_calibration_error(torch.tensor([0.0, 0.5]), torch.tensor([True, True])), 4)
    0.75
    """
    check_judged(probabilities, errors)
    low, high = float(probabilities.min()), float(probabilities.max())
    if low < 0 or high > 1:
        raise ValueError(f"probabilities must be in [0, 1], got {low} to {high}.")
    values = probabilities.double()
    places = (values * BINS).floor().long().clamp(max=BINS - 1)
    gaps = torch.zeros(BINS, dtype=values.dtype, device=values.device)
    gaps.index_add_(0, places, values - errors.double())
    return float(gaps.abs().sum() / len(values))


def risk_curve(doubts: Tensor, errors: Tensor) -> Tensor:
    """Compute the error rate among the 1, 2, ..., N least doubtful images; lower is better.

    Geifman and El-Yaniv (2017), arXiv:1705.08500, equation 1, for every number of images kept.
    Images that are equally doubtful are kept in every order alike: the value is the mean over
    those orders, so that the order of the images plays no part. The mean of the curve is AURC.

    Args:
        doubts: `(N,)`, larger = more doubtful.
        errors: `(N,)` bool, the answer is wrong.

    Returns:
        `(N,)` float64 on the CPU.

    >>> risk_curve(torch.tensor([0.1, 0.2, 0.2]), torch.tensor([False, True, False]))
    tensor([0.0000, 0.2500, 0.3333], dtype=torch.float64)
    """
    check_judged(doubts, errors)
    _, groups, sizes = doubts.cpu().unique(return_inverse=True, return_counts=True)
    wrong = torch.zeros(len(sizes), dtype=torch.float64)
    wrong.index_add_(0, groups, errors.cpu().double())
    ends, before = sizes.cumsum(0), wrong.cumsum(0) - wrong
    kept = torch.arange(1, len(doubts) + 1)
    group = torch.searchsorted(ends, kept)  # (N,) in which group the last image kept is
    share = (kept - (ends - sizes)[group]).double() / sizes[group]
    risks: Tensor = (before[group] + share * wrong[group]) / kept
    return risks


def risk_at(risks: Tensor, coverage: float) -> float:
    """Read a risk curve `(N,)` where at least a share ``coverage`` of the images is kept.

    >>> risk_at(torch.tensor([0.0, 0.25, 0.5]), 0.5)
    0.25
    """
    kept = math.ceil(coverage * len(risks))
    return float(risks[max(kept, 1) - 1])


def check_judged(doubts: Tensor, errors: Tensor) -> None:
    """Refuse shapes, types and values that cannot be measured."""
    sizes = check_shape("doubts", doubts, "N")
    check_shape("errors", errors, "N", **sizes)
    if errors.dtype != torch.bool:
        raise TypeError(f"errors must be bool, True where the answer is wrong, got {errors.dtype}.")
    if sizes["N"] == 0:
        raise ValueError("doubts must be of at least one image, got none.")
    if not bool(torch.isfinite(doubts).all()):
        raise ValueError("doubts must be finite numbers, got NaN or infinity.")
