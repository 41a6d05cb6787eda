"""Commands leave nothing on the disk but what they were asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whence.cli.traces import environment, without_compiler_folder, without_font_folder

COMMANDS = """
import sys
from whence.cli import main

run = sys.argv[1]
train = ["train", "digits", "--train-examples", "30", "--epochs", "1", "--memory-size", "10"]
assert main([*train, "--device", "cpu", "--out", run]) == 0
assert main(["explain", run, "--test", "1", "--steps", "2", "--out", run + "/figure.png"]) == 0
"""


def test_training_and_figures_leave_no_folders_of_libraries(tmp_path):
    """A new home and a new folder for temporary files are as empty afterwards as before."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    unset = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    here = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(tmp_path / "run")],
        env={**here, "HOME": str(home), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run").glob("figure*.png"))
    assert list(home.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    with without_compiler_folder():
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"


def test_a_list_of_fonts_that_is_there_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with without_font_folder():
        folder = Path(os.environ["MPLCONFIGDIR"])
        assert folder.is_dir()
    assert not folder.exists()
    (tmp_path / "matplotlib").mkdir()
    with without_font_folder():
        assert "MPLCONFIGDIR" not in os.environ


def fail_within():
    with environment("WHENCE_TEST", "x"):
        raise KeyError(os.environ["WHENCE_TEST"])


def test_variables_go_also_after_an_error(monkeypatch):
    monkeypatch.delenv("WHENCE_TEST", raising=False)
    with pytest.raises(KeyError, match="x"):
        fail_within()
    assert "WHENCE_TEST" not in os.environ
