import pytest

from tests.helpers.attributing import draw


@pytest.fixture
def images(rng):
    return draw(rng, 3)


@pytest.fixture
def stored(rng):
    return draw(rng, 9)[2:]  # seven
