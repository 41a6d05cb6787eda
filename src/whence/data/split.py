"""Divide training images into validation images and those that are trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.data.group_draw import draw_groups
from whence.data.stratify import stratified
from whence.records.images import Marks
from whence.seeds import make_generator
from whence.shapes import check_shape

LARGE = 20_000
"""Training sets of at least this many images follow the paper: plain random, 6,000 to validate."""

LARGE_VALIDATION = 6_000
SMALL_VALIDATION = 0.1
NO_MARKS = Marks()


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
    marks: Marks = NO_MARKS,
    class_names: Sequence[str] = (),
) -> Split:
    """Draw the validation images of a seed, then its training images from the rest.

    Memory Wrap (La Rosa et al., 2021, arXiv:2106.01440, appendix A.1): 6,000 validation images,
    then 1,000, 2,000 or 5,000 training images, all drawn without regard to class. So it is for
    sets of at least 20,000 images. Smaller sets, which the paper does not have, give 10 % and
    are stratified: at least one validation image of every class that has two, while a class of
    one image keeps it for training; training images are then stratified too.

    The validation images of a seed are the same for every ``train_examples``.

    Where the data name validation images, these are taken. Of images in groups, whole groups are
    drawn that hold about as many images; where there is one group alone, it is divided.

    Args:
        labels: `(N,)` int64, of all training images.
        seed: the draw; the same seed gives the same split on every machine.
        train_examples: images to train on; None is all that the validation images leave.
        validation_examples: images to validate on; None is the number above.
        marks: what is known of the images besides.
        class_names: K names, for messages on groups.

    Raises:
        ValueError: if there are too few images, or a number is out of range, or the data name
            validation images already.
    """
    total = check_shape("labels", labels, "N")["N"]
    labels = labels.cpu()
    if marks.validation is not None:
        return split_as_given(labels, marks.validation, seed, train_examples, validation_examples)
    groups = find_groups(marks)
    if groups is not None:
        _check_count("validation_examples", validation_examples, 0, total - 1)
        wanted = validation_examples
        if wanted is None:
            wanted = LARGE_VALIDATION if total >= LARGE else round(SMALL_VALIDATION * total)
        drawn = labels.new_zeros(0)
        if wanted:
            names = class_names or [str(k) for k in range(int(labels.max()) + 1)]
            drawn = draw_groups(labels, groups, wanted, seed=seed, class_names=names)
        return split_as_given(labels, drawn, seed, train_examples, None)
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
    return draw_training(labels, validation, train_examples, generator)


def find_groups(marks: Marks) -> Tensor | None:
    """Return the groups `(N,)` that are not to be divided; None where there are not two of them."""
    groups = marks.groups
    return groups if groups is not None and len(groups.unique()) > 1 else None


def split_as_given(
    labels: Tensor,
    validation: Tensor,
    seed: int,
    train_examples: int | None,
    validation_examples: int | None,
) -> Split:
    """Draw training images from all but the validation images, which are given.

    Arguments as for ``split``, and the places `(v,)` of the validation images.
    """
    if validation_examples is not None and validation_examples != len(validation):
        raise ValueError(
            f"validation_examples cannot be chosen, the data name {len(validation):,} validation "
            f"images, got {validation_examples}; leave it out."
        )
    return draw_training(labels, validation, train_examples, make_generator(seed))


def draw_training(
    labels: Tensor, validation: Tensor, train_examples: int | None, generator: torch.Generator
) -> Split:
    """Draw training images from all but the validation images, at the places `(v,)`."""
    unused = torch.ones(len(labels), dtype=torch.bool)
    unused[validation] = False
    rest = unused.nonzero().squeeze(1)
    rest = rest[torch.randperm(len(rest), generator=generator)]
    _check_count("train_examples", train_examples, 1, len(rest))
    if train_examples is None:
        return Split(rest, validation)
    drawn = stratified(labels[rest], train_examples, generator=generator, leave_one=False)
    return Split(rest[drawn], validation)


def _check_count(name: str, count: int | None, low: int, high: int) -> None:
    if count is not None and not low <= count <= high:
        raise ValueError(
            f"{name} must be from {low} to {high} for these images, got {count}; "
            "leave it out for the default."
        )
