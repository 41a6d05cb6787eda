"""What units of a model look for, gathered for a page."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from whence.autoencoders.vae import VAE
from whence.gather.morph_training import Training
from whence.models.classifier import Classifier
from whence.models.evaluating import check_mode
from whence.progress_bar import make_bar
from whence.records.picture import to_uint8
from whence.records.visualised import FoundPatch, MadeInput, VisualisedUnit
from whence.seeds import make_generator
from whence.visualisation.maximise import Activation, Maximised, Regularisation, maximise
from whence.visualisation.natural import (
    NaturalActivation,
    NaturalInputs,
    list_regularisations,
    measure_activation,
    measure_inputs,
)
from whence.visualisation.top_patches import Peak, find_field, find_peaks, project_peaks
from whence.visualisation.unit import Unit, activate_units, classify_inputs, group_units

MEASURED = 500
"""Training images that say how long and how smooth an input usually is."""

LEARNED = "autoencoder"
"""The name of the learned prior."""


def visualise_units(
    model: Classifier,
    units: Sequence[Unit],
    training: Training,
    *,
    vae: VAE | None = None,
    kept: Sequence[tuple[int, nn.Module]] = (),
    steps: int,
    top: int,
    seed: int,
    batch_size: int,
) -> tuple[VisualisedUnit, ...]:
    """Make inputs for units, find the patches that activate them, and look back at both.

    Args:
        model: in eval mode, with a bank unless it is a standard model.
        units: of the model.
        training: images that patches are looked for in, and that say what is usual.
        vae: the autoencoder that is the learned prior; None goes without.
        kept: epochs, and the encoder as it was after each, for the evolution of layers' units.
        steps: the most of each maximisation.
        top: patches of each unit.
        seed: of noise and shifts.
        batch_size: images at once; changes memory use, not the result.
    """
    check_mode(model)
    natural = {
        number: measure_activation(model, unit, training.images, batch_size)
        for number, unit in enumerate(units)
    }
    usual = measure_inputs(model, training.images[:MEASURED])
    made: dict[int, list[MadeInput]] = {number: [] for number in natural}
    with make_bar(total=2 * len(units), unit="unit", leave=False) as bar:
        for group in group_units(units):
            some = [units[number] for number in group]
            scales = torch.tensor([natural[one].deviation or 1.0 for one in group]).to(model.mean)
            for name, found in make_inputs(model, some, scales, usual, training, vae, steps, seed):
                for row, number in enumerate(group):
                    one = describe_made(model, name, found, row, natural[number])
                    made[number].append(one)
            bar.update(len(group))
        described = []
        for number, unit in enumerate(units):
            known = natural[number]
            described.append(
                VisualisedUnit(
                    name=unit.words,
                    mean=known.mean,
                    deviation=known.deviation,
                    highest=known.highest,
                    averaged=unit.kind == "channel",
                    made=tuple(made[number]),
                    patches=find_patches(model, model.encoder, unit, training, top, batch_size),
                    evolution=look_back(model, unit, training, kept, batch_size),
                )
            )
            bar.update()
    return tuple(described)


def make_inputs(
    model: Classifier,
    units: Sequence[Unit],
    deviations: Tensor,
    usual: NaturalInputs,
    training: Training,
    vae: VAE | None,
    steps: int,
    seed: int,
) -> list[tuple[str, Maximised]]:
    """Maximise units of one kind and layer, once for each way to keep inputs natural."""

    def activation(inputs: Tensor) -> Tensor:
        return activate_units(model, units, inputs) / deviations

    start = choose_start(model, units, training, seed, usual.norm)
    found = [
        (name, climb(activation, start, regularisation, deviations, steps, seed))
        for name, regularisation in list_regularisations(model, usual).items()
    ]
    if vae is not None:
        found.append((LEARNED, climb_codes(model, activation, vae, deviations, steps, seed)))
    return found


def choose_start(
    model: Classifier, units: Sequence[Unit], training: Training, seed: int, norm: float
) -> Tensor:
    """Start from noise of a tenth of an image's length; a layer from the first training image.

    A layer strengthens what it finds in an image (Olah, Mordvintsev and Schubert 2017).
    """
    if units[0].kind == "layer":
        return model.normalise(training.images[:1]).expand(len(units), -1, -1, -1)
    noise = torch.randn((1, *model.image_shape), generator=make_generator(seed))
    noise = noise * (0.1 * norm / float(torch.linalg.vector_norm(noise)))
    return noise.to(model.mean).expand(len(units), -1, -1, -1)


def climb(
    activation: Activation,
    start: Tensor,
    regularisation: Regularisation,
    deviations: Tensor,
    steps: int,
    seed: int,
) -> Maximised:
    """Maximise, and bring activations back to their own unit."""
    found = maximise(activation, start, regularisation, steps=steps, generator=make_generator(seed))
    return found._replace(activations=found.activations * deviations)


def climb_codes(
    model: Classifier, activation: Activation, vae: VAE, deviations: Tensor, steps: int, seed: int
) -> Maximised:
    """Maximise over the codes of an autoencoder, as long as codes usually are."""

    def decode(codes: Tensor) -> Tensor:
        pixels: Tensor = vae.decode(codes).to(model.mean)
        inputs: Tensor = (pixels - model.mean) / model.std
        return inputs

    codes = torch.randn((1, vae.codes), generator=make_generator(seed)).to(model.mean)
    start = codes.expand(len(deviations), -1)
    length = Regularisation(norm=float(vae.codes) ** 0.5)  # of most codes (Z normal numbers)
    found = climb(lambda some: activation(decode(some)), start, length, deviations, steps, seed)
    with torch.no_grad():
        return found._replace(inputs=decode(found.inputs))


def describe_made(
    model: Classifier, name: str, found: Maximised, row: int, natural: NaturalActivation
) -> MadeInput:
    """Describe one input that was made."""
    one = found.inputs[row : row + 1]
    with torch.no_grad():
        probabilities = classify_inputs(model, one).softmax(1)[0]
        pixels = one * model.std + model.mean
    activation = float(found.activations[row])
    predicted = int(probabilities.argmax())
    outside = (pixels < -1e-6) | (pixels > 1 + 1e-6)
    return MadeInput(
        kept_natural_by=name,
        image=to_uint8(pixels[0]),
        cut=float(outside.float().mean()),
        activation=activation,
        deviations=natural.rate(activation),
        predicted=predicted,
        probability=float(probabilities[predicted]),
        rising=bool(found.rising[row]),
    )


def find_patches(
    model: Classifier,
    encoder: nn.Module,
    unit: Unit,
    training: Training,
    top: int,
    batch_size: int,
) -> tuple[FoundPatch, ...]:
    """Find the patches of training images that activate a unit most, with their projections."""
    images = training.images
    peaks = find_peaks(model, encoder, unit, images, count=top, batch_size=batch_size)
    asked = images[torch.tensor([peak.image for peak in peaks])]
    maps = project_peaks(model, encoder, unit, asked, peaks, batch_size=batch_size)
    return tuple(
        describe_patch(model, encoder, unit, training, peak, relevance.sum(0))
        for peak, relevance in zip(peaks, maps, strict=True)
    )


def describe_patch(
    model: Classifier,
    encoder: nn.Module,
    unit: Unit,
    training: Training,
    peak: Peak,
    relevance: Tensor,
) -> FoundPatch:
    """Cut out what a unit sees of an image, and the relevance `(H, W)` of the same pixels."""
    box = find_field(model, encoder, unit, peak)
    down, across = slice(box.top, box.bottom), slice(box.left, box.right)
    start = training.start(peak.image)
    return FoundPatch(
        index=start.index,
        label=None if start.label is None or start.label < 0 else start.label,
        source=start.source,
        activation=peak.activation,
        box=box,
        patch=start.image[:, down, across].contiguous(),
        projection=relevance[down, across],
    )


def look_back(
    model: Classifier,
    unit: Unit,
    training: Training,
    kept: Sequence[tuple[int, nn.Module]],
    batch_size: int,
) -> tuple[tuple[int, FoundPatch], ...]:
    """Find the most active patch after each kept epoch, of a unit in a layer.

    Zeiler and Fergus (2014), arXiv:1311.2901, figure 4.
    """
    if unit.kind not in ("channel", "neuron"):
        return ()
    return tuple(
        (epoch, find_patches(model, encoder, unit, training, 1, batch_size)[0])
        for epoch, encoder in kept
    )


def take_sample(training: Training, most: int, seed: int) -> Training:
    """Draw ``most`` of the training images, in their order; all where there are not more."""
    if len(training) <= most:
        return training
    drawn = torch.randperm(len(training), generator=make_generator(seed))[:most].sort().values
    sources = training.sources
    return replace(
        training,
        images=training.images[drawn],
        labels=training.labels[drawn],
        indices=training.indices[drawn],
        sources=None if sources is None else tuple(sources[place] for place in drawn.tolist()),
    )
