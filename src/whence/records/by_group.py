"""How good a run is for each group of images: each camera, each module, each kind of cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from whence.records.memory_use import Used


@dataclass(frozen=True)
class Groups:
    """What group images are of.

    Attributes:
        origin: where that is written, such as "labels.csv, column group".
        measured: of each measured image.
        stored: of each stored image, None where that is not known; empty without a memory.
    """

    origin: str
    measured: tuple[str, ...]
    stored: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class GroupMeasures:
    """The answers to the images of one group; shares in [0, 1].

    Attributes:
        name: of the group.
        images: measured images of it.
        right: right answers.
        class_images: measured images of it of each class.
        class_right: right answers of each class.
        reliance: mean share of an answer that comes from the memory; None without one.
        doubt: mean calibrated probability that an answer is wrong; None without a calibration.
        own_weight: mean weight of an answer on stored images of the group; None where the groups
            of the stored images are not known.
        stored: stored images of the group; None where their groups are not known.
    """

    name: str
    images: int
    right: int
    class_images: tuple[int, ...]
    class_right: tuple[int, ...]
    reliance: float | None = None
    doubt: float | None = None
    own_weight: float | None = None
    stored: int | None = None

    @property
    def accuracy(self) -> float:
        """Return the share of right answers."""
        return self.right / self.images

    @property
    def recalls(self) -> tuple[float | None, ...]:
        """Return the share of right answers of each class, None for one without images."""
        pairs = zip(self.class_right, self.class_images, strict=True)
        return tuple(right / images if images else None for right, images in pairs)


@dataclass(frozen=True)
class ByGroup:
    """A run's answers group by group.

    Attributes:
        origin: where the groups are written.
        groups: at least two, the least accurate one first.
        worst: name of the least accurate one that has enough images to be judged.
        misleading: stored images that the wrong answers of the worst group read most.
        stored_groups: by dataset index, the group of each of ``misleading`` that is known.
    """

    origin: str
    groups: tuple[GroupMeasures, ...]
    worst: str
    misleading: tuple[Used, ...] = ()
    stored_groups: Sequence[tuple[int, str]] = ()

    def find(self, name: str) -> GroupMeasures:
        """Return the measures of a group by its name."""
        return next(one for one in self.groups if one.name == name)
