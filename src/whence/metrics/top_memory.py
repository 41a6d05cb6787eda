"""What the memory image of highest weight says about an answer."""

from dataclasses import dataclass

from torch import Tensor

from whence.shapes import check_shape


@dataclass(frozen=True)
class TopMemory:
    """Fractions in [0, 1] over a set of images (La Rosa et al. 2021, section 4.3 and A.8).

    Attributes:
        explanation_accuracy: how often the model puts the memory image of highest weight in the
            class that it predicts for the image; higher is better.
        example_accuracy: accuracy on those images; None if there are none.
        counterfactual_accuracy: accuracy on the others, whose top memory is a counterfactual;
            None if there are none. Far below example_accuracy means that a counterfactual on top
            warns of an error.
    """

    explanation_accuracy: float
    example_accuracy: float | None
    counterfactual_accuracy: float | None


def measure_top_memory(hits: Tensor, agrees: Tensor) -> TopMemory:
    """Split accuracy by whether the top memory agrees with the answer.

    Args:
        hits: `(N,)` bool, the answer is right.
        agrees: `(N,)` bool, the model's own class for the top memory is the predicted class.

    Raises:
        ValueError: if there are no images.

    >>> import torch
    >>> hits = torch.tensor([True, True, False, False])
    >>> measure_top_memory(hits, torch.tensor([True, True, True, False]))
    TopMemory(explanation_accuracy=0.75, example_accuracy=0.6666..., counterfactual_accuracy=0.0)
    """
    sizes = check_shape("hits", hits, "N")
    check_shape("agrees", agrees, "N", **sizes)
    if sizes["N"] == 0:
        raise ValueError("hits must hold at least one image, got none.")
    return TopMemory(
        explanation_accuracy=float(agrees.double().mean()),
        example_accuracy=share(hits[agrees]),
        counterfactual_accuracy=share(hits[~agrees]),
    )


def share(hits: Tensor) -> float | None:
    """Average truth values; None if there are none."""
    return float(hits.double().mean()) if len(hits) else None
