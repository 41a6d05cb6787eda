"""One autoencoder: train, measure, save; resumable at every moment."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whence.autoencoders import VAES
from whence.autoencoders.fit_vae import VAEPlan, VAEReport, check_vae_plan, fit_vae
from whence.autoencoders.measure_vae import measure_reconstruction
from whence.autoencoders.saved_vae import DONE, read_about_vae, write_vae
from whence.autoencoders.vae import VAE
from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.data.split import split
from whence.records.images import Dataset
from whence.runs.finish import METRICS
from whence.runs.journal import keep_journal
from whence.runs.run import SETTINGS
from whence.runs.settings import CHECKPOINT_SECONDS, read_toml
from whence.runs.vae_settings import (
    VAESettings,
    check_vae_settings,
    first_vae_difference,
    vae_settings_to_toml,
)
from whence.storage.checkpoint import Checkpoint, read_newest_checkpoint, remove_checkpoints
from whence.storage.lock import LOCK, hold
from whence.storage.plain_files import read_json
from whence.storage.whole_files import is_leftover, remove_leftovers, write_json, write_whole

LEAST_EPOCHS, LEAST_STEPS = 20, 4000


@dataclass(frozen=True)
class VAEParts:
    """What a training starts from: images, a fresh autoencoder, a plan, and JSON naming them."""

    train: Tensor
    validation: Tensor
    test: Tensor
    vae: VAE
    plan: VAEPlan
    identity: dict[str, Any]


def load_vae_data(settings: VAESettings) -> Dataset:
    """Load the images that settings name."""
    return load_dataset(settings.data, root=Path(settings.data_root), size=settings.size, seed=0)


def prepare_vae(settings: VAESettings, dataset: Dataset) -> VAEParts:
    """Split the images, build the autoencoder from the seed alone, and fix the plan.

    Raises:
        ValueError: if the settings and the images do not go together.
    """
    check_vae_settings(settings)
    parts = split(
        dataset.train.labels,
        seed=settings.seed,
        train_examples=settings.train_examples,
        validation_examples=settings.validation_examples,
    )
    total = len(parts.train)
    plan = VAEPlan(
        epochs=settings.epochs or choose_epochs(total, settings.batch_size),
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        patience=settings.patience,
        seed=settings.seed,
    )
    check_vae_plan(plan, total)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        vae = VAES[settings.vae](tuple(dataset.train.images.shape[1:]), codes=settings.codes)
    if settings.variance is not None:
        vae.calibrated = False
        vae.variance.fill_(settings.variance)
    identity = {
        "dataset": dataset.name,
        "train_fingerprint": fingerprint(dataset.train),
        "test_fingerprint": fingerprint(dataset.test),
        "train_images": total,
        "validation_images": len(parts.validation),
        "test_images": len(dataset.test),
        "vae": settings.vae,
        "codes": settings.codes,
        "variance": settings.variance,
        "plan": asdict(plan),
    }
    images = dataset.train.images
    return VAEParts(
        images[parts.train], images[parts.validation], dataset.test.images, vae, plan, identity
    )


def choose_epochs(total: int, batch_size: int) -> int:
    """Return how often the images are seen when nobody says."""
    return max(LEAST_EPOCHS, -(-LEAST_STEPS // (total // min(batch_size, total))))


def train_vae(
    settings: VAESettings,
    folder: Path,
    dataset: Dataset,
    *,
    resume: bool = False,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> dict[str, Any]:
    """Train one autoencoder and leave a folder; go on with an unfinished one, skip a finished one.

    The validation images choose the epoch, the test images are read once, at the end. The mark of
    a finished folder is ``vae.json``, written last.

    Args:
        settings: everything that makes the training.
        folder: made if it is not there; nothing is written if settings and images do not fit.
        dataset: the images that the settings name.
        resume: go on from the newest complete checkpoint, or skip a finished training.
        device: where to train.
        checkpoint_seconds: at least so long between two checkpoints; 0 writes one every step.

    Returns:
        The content of ``metrics.json``.

    Raises:
        FileExistsError: if the folder is not empty and ``resume`` is not set, or the settings or
            images there are others, or another process is writing to it.
        ValueError: if settings and images do not fit, or the bound becomes NaN.
    """
    check_vae_folder(folder, settings, resume=resume)
    parts = prepare_vae(settings, dataset)
    with hold(folder):
        check_vae_folder(folder, settings, resume=resume)  # as nobody else can change it now
        remove_leftovers(folder)
        if (folder / DONE).exists():
            check_identity(folder, read_about_vae(folder)["run"], parts)
            remove_checkpoints(folder)
            return read_metrics(folder)
        write_whole(folder / SETTINGS, vae_settings_to_toml(settings))
        checkpoint = read_newest_checkpoint(folder)
        if checkpoint is not None:
            check_identity(folder, checkpoint.numbers.get("run"), parts)
            if type(checkpoint.numbers.get("seconds")) is not float:
                raise ValueError(f"{folder} has a checkpoint without its seconds; it is damaged.")
        seconds = go_through(parts, folder, checkpoint, device, checkpoint_seconds)
        return finish_vae(parts, folder, seconds, device)


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read what ``finish_vae`` measured.

    Raises:
        ValueError: if numbers are missing.
    """
    metrics = read_json(folder / METRICS)
    test, seconds = metrics.get("test"), metrics.get("train_seconds")
    numbers = [test.get(key) for key in ("l1", "mse", "elbo")] if isinstance(test, dict) else [None]
    whole = all(type(number) is float for number in (seconds, *numbers))
    if not (whole and isinstance(test, dict) and type(test.get("images")) is int):
        raise ValueError(
            f"{folder / METRICS} must hold the numbers of a finished training; it is damaged."
        )
    return metrics


def check_vae_folder(folder: Path, settings: VAESettings, *, resume: bool) -> None:
    """Refuse a folder that holds something else."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        raise FileExistsError(f"{folder} must be a folder, but {there} is a file.")
    content = list(folder.iterdir()) if folder.exists() else []
    if all(path.name == LOCK or is_leftover(path) for path in content):
        return
    if not resume:
        raise FileExistsError(
            f"{folder} is not empty; choose another --out, or add --resume to go on with it."
        )
    if not (folder / SETTINGS).exists():
        raise FileExistsError(f"{folder} holds no training to go on with; choose another --out.")
    difference = first_vae_difference(read_toml(folder / SETTINGS), settings)
    if difference is not None:
        raise FileExistsError(
            f"{folder} was started with another {difference}; choose another --out."
        )


def check_identity(folder: Path, recorded: object, parts: VAEParts) -> None:
    """Refuse a checkpoint or a finished autoencoder of other images or another plan."""
    if not isinstance(recorded, dict):
        raise ValueError(f"{folder} does not say what it was trained on; it is damaged.")
    for name, value in parts.identity.items():
        if recorded.get(name) != value:
            what = name.replace("_fingerprint", " images").replace("_", " ")
            raise FileExistsError(f"{folder} was started with other {what}; choose another --out.")


def go_through(
    parts: VAEParts,
    folder: Path,
    checkpoint: Checkpoint | None,
    device: str,
    checkpoint_seconds: float,
) -> float:
    """Train from a checkpoint if there is one; return all seconds spent."""
    parts.vae.to(device)
    with keep_journal(
        folder,
        checkpoint,
        epochs=parts.plan.epochs,
        steps=len(parts.train) // min(parts.plan.batch_size, len(parts.train)),
        identity=parts.identity,
        checkpoint_seconds=checkpoint_seconds,
    ) as journal:

        def on_epoch(report: VAEReport) -> None:
            journal.on_epoch(report.epoch, report, train=f"{report.train_elbo:.1f}")

        fit_vae(
            parts.vae,
            parts.train,
            parts.validation,
            plan=parts.plan,
            resume=checkpoint,
            on_step=journal.on_step,
            on_epoch=on_epoch,
        )
        return journal.seconds


def finish_vae(parts: VAEParts, folder: Path, seconds: float, device: str) -> dict[str, Any]:
    """Measure the reconstructions and write what marks the folder as finished."""
    measured = {
        name: asdict(measure_reconstruction(parts.vae, images, seed=parts.plan.seed))
        for name, images in (("validation", parts.validation), ("test", parts.test))
        if len(images) > 0
    }
    metrics = {**measured, "train_seconds": round(seconds, 3), "device": device}
    write_json(folder / METRICS, metrics)
    write_vae(parts.vae, folder, about={**parts.identity, "device": device})
    remove_checkpoints(folder)
    return metrics
