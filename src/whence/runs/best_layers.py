"""Layers of a frozen encoder that its own training images choose: ``--layers best``."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from whence.encoders.at_layers import OUTPUT, list_depths, network_of
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.runs.normalisation import Normalisation
from whence.runs.prepare import Parts, build_model
from whence.runs.settings import BEST_LAYERS, Settings
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.choose_layers import ChosenLayers, choose_layers
from whence.training.distributed import Team
from whence.training.labelled import Labelled

CHOSEN_LAYERS = "layers.json"
"""The file of a run folder that keeps which layers were chosen."""


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
