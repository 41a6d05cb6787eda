"""What units of a network look for, as a page shows it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class MadeInput:
    """An input that was made to activate a unit.

    Attributes:
        kept_natural_by: name of the regularisation, or "autoencoder".
        image: `(C, H, W)` uint8, what of it a picture can show.
        cut: share of its values outside what a pixel can be, in [0, 1]; they are cut off.
        activation: of the unit.
        deviations: so many standard deviations above the unit's mean over training images.
        predicted: the model's class for it.
        probability: of that class.
        rising: the activation was still growing at the last step.
    """

    kept_natural_by: str
    image: Tensor
    cut: float
    activation: float
    deviations: float
    predicted: int
    probability: float
    rising: bool


@dataclass(frozen=True, eq=False)
class FoundPatch:
    """The part of a training image that activates a unit.

    Attributes:
        index: place of the image in its dataset.
        label: its class, None when not known.
        source: its file, None when not known.
        activation: of the unit.
        box: top, left, bottom, right of the part that the unit sees, ends not included.
        patch: `(C, h, w)` uint8, that part.
        projection: `(h, w)` relevance of its pixels for the activation.
    """

    index: int
    label: int | None
    source: str | None
    activation: float
    box: tuple[int, int, int, int]
    patch: Tensor
    projection: Tensor


@dataclass(frozen=True, eq=False)
class VisualisedUnit:
    """One unit: what is usual for it, inputs made for it, patches found, and how it came about.

    Attributes:
        name: of the unit.
        mean, deviation, highest: of its activation over training images.
        averaged: its activation is a mean over places, that of a patch is of one place.
        made: inputs, the one that nothing keeps natural first.
        patches: the most active first.
        evolution: epochs of the training with the most active patch after each.
    """

    name: str
    mean: float
    deviation: float
    highest: float
    averaged: bool
    made: tuple[MadeInput, ...]
    patches: tuple[FoundPatch, ...]
    evolution: tuple[tuple[int, FoundPatch], ...]
