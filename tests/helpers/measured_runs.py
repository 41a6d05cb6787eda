"""Small runs on the digits that were measured: how they are made, and measured again."""

import pytest

from whence.runs.evaluate_run import evaluate_run
from whence.runs.settings import Settings

SETTINGS = Settings(
    data="digits",
    train_examples=50,
    validation_examples=70,
    batch_size=10,
    memory_size=15,
    learning_rate=0.05,
    epochs=2,
    precision="float32",
    variant="memory-wrap",
    seed=3,
)


def measure(folder, **options):
    return evaluate_run(folder, data=None, device="cpu", seed=None, batch_size=50, **options)


def assert_same(found, expected):
    """Compare JSON; numbers may differ as float32 does."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == expected
