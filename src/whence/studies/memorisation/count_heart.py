"""Count the labels that are given only where their image was learnt from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.fingerprint import content_hashes, find_places
from whence.metrics.bootstrap import MeanInterval, bootstrap_mean
from whence.records.images import ImageSet
from whence.seeds import make_generator


class FoldAnswers(NamedTuple):
    """What trainings answer for the same images, and how sure they are of the labels given."""

    predicted: Tensor  # (N,)
    given: Tensor  # (N,) probability of the given label


class HeartCount(NamedTuple):
    """Which labels were learnt by heart, and the shares that say how to read that."""

    by_heart: Tensor  # (N,) bool
    share: MeanInterval
    control: MeanInterval  # answered otherwise by a training that had the image, but not all others
    inside: float  # share of training images that the run answers as given
    outside: float  # the same by trainings without the image


def count_by_heart(
    labels: Tensor, own: FoldAnswers, answers: Sequence[FoldAnswers], folds: Tensor
) -> HeartCount:
    """Count labels that are given by the run, and not by the training without their fold.

    The control is the same with the training without the next fold, which had the image: what is
    answered otherwise there is for want of other images, or by chance of the training.

    Args:
        labels: `(N,)` as given.
        own: of the run.
        answers: of the trainings, by the fold that they lack.
        folds: `(N,)` from 0.
    """
    everything = torch.stack([one.predicted for one in answers])  # (folds, N)
    image = torch.arange(len(labels))
    right = own.predicted == labels
    without = everything[folds, image] == labels
    beside = everything[(folds + 1) % len(answers), image] == labels
    by_heart = right & ~without
    return HeartCount(
        by_heart,
        bootstrap_mean(by_heart, make_generator(0)),
        bootstrap_mean(right & ~beside, make_generator(0)),
        float(right.double().mean()),
        float(without.double().mean()),
    )


def count_copies(images: ImageSet, folds: Tensor) -> int:
    """Count images of which a copy is in another fold, so that they are never left out wholly."""
    places = find_places(content_hashes(images.images)).values()
    return sum(len(one) for one in places if len({int(folds[place]) for place in one}) > 1)
