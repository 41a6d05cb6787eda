"""Which stored image explains an answer, by five rules, and how well it stands for the image."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.shapes import check_shape


class Explained(NamedTuple):
    """What a model says of B asked images and of the M images of their memory.

    Attributes:
        logits: `(B, K)` of the asked images.
        hidden: `(B, Z)` what the last layer of the model reads of them.
        stored_logits: `(M, K)` of the stored images.
        stored_hidden: `(M, Z)`.
        last: `(K, Z)` the weights of the last layer; None of a model that ends in votes.
        weights: `(B, M)` of the stored images in the answers; None without a memory.
    """

    logits: Tensor
    hidden: Tensor
    stored_logits: Tensor
    stored_hidden: Tensor
    last: Tensor | None
    weights: Tensor | None


def order_by_choice(asked: Explained, generator: torch.Generator) -> dict[str, Tensor]:
    """Order the stored images for every asked image, by all rules that fit the model.

    "weight" is the model's own; "CHP" and "KNN*" are the twins of Kenny and Keane (2019, IJCAI):
    nearest by the contributions to the answered class, and nearest by what the last layer reads.

    Returns:
        By rule `(B, M)` numbers, lower goes first; infinite where an image cannot be chosen.
    """
    found = {}
    if asked.weights is not None:
        found["weight"] = torch.where(asked.weights > 0, -asked.weights, torch.inf)
    if asked.last is not None:
        own, stored = asked.logits.argmax(1), asked.stored_logits.argmax(1)
        found["CHP"] = torch.cdist(
            asked.last[own] * asked.hidden, asked.last[stored] * asked.stored_hidden
        )
    found["KNN*"] = torch.cdist(asked.hidden, asked.stored_hidden)
    found["random"] = torch.rand(
        (len(asked.logits), len(asked.stored_logits)), generator=generator
    ).to(asked.logits)
    return found


def choose_in_class(order: Tensor, allowed: Tensor) -> Tensor:
    """Choose the first allowed stored image for each asked image.

    Args:
        order: `(B, M)` lower goes first, infinite never.
        allowed: `(B, M)` bool.

    Returns:
        `(B,)` places, -1 where there is none.

    >>> order = torch.tensor([[0.1, 0.2], [torch.inf, 1.0]])
    >>> choose_in_class(order, torch.tensor([[False, True], [True, False]]))
    tensor([ 1, -1])
    """
    sizes = check_shape("order", order, "B M")
    check_shape("allowed", allowed, "B M", **sizes)
    best, places = order.masked_fill(~allowed, torch.inf).min(1)
    return places.masked_fill(best.isinf(), -1)


def input_difference(logits: Tensor, of_example: Tensor) -> Tensor:
    """Measure by how much the logits of an example differ, `(B,)` mean over the classes.

    The input non-representativeness of the authors' code (La Rosa et al. 2022): lower is better.

    Args:
        logits: `(B, K)` of the asked images.
        of_example: `(B, K)` of their examples.
    """
    check_shape("of_example", of_example, "B K", **check_shape("logits", logits, "B K"))
    return (logits - of_example).abs().mean(1)


def prediction_difference(logits: Tensor, of_example: Tensor) -> Tensor:
    """Measure how little an example says the answer, `(B,)` nats of cross-entropy.

    The prediction non-representativeness of the authors' code (La Rosa et al. 2022): lower is
    better. Arguments as for ``input_difference``.
    """
    check_shape("of_example", of_example, "B K", **check_shape("logits", logits, "B K"))
    return F.cross_entropy(of_example, logits.argmax(1), reduction="none")


def vote_of_active(weights: Tensor, classes: Tensor, total: int) -> Tensor:
    """Answer with the class of most stored images whose weight is above 0.

    Args:
        weights: `(B, M)`.
        classes: `(M,)` of the stored images: their labels, or what the model calls them.
        total: K.

    Returns:
        `(B,)` classes; the lowest of those that are equally frequent.
    """
    counts = (weights > 0).to(weights.dtype) @ F.one_hot(classes, total).to(weights.dtype)
    return counts.argmax(1)
