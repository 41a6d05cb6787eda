import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one a worker, and in processes that tests start

import pytest
import torch
from filelock import FileLock

from tests.helpers.measured_runs import SETTINGS
from tests.helpers.morph_runs import split_by_code, train_morph_runs
from whence.data.load import load_dataset
from whence.runs.run import run

LONG = ("test_torchrun", "test_cluster", "test_resume", "test_distributed", "test_frozen_together")
"""Files of few tests that take long; they come first, so that no worker waits for one at the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk():
    """Half of what a small run takes is waiting for the disk, against a loss of power; none comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


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


@pytest.fixture(scope="session")
def digits():
    """All of the digits."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def morph_runs(tmp_path_factory):
    """A run with a memory, one without, and an autoencoder of the same images.

    The first of several workers makes them, the others wait.
    """
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "morph"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "made").exists():
            train_morph_runs(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def coded(morph_runs, digits):
    """Test images that the autoencoder is good enough for, and such that it is not."""
    return split_by_code(morph_runs, digits.test.images[:60])
