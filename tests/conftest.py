from dataclasses import replace

import pytest
import torch

from tests.helpers.measured_runs import SETTINGS
from whence.data.load import load_dataset
from whence.runs.run import run


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def measured_digits():
    """The digits, with fewer test images."""
    dataset = load_dataset("digits")
    return replace(dataset, test=dataset.test.take(torch.arange(60)))


@pytest.fixture(scope="session")
def measured_run(measured_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "run"
    run(SETTINGS, folder, measured_digits)
    return folder


@pytest.fixture(scope="session")
def standard_run(measured_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "standard"
    run(replace(SETTINGS, variant="standard"), folder, measured_digits)
    return folder
