"""What the reports are made of: one record per explained image, and one about where it is from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from whence.records.answers import Explanation, Removal
from whence.records.morphed import Morph
from whence.records.relevance import Relevance
from whence.shapes import check_shape


@dataclass(frozen=True)
class Stored:
    """A stored image as a report shows it.

    Attributes:
        label: its true class, None when not known.
        predicted: the model's own class for it.
        source: the file it came from, None when not known.
        image: `(C, H, W)` uint8, None when the memory was saved without pixels.
    """

    label: int | None
    predicted: int
    source: str | None
    image: Tensor | None


@dataclass(frozen=True)
class Answer:
    """One image, the model's answer for it, and everything that a report shows of both.

    Attributes:
        name: what the user calls the image: a file, or "test image 7".
        image: `(C, H, W)` uint8, as the model saw it.
        truth: its true class, None when not known.
        explanation: the answer and its evidence.
        stored: by dataset index, all stored images that the explanation or the removal names.
        relevance: of the pixels of this one image (B = 1) and of its evidence, None when not asked
            for.
        removal: None when not asked for, and for a standard model.
        notes: sentences about this image, for example that it was made smaller.
        morph: ways to it from another class, None when not asked for.
        original: `(C, h, w)` uint8, the file itself where the model saw it at another size.
    """

    name: str
    image: Tensor
    truth: int | None
    explanation: Explanation
    stored: Mapping[int, Stored] = field(default_factory=dict)
    relevance: Relevance | None = None
    removal: Removal | None = None
    notes: tuple[str, ...] = ()
    morph: Morph | None = None
    original: Tensor | None = None

    def find_image(self, index: int) -> Tensor | None:
        """Return the pixels of a stored image; None where they are not known."""
        return self.stored[index].image if index in self.stored else None

    def __post_init__(self) -> None:
        sizes = check_shape("image", self.image, "C H W")
        if self.relevance is not None:
            check_shape("relevance.images", self.relevance.images, "B C H W", B=1, **sizes)


@dataclass(frozen=True)
class Origin:
    """What the answers were computed from, so that they can be computed again.

    Attributes:
        run: name of the run folder.
        has_memory: False for a standard model.
        facts: names and values for the foot of a page, in order: seed, hashes, versions.
        notes: sentences that concern all images, for example about converted colours.
    """

    run: str
    has_memory: bool
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
