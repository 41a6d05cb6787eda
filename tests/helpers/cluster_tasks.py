"""What tests of cluster share."""

from dataclasses import replace
from pathlib import Path

from whence.cluster.worker import (
    Task,
)
from whence.runs.settings import Settings

SETTINGS = Settings(
    data="digits",
    encoder="small_cnn",
    train_examples=20,
    validation_examples=10,
    memory_size=7,
    epochs=1,
    precision="float32",
)
NUMBERS = {"test": {"accuracy": 0.5, "accuracy_draws": None, "images": 8}, "train_seconds": 1.5}


def task_in(folder, **changes):
    names = ("home", "device", "checkpoint_seconds", "features_folder", "probe", "session")
    options = {name: changes.pop(name) for name in names if name in changes}
    return Task(replace(SETTINGS, **changes), folder, options.pop("home", Path.cwd()), **options)
