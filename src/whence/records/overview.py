"""What a report on a whole run shows: how good its answers are, and which images they read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from whence.records.by_group import ByGroup
from whence.records.explained import Stored
from whence.records.measures import Evaluation, NearStored, Suspicion
from whence.records.memory_use import MemoryUse
from whence.records.near_pairs import NearPairs
from whence.shapes import check_shape

LISTED = 24
"""Suspicious images that a page shows; the rest is counted."""


@dataclass(frozen=True)
class Made:
    """How a run was made, and what it is measured on.

    Attributes:
        trained_on: name of the training data.
        measured_on: name of the data whose test images are measured.
        variant: "memory-wrap", "only-memory" or "standard".
        encoder: name.
        train_images: images that it was trained on.
        seed: of the run.
        drawn: images in each random memory of the paper's protocol.
        draw_batch: images that share one of them.
        class_counts: training images of each class; empty where that is not known.
    """

    trained_on: str
    measured_on: str
    variant: str
    encoder: str
    train_images: int
    seed: int
    drawn: int
    draw_batch: int
    class_counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hard:
    """A test image that is worth a look.

    Attributes:
        place: in the test set.
        kind: "sure", answered wrongly with a high probability, or "doubtful".
        truth: its true class.
        predicted: class of the answer.
        probability: that the model gives its answer.
        error_probability: calibrated; None when the model is not calibrated.
    """

    place: int
    kind: Literal["sure", "doubtful"]
    truth: int
    predicted: int
    probability: float
    error_probability: float | None


@dataclass(frozen=True)
class Curve:
    """How often answers are wrong when the most doubtful ones are left out.

    Attributes:
        signal: of doubt, that decides which ones those are.
        coverages: shares of the images that are answered, rising to 1.
        risks: share of wrong answers among them, for each coverage.
    """

    signal: str
    coverages: tuple[float, ...]
    risks: tuple[float, ...]


@dataclass(frozen=True)
class Corrected:
    """What a person corrected before a run, and what came of it.

    Attributes:
        table: name of the file of corrections.
        relabelled: images with another label.
        removed: images that were taken out.
        confirmed: labels that were looked at and stay.
        changed: image, label before and after (None: taken out), of the first of these.
        before: accuracy and balanced accuracy of the run that was corrected, on the same test
            images, fractions; None where they are not known.
        after: the same now.
    """

    table: str
    relabelled: int
    removed: int
    confirmed: int
    changed: tuple[tuple[str, str, str | None], ...]
    before: tuple[float, float] | None = None
    after: tuple[float, float] | None = None


@dataclass(frozen=True)
class Overview:
    """A run as a whole.

    Attributes:
        made: how the run was made.
        class_names: one name per class.
        evaluation: accuracies, measures of the evidence, and of the signs of doubt.
        confusion: `(K, K)` int64, test images by true class (rows) and answer (columns).
        curves: one per signal that is drawn.
        hard: the images to look at, the surest wrong answers first.
        memory: which stored images were read; None for a standard model.
        suspicious: all stored images whose label the others do not support, most suspicious
            first; None for a standard model and where no label is known.
        nearest: by dataset index, the stored images that look most like each of ``suspicious``.
        near_pairs: stored and measured images that look the same; None where that was not looked
            for.
        groups: the answers group by group; None where the groups are not known.
        corrections: what a person corrected before this run, as its record says; None without.
        stored: by dataset index, the stored images that ``memory`` and ``groups`` name, and the
            first ``LISTED`` of ``suspicious``.
    """

    made: Made
    class_names: tuple[str, ...]
    evaluation: Evaluation
    confusion: Tensor
    curves: tuple[Curve, ...]
    hard: tuple[Hard, ...] = ()
    memory: MemoryUse | None = None
    suspicious: tuple[Suspicion, ...] | None = None
    stored: Mapping[int, Stored] = field(default_factory=dict)
    nearest: Mapping[int, tuple[NearStored, ...]] = field(default_factory=dict)
    corrections: Corrected | None = None
    near_pairs: NearPairs | None = None
    groups: ByGroup | None = None

    def __post_init__(self) -> None:
        check_shape("confusion", self.confusion, "K K", K=len(self.class_names))
