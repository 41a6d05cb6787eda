"""Divide training images into validation images and those that are trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from whence.data.stratify import stratified
from whence.seeds import make_generator
from whence.shapes import check_shape

LARGE = 20_000
"""Training sets of at least this many images follow the paper: plain random, 6,000 to validate."""

LARGE_VALIDATION = 6_000
SMALL_VALIDATION = 0.1


@dataclass(frozen=True)
class Split:
    """Positions in the training images of a dataset.

    Attributes:
        train: `(n,)` int64, the images to train on.
        validation: `(v,)` int64, none of them in ``train``.
    """

    train: Tensor
    validation: Tensor


def split(
    labels: Tensor,
    *,
    seed: int,
    train_examples: int | None = None,
    validation_examples: int | None = None,
) -> Split:
    """Draw the validation images of a seed, then its training images from the rest.

    Memory Wrap (La Rosa et al., 2021, arXiv:2106.01440, appendix A.1): 6,000 validation images,
    then 1,000, 2,000 or 5,000 training images, all drawn without regard to class. So it is for
    sets of at least 20,000 images. Smaller sets, which the paper does not have, give 10 % and
    are stratified: at least one validation image of every class that has two, while a class of
    one image keeps it for training; training images are then stratified too.

    The validation images of a seed are the same for every ``train_examples``.

    Args:
        labels: `(N,)` int64, of all training images.
        seed: the draw; the same seed gives the same split on every machine.
        train_examples: images to train on; None is all that the validation images leave.
        validation_examples: images to validate on; None is the number above.

    Raises:
        ValueError: if there are too few images, or a number is out of range.
    """
    total = check_shape("labels", labels, "N")["N"]
    labels = labels.cpu()
    _check_count("validation_examples", validation_examples, 0, total - 1)
    generator = make_generator(seed)
    if total >= LARGE:
        wanted = LARGE_VALIDATION if validation_examples is None else validation_examples
        order = torch.randperm(total, generator=generator)
        _check_count("train_examples", train_examples, 1, total - wanted)
        return Split(order[wanted:][:train_examples], order[:wanted])
    if validation_examples is None:
        spare = (labels.bincount() - 1).clamp_min(0)  # (K,) images a class can give
        wanted = max(int((spare > 0).sum()), round(SMALL_VALIDATION * total))
        validation_examples = min(wanted, int(spare.sum()))
    validation = stratified(labels, validation_examples, generator=generator)
    unused = torch.ones(total, dtype=torch.bool)
    unused[validation] = False
    rest = unused.nonzero().squeeze(1)
    rest = rest[torch.randperm(len(rest), generator=generator)]
    _check_count("train_examples", train_examples, 1, len(rest))
    if train_examples is None:
        return Split(rest, validation)
    train = stratified(labels[rest], train_examples, generator=generator, leave_one=False)
    return Split(rest[train], validation)


def _check_count(name: str, count: int | None, low: int, high: int) -> None:
    if count is not None and not low <= count <= high:
        raise ValueError(
            f"{name} must be from {low} to {high} for these images, got {count}; "
            "leave it out for the default."
        )
