"""Finished runs: finding them, reading what they are, measuring them again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.data.fingerprint import fingerprint
from whence.experiments.parse import from_mapping
from whence.experiments.prepare import load_data
from whence.experiments.run import SETTINGS, describe_accuracy
from whence.experiments.settings import Settings, read_toml
from whence.prediction.evaluate import evaluate
from whence.prediction.model import Classifier
from whence.prediction.saved import DONE, load, read_about
from whence.records import Dataset


def find_runs(folder: Path) -> list[Path]:
    """List the finished runs at or directly below a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    if (folder / DONE).exists():
        return [folder]
    below = sorted(path.parent for path in folder.glob(f"*/{DONE}"))
    if not below:
        read_about(folder)  # says what is missing
    return below


def read_settings(folder: Path) -> Settings:
    """Read the settings that a run was made with."""
    return from_mapping(read_toml(folder / SETTINGS), where=str(folder / SETTINGS))


def load_run_data(folder: Path, about: dict[str, Any], data: str | None) -> Dataset:
    """Load the images of a run, or others that are to be classified like them.

    Raises:
        ValueError: if the images are no longer those that the run was made with, or the other
            images have other classes or another shape.
    """
    settings = read_settings(folder)
    height, width = about["image_shape"][1:]
    if data is not None:
        size = height if height == width else None
        settings = replace(settings, data=data, size=settings.size or size)
    dataset = load_data(settings)
    if data is None and fingerprint(dataset.test) != about["run"].get("test_fingerprint"):
        raise ValueError(
            f"{settings.data} must hold the images that {folder} was made with, they changed; "
            "name other images with --data."
        )
    if list(dataset.test.class_names) != about["classes"]:
        raise ValueError(
            f"{dataset.name} must have the classes of {folder} ({', '.join(about['classes'][:5])}"
            f"{', ...' if len(about['classes']) > 5 else ''}), "
            f"got {', '.join(dataset.test.class_names[:5])}."
        )
    return dataset


def evaluate_run(
    folder: Path, *, data: str | None, device: str, seed: int | None, batch_size: int
) -> dict[str, Any]:
    """Measure a finished run on its test images, or on others.

    Returns:
        One JSON object, accuracies as fractions, with what identifies the run.
    """
    about = read_about(folder)
    model: Classifier = load(folder, device=device)
    dataset = load_run_data(folder, about, data)
    plan, settings = about["run"]["plan"], read_settings(folder)
    memory_size = plan["memory_size"]
    if model.bank is not None:
        memory_size = min(memory_size, len(model.bank))
    accuracy = evaluate(
        model,
        dataset.test,
        memory_size=memory_size,
        seed=plan["seed"] if seed is None else seed,
        draw_batch=settings.draw_batch,
        batch_size=batch_size,
    )
    return {
        "run": str(folder),
        "data": dataset.name,
        **describe_accuracy(accuracy),
        "variant": about["variant"],
        "encoder": about["encoder"]["name"],
        "train_images": about["run"]["train_images"],
        "seed": about["run"]["seed"],
        "test_fingerprint": fingerprint(dataset.test),
        "model_sha256": about["sha256"].get("model.safetensors"),
        "versions": about["versions"],
    }
