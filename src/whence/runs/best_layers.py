"""Layers of a frozen encoder that its own training images choose."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from torch import Tensor

from whence.encoders import ALL_DEPTHS, OUTPUT
from whence.encoders.at_layers import network_of
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.runs.folder import CHOSEN_LAYERS
from whence.runs.kept_features import encode_once
from whence.runs.normalisation import Normalisation
from whence.runs.prepare import Parts, build_model
from whence.runs.settings import Settings
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.choose_layers import (
    ChosenLayers,
    choose_layers,
    gather_columns,
    place_columns,
)
from whence.training.distributed import Team
from whence.training.labelled import Labelled


def take_best_layers(
    parts: Parts,
    settings: Settings,
    features: Mapping[str, Tensor],
    folder: Path,
    team: Team,
    *,
    begun: bool = False,
) -> tuple[Parts, dict[str, Tensor], ChosenLayers | None]:
    """Let a run go on with the features of those layers that its training images choose.

    Args:
        parts: with a model whose features are those of all depths, on its device.
        settings: of the run; unless they let the images choose everything stays as it is.
        features: `(n, D)` of the images of each part.
        folder: of the run, which keeps the choice.
        team: the processes that train together.
        begun: the training has begun. Where it keeps no choice it began when the encoder's output
            was the default, and goes on with that.

    Returns:
        The parts with a model of the chosen layers, their features, and the choice.

    Raises:
        ValueError: if what the folder keeps is damaged.
    """
    if not settings.chooses_layers:
        return parts, dict(features), None
    columns = place_columns(parts.model)
    known = Labelled(features["train"].cpu(), parts.train.labels)
    chosen = team.lead(lambda: keep_choice(folder, columns, known, settings.seed, begun=begun))
    places = gather_columns(columns, chosen.layers).to(features["train"].device)
    model = with_layers(parts.model, settings, parts.train, chosen.layers)
    return replace(parts, model=model), {name: x[:, places] for name, x in features.items()}, chosen


def encode_for_run(model: Classifier, settings: Settings, images: ImageSet, folder: Path) -> Tensor:
    """Return the features of images for a finished run with a frozen encoder, `(N, D)`.

    Where its training images chose the layers, features of all depths are kept, for other runs
    chose others.

    Args:
        model: of the run.
        settings: of the run.
        images: N of them.
        folder: of kept features.
    """
    if not settings.chooses_layers:
        return encode_once(model, images, folder)
    every = with_layers(model, settings, images, (ALL_DEPTHS,)).eval()
    features = encode_once(every, images, folder)
    places = gather_columns(place_columns(every), model.kind.layers or (OUTPUT,))
    return features[:, places.to(features.device)]


def keep_choice(
    folder: Path, columns: Mapping[str, Tensor], known: Labelled, seed: int, *, begun: bool
) -> ChosenLayers:
    """Read what was chosen, or choose and keep it; a training that has begun takes the output.

    Raises:
        ValueError: if the file is damaged.
    """
    path = folder / CHOSEN_LAYERS
    if path.exists():
        return read_choice(path, columns)
    depths = {
        name: known.features[:, places]
        for name, places in columns.items()
        if name == OUTPUT or not begun
    }
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


def with_layers(
    model: Classifier, settings: Settings, images: ImageSet, layers: Sequence[str]
) -> Classifier:
    """Build the model of a run once more, untrained, with the features of other layers.

    Args:
        model: of the run, with its encoder.
        settings: of the run.
        images: of its shape and classes.
        layers: of the encoder.
    """
    mean, std = (tuple(one.flatten().tolist()) for one in (model.mean, model.std))
    named = replace(settings, layers=",".join(layers))
    found, _ = build_model(named, images, Normalisation(mean, std, "the model"), None)
    network_of(found.encoder).load_state_dict(network_of(model.encoder).state_dict())
    return found.to(model.mean.device)
