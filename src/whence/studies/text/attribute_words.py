"""Integrated Gradients of words, from sentences of which every word vector is 0."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.methods.integrated_gradients import integrated_gradients
from whence.attribution.score import FunctionScore
from whence.shapes import check_shape
from whence.studies.parts.sentences.networks import AnswerVectors


class WordRelevance(NamedTuple):
    """What words add to the probability of an answer, and what none explains; on the CPU."""

    relevance: Tensor  # (B, T), 0 after the end
    missed: Tensor  # (B,) of the change of the probability, at least 0
    start: Tensor  # (B,) the probability where all vectors are 0


def attribute_words(
    answer: AnswerVectors, vectors: Tensor, lengths: Tensor, classes: Tensor
) -> WordRelevance:
    """Divide the probability of a class over the words of a sentence.

    Sundararajan, Taly and Yan (2017), arXiv:1703.01365, section 6.3: the path leads from the
    sentence whose word vectors are all 0; a word's relevance is the sum over its vector. The points
    are those of ``integrated_gradients``.

    Args:
        answer: the network from its word vectors on.
        vectors: `(B, T, W)` of B sentences, where the network is.
        lengths: `(B,)` words of each, on the CPU.
        classes: `(B,)` whose probability is divided, on the CPU.
    """
    sizes = check_shape("vectors", vectors, "B T W")
    check_shape("lengths", lengths, "B", B=sizes["B"])
    check_shape("classes", classes, "B", B=sizes["B"])

    def score(variants: Tensor, rows: Tensor) -> Tensor:
        rows = rows.cpu()
        found = answer(variants.squeeze(1), lengths[rows])  # (n, K)
        own = classes[rows, None].to(found.device)
        return found.gather(1, own).squeeze(1).exp().to(vectors.dtype)

    vectors = vectors.detach()
    with torch.no_grad():
        rows = torch.arange(len(lengths))
        values = torch.cat([score(vectors[some][:, None], some) for some in rows.split(512)])
    asked = FunctionScore(score, values=values)
    zero = torch.zeros_like(vectors[:1])  # (1, T, W)
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no slopes outside training
        found = integrated_gradients(asked, vectors[:, None], baseline=zero)
    relevance = found.images.sum((1, 3)).cpu()  # (B, T)
    start = (torch.zeros_like(values) if found.start is None else found.start).cpu()
    missed = (values.cpu() - start).double() - relevance.double().sum(1)
    return WordRelevance(relevance, missed.abs().float(), start)
