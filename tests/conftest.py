import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: also for the processes of tests

import pytest
import torch


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)
