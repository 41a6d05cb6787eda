"""The answers that heatmaps explain, and the state that they are made in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from whence.evidence.active import order_active
from whence.memory.bank import Bank
from whence.memory.copies import mask_copies
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.sound import check_outputs
from whence.models.using import check_images
from whence.shapes import check_batch_size


class Answer(NamedTuple):
    """Answers for B images, on the model's device."""

    classes: Tensor  # (B,) predicted
    logits: Tensor  # (B,) of the predicted class
    evidence: tuple[Tensor, ...]  # B times (A,) places in the bank, highest weight first
    mask: Tensor | None  # (B, M) bool, False where a stored image is a copy of the input


def answer(model: Classifier, images: Tensor) -> Answer:
    """Classify images `(B, C, H, W)` with the bank, without a gradient."""
    with torch.no_grad():
        queries = model.encode(images)
        if not model.has_memory:
            everything = model.head(queries)
            check_outputs("logits", everything, model.head)
            logits, classes = everything.max(1)
            nothing = torch.zeros(0, dtype=torch.int64, device=classes.device)
            return Answer(classes, logits, (nothing,) * len(images), None)
        bank = model.checked_bank()
        mask = mask_copies(bank, images)
        scale = bank.scale(model.memory_head.similarity)
        read = model.memory_head(queries, bank.features, mask, scale=scale)
        check_outputs("logits", read.logits, model.head)
        logits, classes = read.logits.max(1)
        return Answer(classes, logits, order_active(read.weights, bank.indices), mask)


@contextmanager
def differentiating(model: Classifier) -> Iterator[None]:
    """Switch gradients on for a model that must be in eval mode.

    Raises:
        RuntimeError: if the model is in training mode.
    """
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        yield


def check_request(model: Classifier, images: Tensor, batch_size: int) -> None:
    """Refuse images of another shape, no image at all, and a batch size below 1.

    Raises:
        ValueError: with what came.
    """
    check_images(model, images)
    check_batch_size(batch_size)
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none.")


def stored_pixels(bank: Bank) -> Tensor:
    """Return the bank's images `(M, C, H, W)`.

    Raises:
        ValueError: if it was saved without them.
    """
    if bank.images is None:
        raise ValueError(
            "The bank was saved without pixels, which heatmaps on stored images need; "
            "call model.remember(memory_images) again, or save the model with pixels."
        )
    return bank.images


def precision(model: Classifier) -> torch.dtype:
    """Name the precision of pixels and maps: the model's, float32 at least."""
    return torch.promote_types(model.mean.dtype, torch.float32)
