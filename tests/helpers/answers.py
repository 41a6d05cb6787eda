"""Answers written by hand."""

import torch

from whence.records.answers import Evidence, Prediction

NAMES = ("ant", "bee", "cow")


def make_answer(predicted, share, evidence=(), *, doubt=None):
    """An answer of three classes; evidence is (index, label, weight, file)."""
    probabilities = torch.full((3,), (1 - share) / 2)
    probabilities[predicted] = share
    items = tuple(
        Evidence(index, label, predicted, weight, 0.5, "example", file)
        for index, label, weight, file in evidence
    )
    return Prediction(predicted, probabilities, items, None, (), False, doubt)
