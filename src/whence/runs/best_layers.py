"""Layers of a frozen encoder that its own training images choose: ``--layers best``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from whence.encoders.at_layers import OUTPUT, list_depths, network_of
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.runs.leave_out import leave_each_out, list_combinations
from whence.runs.normalisation import Normalisation
from whence.runs.prepare import Parts, build_model
from whence.runs.settings import BEST_LAYERS, Settings
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.distributed import Team
from whence.training.labelled import Labelled

CHOSEN_LAYERS = "layers.json"
"""The file of a run folder that keeps which layers were chosen."""

ASKED = 1000
"""Training images that choose, at most: a combination takes half a second of one CPU core."""


@dataclass(frozen=True)
class ChosenLayers:
    """Which layers give the features, and how good these are beside the encoder's output.

    Attributes:
        layers: their names, "output" the encoder's own.
        left_out: share of training images that a ridge regression on all others answers right.
        output_left_out: the same by the output alone.
    """

    layers: tuple[str, ...]
    left_out: float
    output_left_out: float

    def describe(self) -> str:
        """Say what was chosen, and why."""
        return (
            f"Features are {', '.join(self.layers)}: with each training image left out in turn "
            f"{self.left_out:.2%} are answered right, by the encoder's output alone "
            f"{self.output_left_out:.2%}."
        )


def take_best_layers(
    parts: Parts, settings: Settings, features: Mapping[str, Tensor], folder: Path, team: Team
) -> tuple[Parts, dict[str, Tensor], ChosenLayers | None]:
    """Let a run go on with the features of those layers that its training images choose.

    Args:
        parts: with a model whose features are those of all depths, on its device.
        settings: of the run; unless they say ``BEST_LAYERS`` everything stays as it is.
        features: `(n, D)` of the images of each part.
        folder: of the run, which keeps the choice.
        team: the processes that train together.

    Returns:
        The parts with a model of the chosen layers, their features, and the choice.

    Raises:
        ValueError: if what the folder keeps is damaged.
    """
    if settings.layers != BEST_LAYERS:
        return parts, dict(features), None
    columns = place_columns(parts)
    known = Labelled(features["train"].cpu(), parts.train.labels)
    chosen = team.lead(lambda: keep_choice(folder, columns, known, settings.seed))
    places = torch.cat([columns[name] for name in chosen.layers]).to(features["train"].device)
    kept = {name: one[:, places] for name, one in features.items()}
    return replace(parts, model=take_features(parts, settings, chosen.layers)), kept, chosen


def place_columns(parts: Parts) -> dict[str, Tensor]:
    """Say in which columns of the features of all depths each depth is, the output last."""
    model = parts.model
    widths = list_depths(network_of(model.encoder), model.image_shape)
    widths[OUTPUT] = model.features - sum(widths.values())
    columns = torch.arange(model.features).split([*widths.values()])
    return dict(zip(widths, columns, strict=True))


def keep_choice(
    folder: Path, columns: Mapping[str, Tensor], known: Labelled, seed: int
) -> ChosenLayers:
    """Read what was chosen, or choose and keep it.

    Raises:
        ValueError: if the file is damaged.
    """
    path = folder / CHOSEN_LAYERS
    if path.exists():
        return read_choice(path, columns)
    depths = {name: known.features[:, places] for name, places in columns.items()}
    found = choose_layers(depths, known.labels, seed)
    write_json(path, asdict(found))
    return found


def choose_layers(features: Mapping[str, Tensor], labels: Tensor, seed: int) -> ChosenLayers:
    """Choose the depth or combination of which most images are right, each left out in turn.

    Of equally good ones the output, else the one of fewest numbers.

    Args:
        features: `(N, D)` of each depth, the output last.
        labels: `(N,)` of the images.
        seed: of the images that are asked where there are very many.
    """
    shares, widths = dict[tuple[str, ...], float](), dict[tuple[str, ...], int]()
    for layers in list_combinations(list(features)):
        together = torch.cat([features[name] for name in layers], 1)
        shares[layers] = leave_each_out(Labelled(together, labels), seed, most=ASKED)
        widths[layers] = 0 if layers == (OUTPUT,) else together.shape[1]
    best = max(shares, key=lambda layers: (shares[layers], -widths[layers]))
    return ChosenLayers(best, shares[best], shares[OUTPUT,])


def read_choice(path: Path, columns: Mapping[str, Tensor]) -> ChosenLayers:
    """Read what a run has chosen.

    Raises:
        ValueError: if the file is damaged.
    """
    content = read_json(path)
    layers, left_out, plain = (content.get(one.name) for one in fields(ChosenLayers))
    if not isinstance(layers, list) or not layers or any(name not in columns for name in layers):
        raise ValueError(f"{path} must name layers of the encoder, got {quote(layers)}.")
    if not isinstance(left_out, float) or not isinstance(plain, float):
        raise ValueError(f"{path} must say how many images were right, it is damaged.")
    return ChosenLayers(tuple(layers), left_out, plain)


def take_features(parts: Parts, settings: Settings, layers: tuple[str, ...]) -> Classifier:
    """Build the model of a run once more, with the features of some layers."""
    old = parts.model
    mean, std = (tuple(one.flatten().tolist()) for one in (old.mean, old.std))
    normalisation = Normalisation(mean, std, "the model with all depths")
    named = replace(settings, layers=None if layers == (OUTPUT,) else ",".join(layers))
    model, _ = build_model(named, parts.train, normalisation, None)
    network_of(model.encoder).load_state_dict(network_of(old.encoder).state_dict())
    return model.to(old.mean.device)
