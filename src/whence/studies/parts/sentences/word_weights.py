"""What words say where they are only counted: a linear classifier of sentences."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from whence.studies.parts.sentences.vocabulary import PAD, UNKNOWN, Numbered


def fit_word_weights(sentences: Numbered, labels: Tensor, words: int) -> Tensor:
    """Fit a linear classifier to which words a sentence has; weights `(words, K)` for each class.

    scikit-learn's logistic regression. Of two classes the weights of the first are minus those of
    the second.

    Args:
        sentences: to learn from.
        labels: their classes.
        words: numbers of the vocabulary.
    """
    counts = count_words(sentences, words)
    weights = LogisticRegression(max_iter=1000).fit(counts, labels.numpy()).coef_
    if len(weights) == 1:
        weights = np.concatenate([-weights, weights])
    found = torch.from_numpy(np.ascontiguousarray(weights.T))
    found[[PAD, UNKNOWN]] = 0
    return found


def count_words(sentences: Numbered, words: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Note which words each sentence has, `(B, words)` bool."""
    found = torch.zeros(len(sentences.lengths), words, dtype=torch.bool)
    found.scatter_(1, sentences.numbers, value=True)
    return found.numpy()
