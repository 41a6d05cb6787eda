"""Folders whose names settings.toml cannot hold: refused before any work, by every door."""

import os
import sys
from dataclasses import replace

import pytest

from tests.helpers.bad_input import DIGITS, QUICK
from whence.runs.settings import Settings
from whence.runs.vae_settings import VAESettings

MESSAGE = "must be text in UTF-8, which settings.toml holds, got '"
ODD = os.fsdecode(b"photos\xff")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")


@pytest.fixture
def odd(photos):
    """A training folder with a name that is not UTF-8."""
    return photos.rename(photos.with_name(ODD))


@pytest.mark.parametrize("command", ["train", "train-vae"])
def test_a_training_folder_is_refused_before_its_images_are_read(fails, odd, command):
    (odd / "a" / "0.png").write_bytes(b"no image")  # would be said if it were read
    fails(command, odd, *QUICK, "--out", "new", message=f"data {MESSAGE}")
    fails(command, odd / "a", *QUICK, "--out", "new", message="photos\\udcff/a'; rename it.")


def test_other_paths_of_a_run_are_refused_as_well(fails, odd):
    fails(*DIGITS, "--data-root", odd, "--out", "new", message=f"data_root {MESSAGE}")
    fails(*DIGITS, "--weights", odd / "w.pt", "--out", "new", message=f"weights {MESSAGE}")


def test_a_settings_file_in_such_a_folder_is_refused(fails, odd):
    (odd / "a.toml").write_text("data = './a'")
    fails("train", odd / "a.toml", *QUICK, "--out", "new", message=MESSAGE)


@pytest.mark.parametrize("kind", [Settings, VAESettings])
def test_settings_in_python_are_refused(kind):
    with pytest.raises(ValueError, match=f"data {MESSAGE}"):
        kind(data=ODD)
    with pytest.raises(ValueError, match=f"data_root {MESSAGE}"):
        replace(kind(data="digits"), data_root=ODD)
    assert kind(data="K\u00e4se").data == "K\u00e4se"
