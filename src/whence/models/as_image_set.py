"""Labelled images as people hold them, as the one record that fitting and measuring take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from whence.data.as_images import as_images
from whence.data.augment import to_float
from whence.data.names import compose
from whence.data.read_images import Shaped
from whence.memory.bank import to_pixels
from whence.messages import quote
from whence.records.images import Dataset, ImageSet
from whence.records.labels import list_names, read_labels

LabelledImages: TypeAlias = ImageSet | tuple[Any, Any] | TorchDataset[Any] | Sequence[Any]
"""An ``ImageSet``, (X, y), or a data set, or list, of (image, label)."""


class Classes(Shaped, Protocol):
    """What knows classes, for images of one shape: a classifier."""

    class_names: tuple[str, ...]


KINDS = "an ImageSet, (X, y), or a data set of (image, label)"


def as_image_set(data: LabelledImages, model: Classes, *, name: str = "images") -> ImageSet:
    """Return labelled images as one record; one that fits already is returned itself.

    Images become what :func:`as_images` makes of them. Classes that have names of their own are
    found in the model by these names.

    Args:
        data: an ``ImageSet``; (X, y) of images and labels; a ``torchvision`` ``ImageFolder``, whose
            files are read as those of a training folder are unless it has a transform; or another
            data set, or a list, of (image, label).
        model: whose shape and classes they are brought to.
        name: of the argument, for messages.

    Raises:
        TypeError: if it is of another kind.
        ValueError: if images, labels or class names do not fit.
    """
    if isinstance(data, ImageSet):
        images = as_images(data.images, model, name=name)
        if images is data.images and data.class_names == model.class_names:
            return data
        return label_images(
            images, data.labels, data.class_names, model, name, sources=data.sources
        )
    if isinstance(data, tuple) and len(data) == 2:
        images = as_images(data[0], model, name=name)
        return label_images(images, data[1], model.class_names, model, name)
    refuse_other(data, name)
    if is_plain_folder(data):
        return read_folder(data, model, name)
    return read_items(data, model, name)


def refuse_other(data: object, name: str) -> None:
    """Refuse what is no set of labelled images, naming the way out.

    Raises:
        TypeError: with what came.
    """
    way_out = ""
    if isinstance(data, Dataset):
        way_out = "; pass one of its parts, for example data.train"
    elif isinstance(data, DataLoader):
        way_out = "; pass its images without batches, loader.dataset"
    elif isinstance(data, str | Path):
        way_out = "; read a folder with whence.load_dataset(folder)"
    elif isinstance(data, Tensor) or hasattr(data, "__array__"):
        way_out = "; pass its labels as well, as (X, y)"
    elif not isinstance(data, IterableDataset | Mapping) and all(
        hasattr(data, method) for method in ("__getitem__", "__len__")
    ):
        return
    raise TypeError(f"{name} must be {KINDS}, got {type(data).__name__}{way_out}.")


def is_plain_folder(data: object) -> bool:
    """Say whether a data set is a torchvision ``ImageFolder`` that leaves images as they are."""
    changes = [getattr(data, one, ...) for one in ("transform", "target_transform")]
    return hasattr(data, "samples") and hasattr(data, "root") and changes == [None, None]


def read_folder(data: Any, model: Classes, name: str) -> ImageSet:
    """Read the files of an ``ImageFolder`` as those of a training folder are read."""
    paths = [Path(path) for path, _ in data.samples]
    images = as_images(paths, model, name=name)
    labels = [label for _, label in data.samples]
    sources = tuple(path.relative_to(data.root).as_posix() for path in paths)
    return label_images(images, labels, data.classes, model, name, sources=sources)


def read_items(data: Any, model: Classes, name: str) -> ImageSet:
    """Read a data set item by item."""
    images, labels = [], []
    for place in range(len(data)):
        item = data[place]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"{name}[{place}] must be (image, label), got {quote(item)}.")
        images.append(item[0])
        labels.append(item[1])
    return label_images(
        as_images(images, model, name=name),
        labels,
        find_classes(data) or model.class_names,
        model,
        name,
    )


def find_classes(data: Any) -> tuple[str, ...] | None:
    """Find the class names of a data set, or of the one that it is a part of."""
    while not hasattr(data, "classes"):
        if not hasattr(data, "dataset"):
            return None
        data = data.dataset
    return tuple(data.classes)


def label_images(
    images: Tensor,
    labels: object,
    names: Sequence[str],
    model: Classes,
    name: str,
    *,
    sources: tuple[str, ...] | None = None,
) -> ImageSet:
    """Put images `(N, C, H, W)` and labels by some list of names together, for a model.

    Floats that are eight bits become uint8, which takes a quarter of the memory.
    """
    if images.dtype != torch.uint8:
        images = to_pixels(to_float(images))
    found = read_labels(labels, names, len(images))
    matched = match_labels(found, tuple(names), model.class_names, name)
    return ImageSet(images, matched, model.class_names, sources)


def match_labels(
    labels: Tensor, names: tuple[str, ...], class_names: tuple[str, ...], name: str
) -> Tensor:
    """Turn labels `(N,)` by one list of names into labels by a model's.

    Where one of the lists is as long as the other and only counts ("0", "1", ...), they stay.

    Raises:
        ValueError: if a class has a name that the model does not know.
    """
    counted = tuple(map(str, range(len(class_names))))
    only_counts = len(names) == len(counted) and counted in (names, class_names)
    if names == class_names or (only_counts and set(names) != set(class_names)):
        return labels
    places = {compose(one): place for place, one in enumerate(class_names)}
    unknown = [one for one in names if compose(one) not in places]
    if unknown:
        raise ValueError(
            f"{name} must have the classes of the model ({list_names(class_names)}), got "
            f"{list_names(unknown)}."
        )
    table = torch.tensor([places[compose(one)] for one in names], device=labels.device)
    return table[labels]
