"""Labelled images, the two sets of one problem, and those that a model is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.kinds import check_kind
from whence.records.labels import read_class_names, read_labels
from whence.records.notebook import NOTEBOOK_VIEWS
from whence.records.show import show_record
from whence.shapes import check_shape


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images held as one tensor.

    Attributes:
        images: `(N, C, H, W)` uint8.
        labels: `(N,)` int64, each in 0 .. K-1; whole numbers of another type, and names of
            classes, are brought to that.
        class_names: one name per class, in the order of the labels.
        sources: one file per image, relative to the folder it was read from; None when the images
            do not come from single files.

    Raises:
        ValueError: if shapes, labels, names or sources do not fit.
        TypeError: if images are no tensor, or labels neither numbers nor names.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    sources: tuple[str, ...] | None = None

    __repr__ = show_record

    def __post_init__(self) -> None:
        if not isinstance(self.images, Tensor):
            kind = type(self.images).__name__
            raise TypeError(f"images must be a tensor (N, C, H, W), got {kind}.")
        total = check_shape("images", self.images, "N C H W")["N"]
        names = read_class_names(self.class_names)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "labels", read_labels(self.labels, names, total))
        check_kind("sources", self.sources, (Sequence, type(None)))
        if self.sources is not None and len(self.sources) != total:
            raise ValueError(f"sources must name {total} files, got {len(self.sources)}.")

    def __len__(self) -> int:
        return len(self.images)

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["images"](self)
        return html

    def take(self, indices: Tensor | Sequence[int]) -> "ImageSet":
        """Keep the images at ``indices`` `(n,)`, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64, device=self.images.device)
        kept = None if self.sources is None else tuple(self.sources[i] for i in chosen.tolist())
        return ImageSet(self.images[chosen], self.labels[chosen], self.class_names, kept)

    def to(self, device: str) -> "ImageSet":
        """Move images and labels to ``device``; the uint8 images stay uint8."""
        moved = self.images.to(device), self.labels.to(device)
        return ImageSet(*moved, self.class_names, self.sources)


@dataclass(frozen=True, eq=False, repr=False)
class Marks:
    """What is known of N training images besides their classes; None where nothing is.

    Attributes:
        groups: `(N,)` int64, the number of the group of each: no group is divided.
        validation: `(v,)` int64, places of the images that are for the validation.
        counts: `(N,)` float32, how much each counts in the loss, 0 or more.
        first_labels: `(N,)` int64, labels before they were corrected, by which the images are
            divided, so that a correction moves none to another part.
        removed: `(N,)` bool, images that are taken out once all are divided.
    """

    groups: Tensor | None = None
    validation: Tensor | None = None
    counts: Tensor | None = None
    first_labels: Tensor | None = None
    removed: Tensor | None = None

    __repr__ = show_record


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """What a loader returns: training and test images of one problem.

    Attributes:
        name: what the user asked for, a name from ``DATASETS`` or the folder's name.
        train: the training images, before validation images are split off.
        test: the test images.
        notes: sentences that a user should read, for example about images that occur twice.
        marks: groups, weights and validation images among the training images, where they are
            known.
    """

    name: str
    train: ImageSet
    test: ImageSet
    notes: tuple[str, ...] = ()
    marks: Marks = Marks()

    __repr__ = show_record


@dataclass(frozen=True, eq=False, repr=False)
class Sample:
    """Labelled images that a model is measured on.

    Attributes:
        name: what the user asked for, a name from ``DATASETS`` or the folder's name.
        images: with the classes of the model, of which some may be without images.
        notes: sentences that a user should read.
    """

    name: str
    images: ImageSet
    notes: tuple[str, ...] = ()

    __repr__ = show_record


@dataclass(frozen=True, eq=False, repr=False)
class ImageParts:
    """The images of a run, as it divided them.

    Attributes:
        train: that it was trained on.
        validation: that it was calibrated on.
        test: that it was measured on.
        indices: `(n,)` int64, places of ``train`` among the dataset's training images.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    indices: Tensor

    __repr__ = show_record
