"""How likely an answer is wrong: a calibration fitted on validation images, and its use."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from whence.records.measures import Calibration
from whence.shapes import check_shape

LEAST_DISTANCE = 1e-5
"""Added to distances in [0, 2]."""

TINY = 1e-9
"""Keeps log-odds and logs finite where an answer is as sure as can be."""


def log_odds(probabilities: Tensor) -> Tensor:
    """Turn probabilities into log-odds; a linear layer on them can undo over-confidence."""
    found: Tensor = torch.special.logit(probabilities, eps=TINY)
    return found


def log(values: Tensor) -> Tensor:
    """Take the natural logarithm of numbers of at least 0."""
    return values.clamp(min=TINY).log()


def log_distance(values: Tensor) -> Tensor:
    """Take the logarithm of distances, none of which counts as less than ``LEAST_DISTANCE``."""
    return (values.clamp(min=0) + LEAST_DISTANCE).log()


PREPARED: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "softmax": log_odds,
        "soft_votes": log_odds,
        "entropy": log,
        "support": log,
        "key_distance": log_distance,
    }
)
"""Signals that spread over orders of magnitude; the others enter the regression as they are."""


def prepare(signals: Tensor, names: tuple[str, ...]) -> Tensor:
    """Bring signals `(B, S)` to a scale on which the log-odds of an error are nearly linear."""
    columns = [
        PREPARED[name](column) if name in PREPARED else column
        for name, column in zip(names, signals.double().unbind(1), strict=True)
    ]
    return torch.stack(columns, 1)


def error_probability(calibration: Calibration, signals: Tensor) -> Tensor:
    """Compute the calibrated probability that each answer is wrong.

    Args:
        calibration: of the model that gave the answers.
        signals: `(B, S)`, a column per name of the calibration, as ``measure_doubts`` gives them.

    Returns:
        `(B,)` float64 in [0, 1].

    Raises:
        ValueError: if the columns do not fit.

    >>> half = Calibration(("nearest",), (0.0,), (1.0,), (2.0,), 0.0, images=50, errors=9)
    >>> error_probability(half, torch.tensor([[0.0], [-1.0]]))
    tensor([0.5000, 0.1192], dtype=torch.float64)
    """
    check_shape("signals", signals, "B S", S=len(calibration.names))
    means, scales, coefficients = (
        torch.tensor(numbers, dtype=torch.float64, device=signals.device)
        for numbers in (calibration.means, calibration.scales, calibration.coefficients)
    )
    standardised = (prepare(signals, calibration.names) - means) / scales  # (B, S)
    return (standardised @ coefficients + calibration.intercept).sigmoid()
