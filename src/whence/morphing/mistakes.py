"""Wrongly classified images: from the right label to the prediction (figures 5.5 and 5.10)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.as_images import as_images
from whence.models.classifier import Classifier
from whence.morphing.answers import classify_images
from whence.records.labels import read_labels
from whence.records.show import show_record


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes:
    """Images that are classified wrongly; on the CPU.

    The way goes from an image of the right label, which is other, to self: what made the classifier
    leave the right label.

    Attributes:
        rows: `(b,)` int64 which of the images they are, in order.
        classes: `(b, 2)` the prediction, which is the class of self, and the right label.
        probabilities: `(b, 2)` of these two classes, among all.
    """

    rows: Tensor
    classes: Tensor
    probabilities: Tensor

    __repr__ = show_record

    def __len__(self) -> int:
        return len(self.rows)


def find_mistakes(
    model: Classifier, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Mistakes:
    """Find the images that a classifier puts in another class than their label.

    Morph them with ``to=mistakes.classes[:, 1]``.

    Args:
        model: any classifier, with its bank if it has a memory; an image that is in the bank is
            classified with itself left out.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        labels: `(B,)` the right classes.
        batch_size: how many at once.

    Raises:
        ValueError: if shapes do not fit, or a label is out of range.
    """
    asked = as_images(images, model)
    right = read_labels(labels, model.class_names, len(asked)).cpu()
    logits = classify_images(model, asked, batch_size=batch_size).cpu()
    classes = torch.stack([logits.argmax(1), right], 1)  # (B, 2)
    rows = (classes[:, 0] != classes[:, 1]).nonzero().squeeze(1)
    probabilities = logits.softmax(1).gather(1, classes)
    return Mistakes(rows, classes[rows], probabilities[rows])
