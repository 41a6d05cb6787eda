"""Logits of many images, a part at a time."""

import torch
from torch import Tensor

from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating


def ask_in_parts(model: Classifier, images: Tensor) -> Tensor:
    """Classify `(N, ...)` images in parts; `(N, K)` logits."""
    with evaluating(model):
        return torch.cat([model.logits(part) for part in images.split(512)])
