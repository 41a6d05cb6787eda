"""``whence train-vae``: train the autoencoder that morphing needs."""

from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.options import add_training, build_parser, choose_device, given, parse
from whence.cli.train import name_of_data
from whence.runs.parse import add_setting
from whence.runs.vae_settings import VAE_FIELDS, VAESettings, check_vae_settings


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "train-vae",
        "Train a variational autoencoder on the images of a dataset, an image folder or a table of "
        "labels, and leave a folder that whence morph can use. Labels are not looked at, except to "
        "split.",
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
    from whence.cli.work.train_vae import train_and_describe  # late: it loads torch

    folder = Path(options.out or Path("runs") / f"{name_of_data(settings.data)}-vae")
    train_and_describe(settings, folder, options, device)
