import shutil
from pathlib import Path

import pytest

import whence
from tests.helpers.saved_models import draw_images, make


@pytest.fixture(scope="session")
def saved_images():
    return draw_images()


@pytest.fixture(scope="session")
def stored_images(saved_images):
    """What models that are saved remember."""
    return saved_images.flip(-1)[:6]


@pytest.fixture(scope="session")
def good(stored_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "run"
    whence.save(make(stored_images), folder)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    """A saved model that may be damaged."""
    return Path(shutil.copytree(good, tmp_path / "run"))
