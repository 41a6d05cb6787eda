"""``whence train-vae``: train the autoencoder that morphing needs."""

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from whence.cli.options import add_training, build_parser, choose_device, given, parse
from whence.cli.plain_text import escape, print_note
from whence.runs.parse import add_setting
from whence.runs.vae_settings import VAE_FIELDS, VAESettings, check_vae_settings


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "train-vae",
        "Train a variational autoencoder on the images of a dataset or an image folder, and leave "
        "a folder that whence morph can use. Labels are not looked at, except to split.",
    )
    parser.add_argument("data", type=str, metavar="DATA", help=VAE_FIELDS["data"].metadata["help"])
    parser.add_argument("--out", type=str, help="folder; by default runs/ and the data's name-vae")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the training in --out, or skip it if done"
    )
    add_training(parser)
    group = parser.add_argument_group("settings")
    for name, setting in VAE_FIELDS.items():
        if name != "data":
            add_setting(group.add_argument, setting)
    return parser


def train_vae(arguments: list[str]) -> None:
    """Train one autoencoder and print how well it reconstructs."""
    options = parse(build(), arguments)
    values = {name: value for name, value in given(options).items() if name in VAE_FIELDS}
    settings = VAESettings(**values)
    check_vae_settings(settings)
    device = choose_device(options.device)
    from whence.runs import vae_run as work  # late: it loads torch

    dataset = work.load_vae_data(settings)
    for note in dataset.notes:
        print_note(note)
    folder = Path(options.out or Path("runs") / f"{Path(settings.data).resolve().name}-vae")
    metrics = work.train_vae(
        settings,
        folder,
        dataset,
        resume=options.resume,
        device=device,
        checkpoint_seconds=options.checkpoint_seconds,
    )
    print(json.dumps({str(folder): metrics}) if options.json else describe(folder, metrics))


def describe(folder: Path, metrics: dict[str, Any]) -> str:
    """Say in a line how far reconstructions are from test images."""
    test = metrics["test"]
    return (
        f"{escape(str(folder))}: reconstructions of {test['images']} test images are off by "
        f"{test['l1']:.4f} of the range of a pixel (squared: {test['mse']:.5f}), bound "
        f"{test['elbo']:.1f} nats ({metrics['train_seconds']:.0f} s of training)"
    )
