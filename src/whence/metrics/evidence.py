"""Measures of the evidence: do the memory images that were read agree with answer and truth?"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from whence.shapes import check_shape


@dataclass(frozen=True)
class EvidenceMeasures:
    """What the memory images that were read say of a set of answers.

    The first three are of La Rosa et al. (2021), section 4.3 and A.8. Fractions in [0, 1].

    Attributes:
        explanation_accuracy: how often the model puts the memory image of highest weight in the
            class that it predicts for the image; higher is better.
        example_accuracy: accuracy on those images; None if there are none.
        counterfactual_accuracy: accuracy on the others, whose top memory is a counterfactual;
            None if there are none. Far below example_accuracy means that a counterfactual on top
            warns of an error.
        purity: mean weight on memory images whose label is the true class of the image; higher is
            better; None when labels of memory images are not known.
        support_size: mean number of memory images with weight above 0; fewer are easier to look at.
        support_size_median: the same, median (of the two in the middle, their mean). Both are None
            where one image takes the place of the evidence.
    """

    explanation_accuracy: float
    example_accuracy: float | None
    counterfactual_accuracy: float | None
    purity: float | None = None
    support_size: float | None = None
    support_size_median: float | None = None


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
