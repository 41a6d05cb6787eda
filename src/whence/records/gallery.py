"""What a gallery of attribution methods shows: one record per image."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from whence.records.answers import Prediction
from whence.records.explained import Stored
from whence.records.relevance import Relevance


@dataclass(frozen=True, eq=False)
class AttributedImage:
    """One image, the model's answer, and what every method says of its pixels.

    Attributes:
        name: what the user calls the image.
        image: `(C, H, W)` uint8, as the model saw it.
        truth: its true class, None when not known.
        prediction: the answer with its evidence.
        stored: by dataset index, the evidence images.
        relevance: of each method, for this one image (B = 1), all of one target.
        notes: sentences about this image.
    """

    name: str
    image: Tensor
    truth: int | None
    prediction: Prediction
    stored: Mapping[int, Stored]
    relevance: tuple[Relevance, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images as rows, attribution methods as columns.

    Attributes:
        images: at least one, each with the same methods in the same order.
        reasons: methods that were asked for and could not be used, each with the reason.
        shown_evidence: how many evidence images of each are shown.
    """

    images: tuple[AttributedImage, ...]
    reasons: Mapping[str, str]
    shown_evidence: int
