"""The folder of one training, of whatever kind: whose it is, who writes to it, where it goes on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.runs.parse import from_mapping
from whence.runs.settings import first_difference, read_toml, to_toml
from whence.storage.checkpoint import Checkpoint, read_newest_checkpoint
from whence.storage.lock import LOCK, hold
from whence.storage.whole_files import is_leftover, remove_leftovers, write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SETTINGS, METRICS = "settings.toml", "metrics.json"

TUNING = "tuning"
"""Folder, in that of a run or of several, of what was tried before it."""

CHOSEN_LAYERS = "layers.json"
"""File of a run, of which layers of a frozen encoder its training images chose."""

UNLABELLED = "unlabelled"
"""Folder, in that of a run, of the run before it, which answered images without labels."""

ENDINGS = frozenset({".json", ".jsonl", ".safetensors", ".toml"})
"""Of the files that a training writes, and replaces or removes without a look at what they are."""


def check_folder(folder: Path, settings: "DataclassInstance", *, resume: bool) -> None:
    """Refuse a folder that holds something else.

    Args:
        folder: of a training that begins or goes on; need not be there.
        settings: of that training.
        resume: whether it may go on.

    Raises:
        FileExistsError: if it is not empty and may not go on, or was started otherwise.
        ValueError: if its settings are damaged.
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        raise FileExistsError(f"{folder} must be a folder, but {there} is a file.")
    content = list(folder.iterdir()) if folder.exists() else []
    if all(path.name in (LOCK, TUNING, UNLABELLED) or is_leftover(path) for path in content):
        return
    if not resume:
        raise FileExistsError(
            f"{folder} is not empty; choose another --out, or add --resume to go on with its run."
        )
    for path in content:
        if path.suffix in ENDINGS and path.is_dir() and not path.is_symlink():
            raise FileExistsError(f"{path} must be a plain file, it is a folder; remove it.")
    path = folder / SETTINGS
    if not path.exists():
        raise FileExistsError(f"{folder} holds no run that could go on; choose another --out.")
    started = from_mapping(read_toml(path), type(settings), where=str(path))
    difference = first_difference(started, settings)
    if difference is not None:
        raise FileExistsError(
            f"{folder} was started with another {difference}; choose another --out."
        )


def check_folders(folder: Path, runs: Mapping[Path, "DataclassInstance"], *, resume: bool) -> None:
    """Refuse the folders of one training or of several before the first of them begins.

    Args:
        folder: that was asked for: that of the run, or the one that the runs are in.
        runs: settings by the folder of each.
        resume: whether they may go on.

    Raises:
        FileExistsError: as in ``check_folder``, or if several are to be in the folder of another.
        ValueError: as in ``check_folder``.
    """
    if folder not in runs and (folder / SETTINGS).exists():
        raise FileExistsError(
            f"{folder} holds a run, several cannot be in it; choose another --out."
        )
    for place, settings in runs.items():
        check_folder(place, settings, resume=resume)


@contextmanager
def hold_checked(folder: Path, settings: "DataclassInstance", *, resume: bool) -> Iterator[None]:
    """Make a folder, be the only one who writes to it, and look once more whose it is.

    Raises:
        FileExistsError: if another process is writing to it, or ``check_folder`` refuses it.
        ValueError: if its settings are damaged.
    """
    with hold(folder):
        check_folder(folder, settings, resume=resume)  # as nobody else can change it now
        remove_leftovers(folder)
        yield


def begin_or_go_on(folder: Path, settings: "DataclassInstance") -> Checkpoint | None:
    """Write the settings, and read the newest complete checkpoint if there is one.

    Raises:
        ValueError: if the checkpoint does not say what it is of.
    """
    write_whole(folder / SETTINGS, to_toml(settings))
    checkpoint = read_newest_checkpoint(folder)
    if checkpoint is not None:
        run, seconds = checkpoint.numbers.get("run"), checkpoint.numbers.get("seconds")
        if not isinstance(run, dict) or type(seconds) is not float:
            raise ValueError(
                f"{folder} has a checkpoint that does not say its run and seconds; it is damaged."
            )
    return checkpoint


def check_identity(folder: Path, recorded: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to go on with a training of other images, or that is planned otherwise.

    Args:
        folder: of the training, for the message.
        recorded: what it says of itself.
        identity: what it must be, as JSON.

    Raises:
        FileExistsError: naming what differs.
    """
    for name, value in identity.items():
        if recorded.get(name) != value:
            what = name.replace("_fingerprint", " images").replace("_", " ")
            raise FileExistsError(f"{folder} was started with other {what}; choose another --out.")
