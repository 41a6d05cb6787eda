"""The bank: a memory that was encoded once and is kept with the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from whence.data.fingerprint import find_places, number_equal, round_pixels
from whence.memory.attention import at_least_float32
from whence.memory.similarity import find_similarity
from whence.records.answers import StoredImage
from whence.records.show import show_record
from whence.shapes import check_shape


@dataclass(frozen=True, eq=False, repr=False)
class Bank:
    """Encoded memory images, and where each of them came from.

    Attributes:
        features: `(M, E)` what the head compares: the encoder's output in eval mode, or keys of
            it.
        indices: `(M,)` int64, index of each image in its dataset.
        labels: `(M,)` int64, -1 where the label is not known.
        predicted: `(M,)` int64, the model's own class for each image, with that image left out.
        hashes: one content hash per image.
        images: `(M, C, H, W)` pixels, uint8 (float only where uint8 would lose something), or None
            when the run was saved without pixels. They stay on the CPU, wherever the model is:
            answers do not read them.
        sources: one file per image, or None.
    """

    features: Tensor
    indices: Tensor
    labels: Tensor
    predicted: Tensor
    hashes: tuple[str, ...]
    images: Tensor | None = None
    sources: tuple[str, ...] | None = None

    __repr__ = show_record

    def __post_init__(self) -> None:
        sizes = check_shape("features", self.features, "M E")
        for name in ("indices", "labels", "predicted"):
            check_shape(name, getattr(self, name), "M", M=sizes["M"])

    @cached_property
    def _scales(self) -> dict[str, Tensor]:
        return {}

    def scale(self, similarity: str) -> Tensor | None:
        """Return ``Similarity.scale`` of the features, `(M,)`, which is computed once.

        None for a similarity that has none.
        """
        measure = find_similarity(similarity).scale
        if measure is None:
            return None
        if similarity not in self._scales:
            self._scales[similarity] = measure(at_least_float32(self.features))
        return self._scales[similarity]

    @cached_property
    def places(self) -> Mapping[str, tuple[int, ...]]:
        """List where each content hash stands in the bank."""
        return find_places(self.hashes)

    @cached_property
    def groups(self) -> Tensor:
        """Number the images `(M,)` so that copies (same content hash) share a number."""
        return torch.tensor(number_equal(self.hashes), device=self.features.device)

    def __len__(self) -> int:
        return len(self.features)

    def describe(
        self, places: Tensor
    ) -> tuple[list[int], list[int | None], list[int], list[str | None]]:
        """List index, label, own class and file of the images at ``places`` `(n,)`."""
        labels, files = self.labels[places].tolist(), self.sources
        return (
            self.indices[places].tolist(),
            [None if label < 0 else label for label in labels],
            self.predicted[places].tolist(),
            [None if files is None else files[place] for place in places.tolist()],
        )

    def stored(self, places: Tensor) -> list[StoredImage]:
        """Make records of the images at ``places`` `(n,)`."""
        return [StoredImage(*one) for one in zip(*self.describe(places), strict=True)]

    def map_tensors(self, change: Callable[[Tensor], Tensor]) -> "Bank":
        """Apply ``change`` to every tensor but the images, for example a move to a device."""
        return replace(
            self,
            features=change(self.features),
            indices=change(self.indices),
            labels=change(self.labels),
            predicted=change(self.predicted),
        )

    def take(self, positions: Tensor) -> "Bank":
        """Keep the memory images at ``positions`` `(m,)`, in that order; encodes nothing."""
        kept = self.map_tensors(lambda tensor: tensor.index_select(0, positions.to(tensor.device)))
        chosen = positions.tolist()
        return replace(
            kept,
            hashes=tuple(map(self.hashes.__getitem__, chosen)),
            images=None if self.images is None else self.images.index_select(0, positions.cpu()),
            sources=self.sources and tuple(map(self.sources.__getitem__, chosen)),
        )


def take_images(images: Tensor, places: Tensor) -> Tensor:
    """Take images `(N, C, H, W)`, on any device, to the device of their places `(n,)`."""
    return images[places.to(images.device)].to(places.device)


def to_pixels(images: Tensor) -> Tensor:
    """Keep images `(M, C, H, W)` as uint8 where that loses nothing, else as they are.

    Args:
        images: uint8, or float in [0, 1].
    """
    if images.dtype == torch.uint8:
        return images
    rounded, whole = round_pixels(images)
    return rounded if all(whole) else images
