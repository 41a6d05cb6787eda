"""Train an autoencoder and print how well it reconstructs."""

import json
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.plain_text import escape, print_note
from whence.runs.folder import check_folder
from whence.runs.vae_run import load_vae_data, train_vae
from whence.runs.vae_settings import VAESettings


def train_and_describe(
    settings: VAESettings, folder: Path, options: Namespace, device: str
) -> None:
    """Train one autoencoder and say how well it reconstructs."""
    check_folder(folder, settings, resume=options.resume)  # before images are read
    dataset = load_vae_data(settings)
    for note in dataset.notes:
        print_note(note)
    metrics = train_vae(
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
