"""What becomes of an answer when a word is erased: its vector is set to 0."""

import torch
from torch import Tensor

from whence.shapes import check_shape
from whence.studies.parts.sentences.networks import AnswerVectors

ERASED_AT_ONCE = 1024


@torch.no_grad()
def erase_each_word(answer: AnswerVectors, vectors: Tensor, lengths: Tensor) -> Tensor:
    """Compute log probabilities without each word of B sentences, `(B, T, K)` float64, on the CPU.

    Li, Monroe and Jurafsky (2017), arXiv:1612.08220, section 4: the word's vector is set to 0.
    NaN after the end of a sentence, where there is no word.

    Args:
        answer: the network from its word vectors on.
        vectors: `(B, T, W)`, where the network is.
        lengths: `(B,)` words of each, on the CPU.
    """
    sizes = check_shape("vectors", vectors, "B T W")
    check_shape("lengths", lengths, "B", B=sizes["B"])
    places = torch.arange(sizes["T"])
    rows, gone = (places < lengths[:, None]).nonzero(as_tuple=True)  # (P,) words that are there
    parts = []
    for some, without in zip(rows.split(ERASED_AT_ONCE), gone.split(ERASED_AT_ONCE), strict=True):
        erased = (places == without[:, None])[..., None].to(vectors.device)
        left = vectors[some].masked_fill(erased, 0)
        parts.append(answer(left, lengths[some]).double())
    said = torch.cat(parts).cpu()  # (P, K)
    found = said.new_full((sizes["B"], sizes["T"], said.shape[1]), torch.nan)
    found[rows, gone] = said
    return found


def grow_losses(losses: Tensor, without: Tensor) -> Tensor:
    """Compute by which share losses grow when something is erased.

    Li et al. (2017), equation 1, with S the loss -log P: (S without - S) / S. In print the two
    terms stand the other way round; the published tables, where harm is positive and -1 the least
    that is possible, have them in this order.

    Args:
        losses: S, of any shape.
        without: S without the erased part, of the same shape.

    >>> grow_losses(torch.tensor([0.5]), torch.tensor([2.0]))
    tensor([3.])
    """
    return (without - losses) / losses.clamp_min(torch.finfo(losses.dtype).tiny)


def losses_of(log_probabilities: Tensor, labels: Tensor) -> Tensor:
    """Pick the losses of labels `(B,)` out of log probabilities `(B, ..., K)`; `(B, ...)`."""
    shape = (-1, *[1] * (log_probabilities.dim() - 1))
    chosen = labels.view(shape).expand(*log_probabilities.shape[:-1], 1)
    return -log_probabilities.gather(-1, chosen).squeeze(-1)
