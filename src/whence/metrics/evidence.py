"""Measures of the evidence: do the memory images that were read agree with answer and truth?"""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

from whence.records.measures import EvidenceMeasures
from whence.shapes import check_shape

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "explanation_accuracy": "top stored image in the predicted class",
        "example_accuracy": "right where it is",
        "counterfactual_accuracy": "right where it is not",
        "purity": "weight on stored images of the true class",
        "support_size": "stored images with weight, mean",
        "support_size_median": "stored images with weight, median",
    }
)
"""Every field of ``EvidenceMeasures``, and what a table calls it."""


def measure_evidence(
    hits: Tensor, agrees: Tensor, purity: Tensor | None = None, support: Tensor | None = None
) -> EvidenceMeasures:
    """Average over images what their evidence says.

    Args:
        hits: `(N,)` bool, the answer is right.
        agrees: `(N,)` bool, the model's own class for the top memory is the predicted class; or
            the chance that it is, in [0, 1], when the memory image is drawn. Then the accuracies
            are those expected of many draws.
        purity: `(N,)` weight on memory images whose label is the true class; None if not known.
        support: `(N,)` number of memory images with weight above 0.

    Raises:
        ValueError: if there are no images, or the shapes differ.

    >>> import torch
    >>> hits = torch.tensor([True, True, False, False])
    >>> found = measure_evidence(hits, torch.tensor([True, True, True, False]))
    >>> found.explanation_accuracy, found.example_accuracy, found.counterfactual_accuracy
    (0.75, 0.6666..., 0.0)
    """
    sizes = check_shape("hits", hits, "N")
    check_shape("agrees", agrees, "N", **sizes)
    if sizes["N"] == 0:
        raise ValueError("hits must hold at least one image, got none.")
    chance = agrees.double()
    for name, values in (("purity", purity), ("support", support)):
        if values is not None:
            check_shape(name, values, "N", **sizes)
    return EvidenceMeasures(
        explanation_accuracy=float(chance.mean()),
        example_accuracy=weighted_mean(hits, chance),
        counterfactual_accuracy=weighted_mean(hits, 1 - chance),
        purity=None if purity is None else float(purity.double().mean()),
        support_size=None if support is None else float(support.double().mean()),
        support_size_median=None if support is None else float(support.double().quantile(0.5)),
    )


def weighted_mean(hits: Tensor, weights: Tensor) -> float | None:
    """Average truth values `(N,)` by weight; None if all weights are 0."""
    total = float(weights.sum())
    return float((hits * weights).sum() / total) if total > 0 else None
