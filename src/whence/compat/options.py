"""The options of the paper's ``train.py``, which ``whence train train.yaml`` takes beside ours."""

import argparse

from jsonargparse import ArgumentParser, Namespace

from whence.compat.names import MODALITIES
from whence.messages import quote

AUTHORS_OPTIONS = ("--modality", "--continue-train", "--log-interval")


def add_authors_options(parser: ArgumentParser) -> None:
    """Add the authors' options to the parser of ``whence train``."""
    group = parser.add_argument_group("options of the paper's code, for its train.yaml")
    modality, going_on, interval = AUTHORS_OPTIONS
    group.add_argument(
        modality,
        type=str,
        metavar="CHOICE",
        help=f"{', '.join(MODALITIES)}: the head, as --variant",
    )
    group.add_argument(
        going_on, type=bool, nargs="?", const=True, metavar="BOOL", help="the same as --resume"
    )
    group.add_argument(interval, type=int, help=argparse.SUPPRESS)


def read_authors_options(options: Namespace) -> None:
    """Put our options in place of the authors' ones that were given; one of them says nothing here.

    Raises:
        ValueError: if the modality is unknown, or a variant was given beside it.
    """
    modality = options.modality
    if modality is not None:
        if modality not in MODALITIES:
            raise ValueError(
                f"Unknown modality {quote(modality)}. Choose from: {', '.join(MODALITIES)}."
            )
        if options.variant is not None:
            raise ValueError("modality and variant both name the head, give one of them.")
        options.variant = MODALITIES[modality]
    options.resume = options.resume or bool(options.continue_train)
