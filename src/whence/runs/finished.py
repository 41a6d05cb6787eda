"""Finished runs: finding them, and reading what they are."""

from pathlib import Path
from typing import Any

from whence.bounds import MANY
from whence.models.about import DONE, read_about
from whence.runs.folder import SETTINGS
from whence.runs.parse import from_mapping
from whence.runs.settings import Settings, read_toml


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
    return from_mapping(read_toml(folder / SETTINGS), Settings, where=str(folder / SETTINGS))


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
        or not is_list_of_counts(run.get("class_counts", [0] * len(about["classes"])), about)
    ):
        raise ValueError(f"{folder / DONE} must say how its run was made; it is damaged.")
    return about


def is_list_of_counts(counts: object, about: dict[str, Any]) -> bool:
    """Say whether a value read from JSON is a number of images for each class."""
    return (
        isinstance(counts, list)
        and len(counts) == len(about["classes"])
        and all(type(one) is int and 0 <= one <= MANY for one in counts)
    )
