"""Small runs on the digits, finished and interrupted."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.run_folders import SETTINGS, interrupt
from whence.data.load import load_dataset
from whence.runs.run import run


@pytest.fixture(scope="session")
def digits():
    """The digits, with fewer test images."""
    dataset = load_dataset("digits")
    return replace(dataset, test=dataset.test.take(torch.arange(40)))


@pytest.fixture(scope="session")
def finished(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(SETTINGS, folder, digits)
    return folder


@pytest.fixture
def interrupted(digits, tmp_path, monkeypatch):
    """A run that was stopped after its fourth step, with a checkpoint at every step."""
    folder = tmp_path / "interrupted"
    interrupt(folder, digits, monkeypatch, step=4)
    return folder
