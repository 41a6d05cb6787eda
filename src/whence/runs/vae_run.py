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
from whence.models.sound import check_sound
from whence.records.images import Dataset
from whence.runs.divide import divide
from whence.runs.folder import METRICS, begin_or_go_on, check_folder, check_identity, hold_checked
from whence.runs.journal import keep_journal
from whence.runs.settings import CHECKPOINT_SECONDS
from whence.runs.vae_settings import VAESettings, check_vae_settings
from whence.seeds import seed_global
from whence.storage.checkpoint import Checkpoint, remove_checkpoints
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.progress import LOWER

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
    """Load the images that settings name, in the size and channels that they name."""
    return load_dataset(
        settings.data,
        root=Path(settings.data_root),
        size=settings.size,
        channels=settings.channels,
        seed=0,
        columns=settings.columns,
    )


def prepare_vae(settings: VAESettings, dataset: Dataset) -> VAEParts:
    """Split the images, build the autoencoder from the seed alone, and fix the plan.

    Raises:
        ValueError: if the settings and the images do not go together.
    """
    check_vae_settings(settings)
    parts = divide(dataset, settings)
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
        seed_global(settings.seed)
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
    check_folder(folder, settings, resume=resume)
    parts = prepare_vae(settings, dataset)
    with hold_checked(folder, settings, resume=resume):
        if (folder / DONE).exists():
            check_identity(folder, read_about_vae(folder)["run"], parts.identity)
            remove_checkpoints(folder)
            return read_metrics(folder)
        checkpoint = begin_or_go_on(folder, settings)
        if checkpoint is not None:
            check_identity(folder, checkpoint.numbers["run"], parts.identity)
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
        seconds = journal.seconds
    check_sound("After the last step the vae", parts.vae.state_dict(), hint=f"; {LOWER}")
    return seconds


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
