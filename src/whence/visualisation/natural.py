"""What is usual for a unit and for the images it was trained on: the measure of everything made."""

from dataclasses import dataclass

import torch
from torch import Tensor

from whence.models.classifier import Classifier
from whence.visualisation.maximise import Regularisation
from whence.visualisation.smooth import total_variation
from whence.visualisation.unit import Unit, activate_units, find_mask


@dataclass(frozen=True)
class NaturalInputs:
    """Means over normalised training images.

    Attributes:
        norm: Euclidean length of an image.
        variation: total variation of an image.
        square: mean square of its values.
    """

    norm: float
    variation: float
    square: float


@dataclass(frozen=True)
class NaturalActivation:
    """A unit's activations over training images: mean, standard deviation and highest."""

    mean: float
    deviation: float
    highest: float

    def rate(self, activation: float) -> float:
        """Say how many deviations above the mean an activation is; 0 if none varies."""
        return (activation - self.mean) / self.deviation if self.deviation else 0.0


def measure_inputs(model: Classifier, images: Tensor) -> NaturalInputs:
    """Measure images `(N, C, H, W)` as the encoder sees them."""
    with torch.no_grad():
        inputs = model.normalise(images)
        flat = inputs.flatten(1)
        return NaturalInputs(
            float(flat.norm(dim=1).mean()),
            float(total_variation(inputs).mean()),
            float(flat.square().mean()),
        )


def measure_activation(
    model: Classifier, unit: Unit, images: Tensor, batch_size: int
) -> NaturalActivation:
    """Measure the activations of a unit over images `(N, C, H, W)`."""
    with torch.no_grad():
        values = torch.cat(
            [
                activate_units(
                    model, [unit] * len(part), model.normalise(part), find_mask(model, unit, part)
                )
                for part in images.split(batch_size)
            ]
        ).double()
    return NaturalActivation(
        float(values.mean()), float(values.std(correction=0)), float(values.max())
    )


def list_regularisations(model: Classifier, natural: NaturalInputs) -> dict[str, Regularisation]:
    """List what inputs are kept natural by, for activations in units of their deviation.

    "nothing" keeps to what a pixel can be, so that the adversarial input is an image. The weights
    are such that at the length or the variation of a usual image a penalty is as large as three
    deviations of the unit.

    Args:
        model: whose inputs they are.
        natural: of the training images.
    """
    norm, jitter = natural.norm, max(1, min(model.image_shape[1:]) // 12)
    limits = (-model.mean / model.std, (1 - model.mean) / model.std)
    variation = 3 / natural.variation if natural.variation else 0.0
    return {
        "nothing": Regularisation(limits=limits),
        "norm": Regularisation(norm=norm),
        "length": Regularisation(length=3 / natural.square if natural.square else 0.0),
        "variation": Regularisation(norm=norm, variation=variation),
        "blur": Regularisation(norm=norm, blur=0.5),
        "jitter": Regularisation(norm=norm, variation=variation, jitter=jitter),
    }
