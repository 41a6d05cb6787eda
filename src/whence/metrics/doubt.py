"""Signs that an answer may be wrong: one number per image, larger = more doubtful.

Each function takes what the head returned, ``read``, and ``own`` `(M,)`, the class in which the
model itself puts each memory image, and returns `(B,)` float64. Where each answer looked at other
memory images, ``own`` is `(B, M)`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from whence.memory.class_scores import ClassScores
from whence.memory.heads import Read
from whence.metrics import SIGNALS, WITHOUT_MEMORY
from whence.shapes import check_shape

LARGEST_GAP = 1e4
"""Of scores, which are cosines times a sharpness of at most a hundred or so."""


def top_memory(read: Read, own: Tensor) -> Tensor:
    """Return 1 where the memory image of highest weight is a counterfactual, else 0.

    La Rosa et al. (2021), arXiv:2106.01440, section 4.3.
    """
    top = read.weights.argmax(1, keepdim=True)
    found = own.expand_as(read.weights).gather(1, top).squeeze(1)  # (B,)
    return (found != read.answers).double()


def softmax(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus the probability of the answer, the highest unless a threshold decides.

    Hendrycks and Gimpel (2017), arXiv:1610.02136. The other probabilities are summed, so that
    very sure answers do not all become 0.
    """
    probabilities = read.logits.double().softmax(1)
    return probabilities.scatter(1, read.answers[:, None], 0).sum(1)


def entropy(read: Read, own: Tensor) -> Tensor:
    """Return the entropy of the probabilities, in nats; in [0, log K]."""
    shares = read.logits.double().softmax(1)  # (B, K)
    smallest = torch.finfo(shares.dtype).tiny  # 0 log 0 is 0
    return -(shares * shares.clamp_min(smallest).log()).sum(1)


def nearest(read: Read, own: Tensor) -> Tensor:
    """Return minus the highest similarity: how far the nearest usable memory image is."""
    return -read.scores.amax(1).double()


def key_distance(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus the similarity of the nearest stored image, whatever its class counts."""
    return (1 - demand_classes(read.by_class).similarity.double()).clamp_min(0)


def soft_votes(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus what the answer has of the votes of all stored images, as in training.

    A softmax over all of them (Vinyals et al. 2016, arXiv:1606.04080), which still says something
    where the few images with a weight agree.
    """
    shares = demand_classes(read.by_class).summed.double().softmax(1)  # (B, K)
    return shares.scatter(1, read.answers[:, None], 0).sum(1)


def similarity_gap(read: Read, own: Tensor) -> Tensor:
    """Return the highest score of another class's stored image minus that of the answer's class.

    In scores; at most ``LARGEST_GAP`` away from 0, as where no other class has an image.
    """
    highest = demand_classes(read.by_class).highest.double()  # (B, K)
    best = highest.gather(1, read.answers[:, None]).squeeze(1)
    other = highest.scatter(1, read.answers[:, None], -torch.inf).amax(1)
    return (other - best).clamp(-LARGEST_GAP, LARGEST_GAP)


def demand_classes(by_class: ClassScores | None) -> ClassScores:
    """Return what the stored images of each class say.

    Raises:
        ValueError: if that was not read.
    """
    if by_class is None:
        raise ValueError("This signal is of votes, and they were not asked class by class.")
    return by_class


def class_mass(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus the weight on memory images that the model puts in the predicted class."""
    same = own == read.answers[:, None]  # (B, M)
    return leave((read.weights * same).sum(1))


def support(read: Read, own: Tensor) -> Tensor:
    """Return the number of memory images with weight above 0; in 1 .. M."""
    return (read.weights > 0).sum(1).double()


def top_weight(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus the highest weight."""
    return leave(read.weights.amax(1))


def leave(shares: Tensor) -> Tensor:
    """Subtract shares `(B,)` from 1, rounded to the six digits that a sum in float32 has.

    So an answer with all of its weight in one class is as doubtful as any other such answer.
    """
    return (1 - shares.double()).clamp(0, 1).round(decimals=6)


def measure_doubts(read: Read, own: Tensor, names: Sequence[str]) -> Tensor:
    """Compute several signals at once.

    Args:
        read: logits `(B, K)`, weights and scores `(B, M)`; M is 0 for a standard model
            (``read_alone`` makes such a read). Scores of memory images that may not be used are
            minus infinity.
        own: `(M,)` or `(B, M)` the model's own class for each memory image.
        names: from ``SIGNALS``.

    Returns:
        `(B, S)` float64, one column per name.

    Raises:
        ValueError: on an unknown name, shapes that do not fit, or a signal that needs a memory
            where there is none.

    >>> read = Read(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.75, 0.25]]), torch.ones(1, 2))
    >>> measure_doubts(read, torch.tensor([0, 1]), ("class_mass", "support", "top_memory"))
    tensor([[0.2500, 2.0000, 0.0000]], dtype=torch.float64)
    """
    sizes = check_shape("logits", read.logits, "B K")
    check_shape("weights", read.weights, "B M", B=sizes["B"])
    check_shape("scores", read.scores, "B M", B=sizes["B"], M=read.weights.shape[1])
    axes = "M" if own.ndim == 1 else "B M"
    check_shape("own", own, axes, B=sizes["B"], M=read.weights.shape[1])
    functions = [SIGNALS.find(name) for name in names]
    if read.weights.shape[1] == 0:
        for name in names:
            if name not in WITHOUT_MEMORY:
                raise ValueError(
                    f"{name} needs a memory, and a standard model has none; "
                    f"choose from: {', '.join(WITHOUT_MEMORY)}."
                )
    columns = [function(read, own) for function in functions]
    return torch.stack(columns, 1) if columns else read.logits.new_zeros(sizes["B"], 0).double()


def read_alone(logits: Tensor) -> Read:
    """Lay out the logits `(B, K)` of a standard model as a read of no memory at all."""
    nothing = logits.new_zeros(logits.shape[0], 0)  # len() would fix B in an exported graph
    return Read(logits, nothing, nothing)
