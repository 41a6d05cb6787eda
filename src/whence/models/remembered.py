"""From images to a bank: what is known of them, and what the model makes of them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from whence.data.as_images import Images, as_images
from whence.data.fingerprint import content_hashes, find_places, number_equal
from whence.kinds import check_kind
from whence.memory.bank import Bank, to_pixels
from whence.memory.heads import MemoryHead
from whence.models.as_image_set import Classes, as_image_set
from whence.models.batches import encode_in_batches
from whence.models.left_out import predict_left_out
from whence.records.images import ImageSet
from whence.records.labels import read_labels, read_whole_numbers


class Remembered(NamedTuple):
    """Images to remember, and what is known of them."""

    pixels: Tensor  # (M, C, H, W) as the model takes them
    labels: Tensor  # (M,) true classes, -1 where not known
    indices: Tensor  # (M,) places in the dataset
    sources: tuple[str, ...] | None  # one file per image


def read_remembered(
    images: Images | Dataset[Any],
    model: Classes,
    *,
    labels: Tensor | Sequence[int] | Sequence[str] | None,
    indices: Tensor | Sequence[int] | None,
    sources: Sequence[str] | None,
    reads_labels: bool,
) -> Remembered:
    """Check and complete the arguments of ``Classifier.remember``.

    Args:
        images: `(M, C, H, W)` in any form; a set of labelled images brings labels and files.
        model: whose shape and classes they must have.
        labels: `(M,)` classes by index or by name; None when none is known.
        indices: `(M,)` places in the dataset; None numbers them 0 .. M-1.
        sources: one file per image.
        reads_labels: whether the head needs the label of every image.

    Raises:
        ValueError: naming the argument that does not fit.
    """
    if isinstance(images, ImageSet | Dataset):
        known = as_image_set(images, model, name="memory_images")
        images = known.images
        labels = known.labels if labels is None else labels
        sources = known.sources if sources is None else sources
    pixels = as_images(images, model, name="memory_images")
    total = len(pixels)
    if total == 0:
        raise ValueError("memory_images must hold at least one image, got none.")
    classes = torch.full((total,), -1)
    if labels is not None:
        classes = read_labels(labels, model.class_names, total, least=-1)
    unknown = int((classes < 0).sum())
    if unknown and reads_labels:
        raise ValueError(
            f"labels must name the class of every stored image, because each votes for its own;"
            f" {unknown} of {total} have none."
        )
    places = torch.arange(total)
    if indices is not None:
        places = read_whole_numbers("indices", indices, total)
    if int(places.min()) < 0:
        raise ValueError(f"indices must be at least 0, got {int(places.min())}.")
    if len(places.unique()) != total:
        raise ValueError("indices must name every image once, some are there twice.")
    check_kind("sources", sources, (Sequence, type(None)))
    if sources is not None and len(sources) != total:
        raise ValueError(f"sources must name {total} files, got {len(sources)}.")
    return Remembered(pixels, classes, places, None if sources is None else tuple(sources))


def make_bank(
    known: Remembered,
    head: MemoryHead,
    encode: Callable[[Tensor], Tensor],
    *,
    features: Tensor | None,
    device: torch.device,
    batch_size: int,
) -> Bank:
    """Encode images, copies once so that their features are equal, and answer for each of them.

    Args:
        known: `M` images.
        head: of the model.
        encode: maps `(B, C, H, W)` images to what the head compares, `(B, E)`.
        features: `(M, D)` of the images by the encoder; None encodes them.
        device: of the model.
        batch_size: how many images are encoded at once; changes memory use, not the result.
    """
    kept = to_pixels(known.pixels.detach())
    hashes = content_hashes(kept)
    first = torch.tensor([found[0] for found in find_places(hashes).values()])
    copied = len(first) < len(kept)
    with torch.no_grad():
        if features is None:
            distinct = known.pixels[first] if copied else known.pixels
            compared = encode_in_batches(encode, distinct, batch_size=batch_size)
        else:
            compared = head.embed(features.to(device)[first.to(device)])
    groups, labels = torch.tensor(number_equal(hashes)).to(device), known.labels.to(device)
    compared = compared[groups] if copied else compared
    return Bank(
        features=compared,
        indices=known.indices.to(device),
        labels=labels,
        predicted=predict_left_out(head, compared, groups, labels=labels, batch_size=batch_size),
        hashes=hashes,
        images=kept.cpu(),
        sources=known.sources,
    )
