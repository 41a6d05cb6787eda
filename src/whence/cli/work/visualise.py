"""Show what units of a run's network look for."""

import json
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from whence.autoencoders.saved_vae import load_vae, read_about_vae
from whence.autoencoders.vae import VAE
from whence.cli.align import align
from whence.cli.files import encode_page
from whence.cli.options import read_where
from whence.cli.plain_text import escape
from whence.cli.traces import without_font_folder
from whence.gather.explained import describe_origin
from whence.gather.morph_training import choose_training
from whence.gather.visualised import take_sample, visualise_units
from whence.messages import count
from whence.models.about import read_about
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.morphing.answers import check_fit
from whence.records.explained import Origin
from whence.records.visualised import VisualisedUnit
from whence.report.as_visualised_json import to_visualised_json
from whence.report.visualised_page import render_visualised
from whence.runs.kept_checkpoints import find_kept, read_kept_encoder
from whence.storage.whole_files import write_whole
from whence.visualisation.top_patches import PROJECTION
from whence.visualisation.unit import Unit, list_layers, read_unit

SHOWN_CLASSES, SHOWN_CHANNELS = 10, 4
"""Units that are shown unless others are asked for."""


def print_layers(options: Namespace, device: str) -> None:
    """Print the name and the shape of every layer that has units."""
    layers = list_layers(load_to_answer(Path(options.run), device))
    rows = [[escape(name), " x ".join(map(str, shape))] for name, shape in layers.items()]
    print("\n".join(align([["layer", "gives"], *rows])))


def visualise_run(options: Namespace, files: Sequence[Path], device: str) -> None:
    """Make a page, a figure or JSON of units of a run.

    Args:
        options: of the command, checked.
        files: the one that is written; without any, JSON is printed.
        device: where to compute.
    """
    folder = Path(options.run)
    about = read_about(folder)
    vae_facts: list[tuple[str, str]] = []
    if options.vae:
        made = read_about_vae(Path(options.vae))  # before the model is read
        vae_facts = [("hash of the autoencoder", made["sha256"])]
    model = load_to_answer(folder, device)
    units = choose_units(model, options.unit)
    vae = read_vae(options.vae, model)
    training = choose_training(folder, model, where=read_where(options))
    training = take_sample(training, options.sample, options.seed)
    kept = [(epoch, read_kept_encoder(folder, model, epoch)) for epoch in find_kept(folder)]
    found = visualise_units(
        model,
        units,
        training,
        vae=vae,
        kept=kept,
        steps=options.steps,
        top=options.top,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    settings = [
        ("inputs", f"up to {options.steps:,} steps from noise, seed {options.seed}"),
        ("looked through", count(len(training), "training image")),
        ("pixels of a patch that count", PROJECTION.replace("_", " ")),
        *vae_facts,
    ]
    origin = describe_origin(folder, about, model, settings)
    content = write_units(found, origin, model.class_names, options.format)
    if not files:
        print(content.decode(), end="")
        return
    write_whole(files[0], content)
    print(f"Written: {escape(str(files[0]))}")


def read_vae(place: str | None, model: Classifier) -> VAE | None:
    """Read the autoencoder that was named, which must be of images like the model's."""
    if place is None:
        return None
    vae = load_vae(place, device=model.mean.device)
    check_fit(model, vae)
    return vae


def choose_units(model: Classifier, texts: Sequence[str] | None) -> list[Unit]:
    """Read the units that were asked for, or choose classes and channels.

    Raises:
        ValueError: if one is none.
    """
    layers = list_layers(model)
    if texts is None:
        texts = [f"logit:{name}" for name in model.class_names[:SHOWN_CLASSES]]
        wide = [name for name, shape in layers.items() if len(shape) == 3 and shape[1] > 1]
        if wide:
            last = wide[-1]
            texts += [f"channel:{last}:{number}" for number in range(SHOWN_CHANNELS)]
    return [read_unit(text, model, layers) for text in dict.fromkeys(texts)]


def write_units(
    found: Sequence[VisualisedUnit], origin: Origin, names: Sequence[str], kind: str
) -> bytes:
    """Make the content of the file before it is written."""
    if kind == "html":
        return encode_page(render_visualised(found, origin, names))
    if kind == "json":
        content = to_visualised_json(found, origin, names)
        return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
    with without_font_folder():
        from whence.report.visualised_figure import draw_visualised  # late: it loads matplotlib

        return draw_visualised(found, names)
