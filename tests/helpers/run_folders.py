"""Small runs on the digits: how they are made, stopped, looked at and compared."""

import errno
import os

import pytest

from whence.runs import journal
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.storage import tensors as files
from whence.storage.checkpoint import write_checkpoint
from whence.storage.plain_files import read_json
from whence.storage.whole_files import is_leftover

SETTINGS = Settings(
    data="digits",
    train_examples=30,
    validation_examples=20,
    batch_size=10,
    memory_size=12,
    learning_rate=0.05,
    epochs=2,
    precision="float32",
)


STEPS = 6


NAMES = [
    *(
        ".lock",
        "bank.safetensors",
        "images.safetensors",
        "log.jsonl",
        "metrics.json",
        "model.safetensors",
    ),
    *("settings.toml", "whence.json"),
]


def interrupt(folder, dataset, monkeypatch, *, step, settings=SETTINGS, resume=False):
    def write_and_stop(place, checkpoint):
        write_checkpoint(place, checkpoint)
        if checkpoint.numbers["step"] == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_checkpoint", write_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run(settings, folder, dataset, resume=resume, checkpoint_seconds=0)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_same_result(folder, expected):
    for name in (
        "model.safetensors",
        "bank.safetensors",
        "images.safetensors",
        "log.jsonl",
        "settings.toml",
        "whence.json",
    ):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    found, wanted = (read_json(place / "metrics.json") for place in (folder, expected))
    assert {**found, "train_seconds": 0} == {**wanted, "train_seconds": 0}
    assert set(names_in(folder)) >= set(NAMES)


class FullDisk:
    """Fail the n-th call, as a full disk does, or every call from then on."""

    def __init__(self, function, fails_at):
        self.function, self.fails_at, self.calls = function, fails_at, 0

    def __call__(self, *given):
        self.calls += 1
        if self.calls >= self.fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*given)


def assert_nothing_half_written(folder):
    for path in folder.iterdir():
        assert not is_leftover(path)
        if path.suffix == ".json":
            read_json(path)
        if path.suffix == ".safetensors":
            files.read_layouts(path)
