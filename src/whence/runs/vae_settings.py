"""Settings of an autoencoder's training; loads no torch."""

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from whence.autoencoders import VAES
from whence.bounds import check_number, check_numbers
from whence.messages import quote
from whence.runs.column_options import COLUMN_HELP, list_columns
from whence.runs.settings import DATA_ROOT, check_texts, option

DEFAULT = next(iter(VAES))


@dataclass(frozen=True, kw_only=True)
class VAESettings:
    """What one training is made of: the options of ``whence train-vae``.

    ``epochs`` that are None become at least 20, and at least 4,000 steps.
    """

    data: str = field(
        metadata={"help": "a dataset's name, an image folder, or a table of labels (.csv, .tsv)"}
    )
    data_root: str = option(DATA_ROOT, "folder that holds downloaded datasets")
    path_column: str | None = option(None, COLUMN_HELP["path"])
    label_column: str | None = option(None, COLUMN_HELP["label"])
    group_column: str | None = option(None, COLUMN_HELP["group"])
    split_column: str | None = option(None, COLUMN_HELP["split"])
    size: int | None = option(None, "height and width that images are brought to, in pixels")
    channels: int | None = option(
        None,
        "1 (grey) or 3 (colour): those that the run to morph takes, 3 with networks of torchvision "
        "and timm; by default those of the images",
    )
    vae: str = option(DEFAULT, ", ".join(VAES))
    codes: int = option(100, "numbers in a code")
    train_examples: int | None = option(None, "training images to use; all of them by default")
    validation_examples: int | None = option(
        None, "validation images; by default 6,000 of large datasets, a tenth of small ones"
    )
    epochs: int | None = option(None, "by default 20, or more to make 4,000 steps")
    batch_size: int = option(128, "images per step")
    learning_rate: float = option(1e-3, "of Adam, at the start; it falls along half a cosine")
    variance: float | None = option(
        None, "of a pixel in [0, 1], fixed; by default it follows the mean squared error"
    )
    patience: int = option(10, "epochs without a better validation bound before it stops; 0: never")
    seed: int = option(0, "of the split, the start, the batches and the sampled codes")

    def __post_init__(self) -> None:
        check_texts(asdict(self).items())

    @property
    def columns(self) -> dict[str, str]:
        """Name the columns of a table of labels that were chosen, by what they say."""
        return list_columns(asdict(self))


VAE_FIELDS: Mapping[str, Field[Any]] = MappingProxyType({f.name: f for f in fields(VAESettings)})
"""Every setting by name."""


def check_vae_settings(settings: VAESettings) -> None:
    """Refuse what the settings alone decide, before any image is read.

    Raises:
        ValueError: naming the setting, what it must be and what came.
    """
    if settings.vae not in list(VAES):
        raise ValueError(f"Unknown vae {quote(settings.vae)}. Choose from: {', '.join(VAES)}.")
    check_numbers(asdict(settings).items())
    if settings.channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {settings.channels}.")
    check_number("batch_size", settings.batch_size, least=2)
    check_number("learning_rate", settings.learning_rate, above=0)
