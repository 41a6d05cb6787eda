"""Finished runs: finding them, reading what they are, measuring them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.evidence.evaluate import evaluate
from whence.models.classifier import Classifier
from whence.models.saved import DONE, MODEL, load, read_about
from whence.records.images import Dataset
from whence.runs.measured import describe_evaluation
from whence.runs.parse import from_mapping
from whence.runs.prepare import key_of_images, load_data
from whence.runs.run import SETTINGS
from whence.runs.settings import Settings, read_toml
from whence.runs.untrained import evaluate_untrained


@dataclass(frozen=True)
class Loaded:
    """Images that runs are measured on, and their fingerprint when it is first asked for."""

    dataset: Dataset

    @cached_property
    def test_fingerprint(self) -> str:
        """Compute the fingerprint of the test images."""
        return fingerprint(self.dataset.test)


Cache: TypeAlias = dict[tuple[object, ...], Loaded]
"""Images by what decides which they are, so that several runs load them once."""


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


def read_run(folder: Path) -> dict[str, Any]:
    """Read what a finished run is, with the fields that a repeated measurement needs.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if it is damaged, or the model was not saved by a run.
    """
    about = read_about(folder)
    run = about["run"]
    if not run:
        raise ValueError(
            f"{folder} holds a model that no run has made, without settings and images; "
            "measure it in Python with whence.evaluate(model, images)."
        )
    plan = run.get("plan")
    wanted = {"train_images": int, "seed": int, "test_fingerprint": str}
    if (
        any(type(run.get(name)) is not kind for name, kind in wanted.items())
        or not isinstance(plan, dict)
        or any(type(plan.get(name)) is not int for name in ("memory_size", "seed"))
        or plan["memory_size"] < 1
    ):
        raise ValueError(f"{folder / DONE} must say how its run was made; it is damaged.")
    return about


def load_run_data(folder: Path, about: dict[str, Any], data: str | None) -> Dataset:
    """Load the images of a run, or others that are to be classified like them.

    Raises:
        ValueError: if the images are no longer those that the run was made with, or the other
            images have other classes or another shape.
    """
    return load_once(folder, about, data, {}).dataset


def load_once(folder: Path, about: dict[str, Any], data: str | None, cache: Cache) -> Loaded:
    """Do as ``load_run_data`` does with images that are in the cache, or will be.

    Raises:
        ValueError: see there.
    """
    settings, shape = read_settings(folder), tuple(about["image_shape"])
    key: tuple[object, ...] = (data, settings.data_root, shape)
    if data is None:
        key = key_of_images(settings)
    if key not in cache:
        cache[key] = Loaded(
            load_data(settings) if data is None else load_like(shape, data, settings.data_root)
        )
    dataset = cache[key].dataset
    if data is None and cache[key].test_fingerprint != about["run"]["test_fingerprint"]:
        raise ValueError(
            f"{settings.data} must hold the images that {folder} was made with, they changed; "
            "name other images with --data."
        )
    found = tuple(dataset.test.images.shape[1:])
    if found != shape:
        raise ValueError(f"{dataset.name} must have images of shape {shape}, got {found}.")
    names, classes = dataset.test.class_names, about["classes"]
    if list(names) != classes:
        raise ValueError(
            f"{dataset.name} must have the classes of {folder} ({shorten(classes)}), "
            f"got {shorten(names)}."
        )
    return cache[key]


def load_like(shape: tuple[int, ...], data: str, root: str) -> Dataset:
    """Load images in the ``shape`` `(C, H, W)` of others, as far as that can be."""
    channels, height, width = shape
    size = height if height == width else None
    return load_dataset(data, root=Path(root), size=size, channels=channels)


def shorten(names: Sequence[str]) -> str:
    """List the first names."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def evaluate_run(
    folder: Path,
    *,
    data: str | None,
    device: str,
    seed: int | None,
    batch_size: int,
    controls: bool = True,
    cache: Cache | None = None,
) -> dict[str, Any]:
    """Measure a finished run on its test images, or on others.

    Args:
        folder: of the run.
        data: other images; None takes the run's test images.
        device: where to compute.
        seed: of the drawn memories; None takes the run's.
        batch_size: images encoded at once.
        controls: measure the network before training as well, which encodes everything again.
        cache: of images that other runs loaded; these are added.

    Returns:
        One JSON object, accuracies as fractions, with what identifies the run.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the run is damaged, or its images or pretrained weights changed.
    """
    if seed is not None and not 0 <= seed < 2**63:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {seed}.")
    about = read_run(folder)
    model: Classifier = load(folder, device=device)
    loaded = load_once(folder, about, data, {} if cache is None else cache)
    dataset = loaded.dataset
    plan, settings = about["run"]["plan"], read_settings(folder)
    memory_size = plan["memory_size"]
    if model.bank is not None:
        memory_size = min(memory_size, len(model.bank))
    found = evaluate(
        model,
        dataset.test,
        memory_size=memory_size,
        seed=plan["seed"] if seed is None else seed,
        draw_batch=settings.draw_batch,
        batch_size=batch_size,
    )
    untrained = None
    if controls and model.has_memory:
        untrained = evaluate_untrained(
            model, dataset.test, settings, about["run"], batch_size=batch_size
        )
    return {
        "run": str(folder),
        "data": dataset.name,
        "notes": list(dataset.notes),
        **describe_evaluation(found, untrained),
        "variant": about["variant"],
        "encoder": about["encoder"]["name"],
        "train_images": about["run"]["train_images"],
        "seed": about["run"]["seed"],
        "test_fingerprint": loaded.test_fingerprint,
        "model_sha256": about["sha256"][MODEL],
        "versions": about["versions"],
    }
