"""Settings: everything that makes a run, in one flat record that a TOML file can hold."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import tomli_w

from whence.encoders import OUTPUT
from whence.memory import HEADS, OF_RUNS, SIMILARITIES, VARIANT
from whence.messages import quote
from whence.runs.column_options import COLUMN_HELP, list_columns
from whence.storage.plain_files import read_small

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CHECKPOINT_SECONDS = 30.0
"""Least time between two checkpoints, unless the command line says another."""

BEST_LAYERS = "best"
"""In place of layers: those that the training images choose."""

DATA_ROOT = "datasets"
"""Folder of the named datasets, unless the user says another."""


def option(default: Any, text: str, choices: Iterable[str] = ()) -> Any:
    """Declare a setting with its default and the sentence that the command line shows for it.

    Args:
        default: the value where none is given.
        text: the sentence.
        choices: the table that the value is a name of; none where the type says all.
    """
    return field(default=default, metadata={"help": text, "choices": tuple(choices)})


def list_choices(names: Iterable[str]) -> str:
    """List names in a sentence.

    >>> list_choices(["one", "two", "three"])
    'one, two or three'
    """
    *others, last = names
    return f"{', '.join(others)} or {last}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one run is made of; None means the default that the explanation names.

    The names and their explanations are the options of ``whence train`` and the keys of a settings
    file. ``whence.runs.prepare`` fills in what is None.
    """

    data: str = field(metadata={"help": "a dataset's name, an image folder, or a table of labels"})
    data_root: str = option(DATA_ROOT, "folder that holds downloaded datasets")
    path_column: str | None = option(None, COLUMN_HELP["path"])
    label_column: str | None = option(None, COLUMN_HELP["label"])
    group_column: str | None = option(None, COLUMN_HELP["group"])
    split_column: str | None = option(None, COLUMN_HELP["split"])
    weight_column: str | None = option(None, COLUMN_HELP["weight"])
    corrections: str | None = option(
        None,
        "a table of suspicious labels that whence report wrote, with the labels that a person "
        "filled in: they are corrected, and no image changes its part",
    )
    before: str | None = option(
        None,
        "the run whose labels are corrected, to show its accuracy beside the new one; by default "
        "the one that the table of --corrections names",
    )
    fold: str | None = option(
        None, "K/N: test on the K-th of N folds, learn from all others; --folds N does so for each"
    )
    size: int | None = option(None, "height and width that images are brought to, in pixels")
    train_examples: int | None = option(None, "training images to use; all of them by default")
    validation_examples: int | None = option(
        None, "validation images; by default 6,000 of large datasets, a tenth of small ones"
    )
    encoder: str | None = option(
        None,
        "small_cnn, resnet18, ..., torchvision:NAME or timm:NAME; by default small_cnn up to 64 "
        "pixels and resnet18 above",
    )
    weights: str | None = option(
        None, "pretrained weights of the encoder: 'default', or a .safetensors, .pt or .pth file"
    )
    layers: str | None = option(
        None,
        "names of layers of the encoder with commas between them, output among them being its own; "
        "their means over the image are the features; all: all of its depths; best: those that "
        "answer most training images right, each left out in turn, of a frozen encoder (whence "
        "encoders --layers compares them); by default best of a frozen encoder, output of one that "
        "learns and by recipe paper",
    )
    freeze_encoder: bool = option(False, "train the head alone, on features encoded once")
    variant: str | None = option(
        None,
        f"which head: {list_choices(HEADS)}; standard has no memory; by default {OF_RUNS}, and "
        f"{VARIANT} by recipe paper",
        HEADS,
    )
    similarity: str = option(
        "cosine", f"of two images' features: {list_choices(SIMILARITIES)}", SIMILARITIES
    )
    classifier: Literal["mlp", "linear"] | None = option(
        None, "last layers: mlp or linear; by default mlp, and linear for standard"
    )
    memory_size: int | None = option(
        None, "images drawn into the memory at every step; at most 100 by default"
    )
    balance: Literal["none", "loss", "sampling", "memory"] = option(
        "none",
        "how classes of unequal size count alike: none, loss (images of rare classes weigh more), "
        "sampling (batches with as many images of every class) or memory (memories of such)",
    )
    recipe: Literal["default", "paper", "vit", "finetune", "at-once"] | None = option(
        None,
        "default, paper, vit, finetune or at-once; by default default, vit for vit, finetune with "
        "weights, at-once for votes of a frozen encoder",
    )
    epochs: int | None = option(
        None,
        "by default 80 for votes of a frozen encoder, else 40, or more to make 2,000 steps; recipe "
        "paper has the paper's where it names them, else makes 800 steps",
    )
    budget: str | None = option(
        None,
        "wall time that the training may take, such as 90s, 10m or 1h, in place of epochs: how "
        "many fit is measured at the start and kept",
    )
    batch_size: int | None = option(None, "images per step; the recipe's by default")
    optimizer: Literal["sgd", "adam", "adamw"] | None = option(None, "sgd, adam or adamw")
    learning_rate: float | None = option(None, "the recipe's by default")
    momentum: float | None = option(None, "the recipe's by default")
    nesterov: bool | None = option(None, "Nesterov's momentum; the recipe's by default")
    weight_decay: float | None = option(None, "the recipe's by default")
    schedule: Literal["steps", "cosine"] | None = option(
        None,
        "of the learning rate: steps (to a tenth at each milestone) or cosine (along half a "
        "cosine); the recipe's by default",
    )
    milestones: tuple[int, ...] | None = option(
        None, "epochs after which the rate falls to a tenth; by default half and three quarters"
    )
    augmentation: Literal["none", "flip", "crop_flip", "shift", "shift_flip"] | None = option(
        None,
        "none, flip, crop_flip, shift or shift_flip; the recipe's by default, for paper flip for "
        "cifar10 and cinic10, else none",
    )
    mirror: Literal["yes", "no"] | None = option(
        None,
        "yes or no: whether training mirrors images left to right; by default recipe default does "
        "where mirrored images are recognised as well",
    )
    mixing: Literal["mixup", "cutmix"] | None = option(
        None,
        "mixup (another image of the batch laid over each) or cutmix (a box of it laid into each), "
        "the labels in the same shares; by default images stay apart",
    )
    label_smoothing: float | None = option(None, "in [0, 1); the recipe's by default")
    sharpness_radius: float | None = option(
        None,
        "sharpness-aware steps: take every gradient so far uphill from the parameters, such as "
        "0.05, at twice the time; the recipe's by default, which is 0",
    )
    weight_averaging: float | None = option(
        None,
        "in [0, 1): answer by the mean of the weights over the last steps, of which so much stays "
        "at every step, such as 0.99; the recipe's by default, which is 0: the last weights alone",
    )
    target_recall: str | None = option(
        None,
        "CLASS=SHARE, such as defective=0.95: answer the class from a threshold on that finds this "
        "share of its validation images",
    )
    cost: str | None = option(
        None,
        "CLASS=TIMES, such as defective=10, in place of --target-recall: missing the class costs "
        "so many times the reverse, and its threshold is the one of least cost",
    )
    normalisation: Literal["weights", "paper", "images"] | None = option(
        None,
        "whose mean and deviation: what the weights expect, the paper's, or the training images'; "
        "by default the first of these that there is",
    )
    mean: tuple[float, ...] | None = option(
        None, "per channel, in [0, 1], in place of --normalisation"
    )
    std: tuple[float, ...] | None = option(None, "per channel, in place of --normalisation")
    compat: Literal["none", "authors"] = option(
        "none", "'authors': a training image in the memory may attend to itself, as in their code"
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto",
        "auto is bfloat16 where the hardware multiplies it and the network gains, else float32",
    )
    pixels: bool = option(True, "keep the memory images themselves in the run folder")
    keep_model: bool = option(
        True, "keep the trained model in the run folder, not its numbers alone"
    )
    keep_checkpoints: int | None = option(
        None,
        "keep the model as it was at the start and after every so many epochs, to look back at "
        "with whence visualise",
    )
    draw_batch: int = option(
        500, "test images that share one drawn memory, in the paper's protocol"
    )
    seed: int = option(
        0,
        "of the validation images, the start, the batches and the memories; the test images of a "
        "folder without test/ are drawn with seed 0 for all runs, so that they can be compared",
    )

    def __post_init__(self) -> None:
        check_texts(asdict(self).items())

    @property
    def columns(self) -> dict[str, str]:
        """Name the columns of a table of labels that were chosen, by what they say."""
        return list_columns(asdict(self))

    @property
    def named_layers(self) -> tuple[str, ...]:
        """Name the layers of the encoder whose means are the features; none for its output."""
        names = tuple(one.strip() for one in (self.layers or "").split(",") if one.strip())
        return () if names == (OUTPUT,) else names

    @property
    def chooses_layers(self) -> bool:
        """Say whether the training images choose the layers."""
        unsaid = self.layers is None and self.freeze_encoder and self.recipe != "paper"
        return unsaid or self.layers == BEST_LAYERS

    @property
    def head(self) -> str:
        """Name the variant that is trained: the one given, or the default."""
        if self.variant is not None:
            return self.variant
        return VARIANT if self.recipe == "paper" else OF_RUNS


FIELDS: Mapping[str, Field[Any]] = MappingProxyType({f.name: f for f in fields(Settings)})
"""Every setting by name."""


AnySettings = TypeVar("AnySettings", bound="DataclassInstance")
"""The settings of a training, of whatever kind."""


def check_texts(values: Iterable[tuple[str, object]]) -> None:
    """Refuse empty texts, and those that no settings file can hold: not UTF-8, as files may be.

    Args:
        values: names and values of settings.

    Raises:
        ValueError: naming the first such setting.
    """
    for name, value in values:
        if value == "":
            raise ValueError(f"{name} must not be empty.")
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{name} must be text in UTF-8, which settings.toml holds, "
                    f"got {quote(value)}; rename it."
                ) from error


def to_toml(settings: "DataclassInstance") -> bytes:
    """Write settings as TOML; what is None is left out."""
    given = {name: value for name, value in asdict(settings).items() if value is not None}
    lists = {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
    return tomli_w.dumps(lists).encode()


def read_toml(path: Path) -> dict[str, Any]:
    """Read a small TOML file.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is not TOML.
    """
    content = read_small(path)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be TOML, it is damaged ({error}).") from error


def first_difference(one: AnySettings, other: AnySettings) -> str | None:
    """Name the first setting in which two trainings differ, with both values.

    Where the datasets lie does not count: fingerprints say whether the images are the same.
    """
    for name in (setting.name for setting in fields(one)):
        if name != "data_root" and getattr(one, name) != getattr(other, name):
            return f"{name} ({quote(getattr(one, name))} and {quote(getattr(other, name))})"
    return None
