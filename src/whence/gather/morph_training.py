"""The training images that others are looked for among: of a run, and of its autoencoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from whence.gather.explained import find_places, take_stored
from whence.memory.bank import Bank
from whence.messages import count
from whence.models.classifier import Classifier
from whence.records.morphed import Start
from whence.records.picture import to_uint8
from whence.report.numbers import percent
from whence.runs.finished import read_run
from whence.runs.folder import METRICS
from whence.runs.load_parts import load_training
from whence.runs.vae_run import read_metrics
from whence.runs.where import AS_SETTINGS_SAY, Where


@dataclass(frozen=True)
class Training:
    """The training images that others are looked for among.

    Attributes:
        images: `(N, C, H, W)` uint8 or float in [0, 1].
        labels: `(N,)` int64.
        indices: `(N,)` int64, the place of each in its dataset.
        sources: one file per image, or None.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    sources: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def start(self, place: int) -> Start:
        """Take one image."""
        return Start(
            int(self.indices[place]),
            int(self.labels[place]),
            None if self.sources is None else self.sources[place],
            to_uint8(self.images[place]),
        )


def check_same_data(folder: Path, run: dict[str, Any], vae_folder: Path, made: object) -> bool:
    """Refuse an autoencoder that was trained on other images than the run.

    Args:
        folder: of the run.
        run: what its ``whence.json`` says of the data.
        vae_folder: of the autoencoder.
        made: what its ``vae.json`` says of the data.

    Returns:
        False where one of the two does not say what it was trained on.

    Raises:
        ValueError: naming both.
    """
    key = "train_fingerprint"
    if not isinstance(made, dict) or not (run.get(key) and made.get(key)):
        return False
    if run[key] != made[key]:
        one, other = (describe_data(about) for about in (made, run))
        raise ValueError(
            f"{vae_folder} must be trained on the images of {folder}: it was trained on {one}, the "
            f"run on {other}; train another with: whence train-vae DATA"
        )
    return True


def describe_data(about: dict[str, Any]) -> str:
    """Name data and the first digits of its hash."""
    return f"{about.get('dataset')} ({str(about['train_fingerprint'])[:8]})"


def describe_quality(vae_folder: Path, made: object) -> str:
    """Say how long an autoencoder was trained, how far it is off, and how to train another.

    Args:
        vae_folder: of the autoencoder.
        made: what its ``vae.json`` says of its training.

    Returns:
        A sentence, shorter where the folder does not tell it.

    Raises:
        ValueError: if the folder's measurement is damaged.
    """
    known = []
    plan = made.get("plan") if isinstance(made, dict) else None
    epochs = plan.get("epochs") if isinstance(plan, dict) else None
    if isinstance(epochs, int):
        known.append(f"it was trained for {count(epochs, 'epoch')}")
    if (vae_folder / METRICS).exists():
        test = read_metrics(vae_folder)["test"]
        images = count(test["images"], "test image")
        known.append(f"its reconstructions of {images} are off by {percent(test['l1'])}")
    command = "whence train-vae DATA --epochs N"
    return f"The command is: {command}" + (f" ({', '.join(known)})." if known else ".")


def choose_training(folder: Path, model: Classifier, *, where: Where = AS_SETTINGS_SAY) -> Training:
    """Take the training images: those in the memory, or the ones that the run was made with.

    Args:
        folder: of the run.
        model: that was loaded from it.
        where: the images are, and may be downloaded to.

    Raises:
        ValueError: if the images are no longer those of the run, or none of them has a label.
    """
    bank = model.bank
    if bank is not None and bank.images is not None:
        kept = (bank.labels >= 0).nonzero().squeeze(1)
        if len(kept) == 0:
            raise ValueError(
                f"{folder} holds a memory without labels, so there is no image of another class to "
                "start from; call model.remember(images, labels) and save it again."
            )
        bank = bank.take(kept)
        # take keeps the images that are there
        return Training(bank.images, bank.labels, bank.indices, bank.sources)  # type: ignore[arg-type]
    chosen, indices = load_training(folder, read_run(folder), where=where)
    return Training(chosen.images, chosen.labels, indices, chosen.sources)


def start_of(bank: Bank, index: int) -> Start:
    """Take the image of a dataset index from a memory that was kept with pixels."""
    place = find_places(bank)[index]
    found = take_stored(bank, place)
    if found.image is None:
        raise ValueError("The memory was saved without its images (no pixels).")
    return Start(index, found.label, found.source, found.image)
