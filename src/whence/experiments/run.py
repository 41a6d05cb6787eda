"""One run: train, remember, evaluate, save; resumable at every moment."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from whence.experiments.parse import from_mapping
from whence.experiments.prepare import Parts, prepare
from whence.experiments.settings import Settings, first_difference, read_toml, to_toml
from whence.prediction.checkpoint import (
    Checkpoint,
    find_checkpoints,
    read_newest_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from whence.prediction.evaluate import Accuracy, evaluate
from whence.prediction.files import read_json, write_json, write_whole
from whence.prediction.fit import EpochReport, fit
from whence.prediction.saved import DONE, describe, save
from whence.records import Dataset

SETTINGS, METRICS, LOG, LOCK = "settings.toml", "metrics.json", "log.jsonl", ".lock"
CHECKPOINT_SECONDS = 30.0


def run(
    settings: Settings,
    folder: Path,
    dataset: Dataset,
    *,
    resume: bool = False,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Train one model and leave a run folder; go on with an unfinished one, skip a finished one.

    The validation images are read after training, the test images once, at the end. The mark of a
    finished run is ``whence.json``, written last.

    Args:
        settings: everything that makes the run.
        folder: made if it is not there.
        dataset: the images that the settings name.
        resume: go on from the newest complete checkpoint, or skip a finished run.
        device: where to train.
        checkpoint_seconds: at least so long between two checkpoints; 0 writes one every step.
        batch_size: images encoded at once when evaluating; does not change the result.

    Returns:
        The content of ``metrics.json``.

    Raises:
        FileExistsError: if the folder is not empty and ``resume`` is not set, or the settings
            there are others, or another process is writing to it.
    """
    check_folder(folder, settings, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileExistsError(f"{folder} is being written to by another process.") from error
    try:
        if (folder / DONE).exists():
            remove_checkpoints(folder)
            return read_json(folder / METRICS)
        parts = prepare(settings, dataset)
        write_whole(folder / SETTINGS, to_toml(settings))
        seconds = train(parts, folder, device, checkpoint_seconds)
        metrics = finish(parts, folder, settings, device, seconds, batch_size)
    finally:
        lock.release()
    return metrics


def check_folder(folder: Path, settings: Settings, *, resume: bool) -> None:
    """Refuse a folder that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} must be a folder, it is a file.")
    content = [path for path in folder.iterdir() if path.name != LOCK] if folder.exists() else []
    if not content:
        return
    if not resume:
        raise FileExistsError(
            f"{folder} is not empty; choose another --out, or add --resume to go on with its run."
        )
    if not (folder / SETTINGS).exists():
        raise FileExistsError(f"{folder} holds no run that could go on; choose another --out.")
    there = from_mapping(read_toml(folder / SETTINGS), where=str(folder / SETTINGS))
    difference = first_difference(there, settings)
    if difference is not None:
        raise FileExistsError(
            f"{folder} was started with another {difference}; choose another --out."
        )


def train(parts: Parts, folder: Path, device: str, checkpoint_seconds: float) -> float:
    """Train the model of a run from its newest checkpoint; returns seconds spent, all told."""
    checkpoint = read_newest_checkpoint(folder)
    before = 0.0 if checkpoint is None else float(checkpoint.numbers["seconds"])
    steps = len(parts.train) // min(parts.recipe.batch_size, len(parts.train))
    done = 0 if checkpoint is None else int(checkpoint.numbers["step"])
    trim_log(folder / LOG, epochs=done // steps)
    started = written = time.monotonic()
    parts.model.to(device)
    with tqdm(
        total=parts.plan.epochs, initial=done // steps, unit="epoch", disable=None, leave=False
    ) as bar:

        def on_step(make: Callable[[], Checkpoint]) -> None:
            nonlocal written
            now = time.monotonic()
            if now - written >= checkpoint_seconds:
                made = make()
                numbers = {**made.numbers, "seconds": before + now - started}
                write_checkpoint(folder, Checkpoint(made.tensors, numbers))
                written = now

        def on_epoch(report: EpochReport) -> None:
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(asdict(report)) + "\n")
            bar.set_postfix(loss=f"{report.loss:.3f}", accuracy=f"{report.accuracy:.3f}")
            bar.update(report.epoch - bar.n)

        fit(
            parts.model,
            parts.train,
            recipe=parts.recipe,
            plan=parts.plan,
            resume=checkpoint,
            on_step=on_step,
            on_epoch=on_epoch,
        )
    return before + time.monotonic() - started


def trim_log(path: Path, *, epochs: int) -> None:
    """Drop the lines of epochs that the checkpoint has not seen; they will be run again."""
    if path.exists():
        lines = path.read_text().splitlines()[:epochs]
        write_whole(path, "".join(line + "\n" for line in lines).encode())


def finish(
    parts: Parts, folder: Path, settings: Settings, device: str, seconds: float, batch_size: int
) -> dict[str, Any]:
    """Remember the training images, evaluate, and write what marks the run as done."""
    model, train_set = parts.model, parts.train
    if model.has_memory:
        model.remember(
            train_set.images,
            train_set.labels,
            parts.indices,
            train_set.sources,
            batch_size=batch_size,
        )
    found = {
        name: describe_accuracy(
            evaluate(
                model,
                images,
                memory_size=parts.plan.memory_size,
                seed=parts.plan.seed,
                draw_batch=settings.draw_batch,
                batch_size=batch_size,
            )
        )
        for name, images in (("validation", parts.validation), ("test", parts.test))
        if len(images)
    }
    metrics = {**found, "train_seconds": round(seconds, 3), "device": device}
    write_json(folder / METRICS, metrics)
    about = {
        **parts.identity,
        "recipe": asdict(parts.recipe),
        "plan": asdict(parts.plan),
        "device": device,
    }
    if settings.keep_model:
        save(model, folder, pixels=settings.pixels, about=about)
    else:
        write_json(folder / DONE, {**describe(model), "sha256": {}, "run": about})
    remove_checkpoints(folder)
    return metrics


def remove_checkpoints(folder: Path) -> None:
    """Free the disk of a finished run from what only an unfinished one needs."""
    for step in find_checkpoints(folder):
        remove_checkpoint(folder, step)


def describe_accuracy(accuracy: Accuracy) -> dict[str, Any]:
    """Lay an accuracy out as JSON, all fractions."""
    draws = None
    if accuracy.draws is not None:
        draws = {
            "mean": accuracy.draws_mean,
            "std": accuracy.draws_std,
            "passes": list(accuracy.draws),
        }
    return {
        "images": accuracy.images,
        "accuracy": accuracy.whole_memory,
        "accuracy_draws": draws,
        "per_class": list(accuracy.per_class),
    }
