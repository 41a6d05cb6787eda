"""Which encoder, and which size of images: how good the features of each are, untrained."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from whence.encoders import OUTPUT
from whence.encoders.at_layers import AtLayers, list_depths
from whence.runs.beside import ask_neighbours
from whence.runs.images import load_to_train
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.training.choose_layers import leave_out_by_layers
from whence.training.distributed import Team
from whence.training.labelled import Labelled
from whence.training.probe import fit_probe
from whence.training.shared_step import encode_together

LEFT_OUT = 2000
"""Images that are left out in turn, at most."""

FOLDS = 5
"""Parts of the images, each of which is answered by a linear probe of the others."""


@dataclass(frozen=True)
class FeatureQuality:
    """How good the features of one encoder are at one size of images.

    Attributes:
        encoder: its name.
        weights: where its weights come from.
        size: (height, width) of the images.
        images: N, the training and validation images; the test images are not looked at.
        features: D, numbers per image.
        probe: share of the images that a linear probe of the other folds answers right; None where
            a class has a single image, or layers are compared.
        neighbours: share that their ten nearest neighbours among all other images answer right.
        milliseconds: for encoding one image here.
        layers: of the encoder whose means are the features; none for its output.
        left_out: share that a ridge regression on all other images answers right; None unless
            layers are compared.
    """

    encoder: str
    weights: str
    size: tuple[int, int]
    images: int
    features: int
    probe: float | None
    neighbours: float
    milliseconds: float
    layers: tuple[str, ...] = ()
    left_out: float | None = None

    @property
    def score(self) -> tuple[float, float]:
        """Return what the best has most of."""
        return self.probe or self.left_out or 0.0, self.neighbours


def compare_encoders(
    settings: Settings,
    encoders: Sequence[tuple[str, str]],
    sizes: Sequence[int | None],
    *,
    layers: bool = False,
    where: Where = AS_SETTINGS_SAY,
    device: str = "cpu",
) -> Iterator[FeatureQuality]:
    """Measure the features of every encoder at every size on the images of a training.

    With layers, of each depth of an encoder, of its output, and of that together with the depths
    before it; images are encoded once for all of them.

    Args:
        settings: with the images and the seed; everything else of them is not looked at.
        encoders: names and weights.
        sizes: pixels of a side; None is the one that the weights were trained with.
        layers: compare the depths of each encoder.
        where: the images are, and may be downloaded to.
        device: that encodes.

    Yields:
        One record after another.

    Raises:
        ValueError: if images, encoder and weights do not go together.
    """
    for encoder, weights in encoders:
        for size in sizes:
            chosen = replace(
                settings,
                encoder=encoder,
                weights=weights,
                size=size,
                freeze_encoder=True,
                layers=OUTPUT,
            )
            yield from measure_encoder(chosen, where, device, layers=layers)


def measure_encoder(
    settings: Settings, where: Where, device: str, *, layers: bool
) -> Iterator[FeatureQuality]:
    """Measure the features of the encoder that settings name, without a look at test images."""
    parts = prepare(settings, load_to_train(settings, where))
    model = parts.model.to(device).eval()
    images = torch.cat([parts.train.images, parts.validation.images])
    labels = torch.cat([parts.train.labels, parts.validation.labels])
    depths = list_depths(model.encoder, model.image_shape) if layers else {}
    if layers:
        model.encoder = AtLayers(model.encoder, [*depths, OUTPUT]).eval()
    started = time.perf_counter()
    with torch.no_grad():
        whole = encode_together(model, images, Team()).cpu().float()
    seconds = time.perf_counter() - started
    columns = whole.split([*depths.values(), model.features], 1)
    features_of = dict(zip([*depths, OUTPUT], columns, strict=True))
    classes = len(parts.train.class_names)
    measured: Iterable[tuple[tuple[str, ...], float | None]] = [((OUTPUT,), None)]
    if layers:
        measured = leave_out_by_layers(features_of, labels, settings.seed, most=LEFT_OUT)
    for chosen, left_out in measured:
        features = torch.cat([features_of[name] for name in chosen], 1)
        known = Labelled(features, labels)
        nearest = ask_neighbours(known, features, classes, themselves=True)
        yield FeatureQuality(
            encoder=str(settings.encoder),
            weights=str(settings.weights),
            size=(images.shape[2], images.shape[3]),
            images=len(images),
            features=features.shape[1],
            probe=None if layers else cross_validate(known, classes, settings.seed),
            neighbours=float((nearest == labels).double().mean()),
            milliseconds=1000 * seconds / len(images),
            layers=() if chosen == (OUTPUT,) else chosen,
            left_out=left_out,
        )


def cross_validate(known: Labelled, classes: int, seed: int) -> float | None:
    """Answer every image by a linear probe of the folds that it is not in; the share of right ones.

    The penalty is chosen anew within the images of each probe. None where a class has one image.
    """
    labels = known.labels
    counts = labels.bincount()
    folds = min(FOLDS, int(counts[counts > 0].min()))
    if folds < 2:
        return None
    right = torch.zeros(len(labels), dtype=torch.bool)
    divided = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fitted, asked in divided.split(labels.numpy(), labels.numpy()):
        probe = fit_probe(known.take(torch.from_numpy(fitted)), None, classes, seed=seed)
        places: Tensor = torch.from_numpy(asked)
        found = probe.log_probabilities(known.features[places]).argmax(1)
        right[places] = found == labels[places]
    return float(right.double().mean())
