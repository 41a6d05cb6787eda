"""A run that the first published version finished is read as it was; format_1 has kept no model."""

import json
import shutil
from pathlib import Path

from whence.cli import main
from whence.data.load import load_dataset
from whence.runs.finished import read_run, read_settings
from whence.runs.run import run

FOLDER = Path(__file__).parent / "format_1"


def test_its_settings_and_what_identifies_it():
    settings, about = read_settings(FOLDER), read_run(FOLDER)
    assert (settings.data, settings.train_examples, settings.keep_model) == ("digits", 30, False)
    assert about["run"]["plan"]["memory_size"] == 10
    assert about["sha256"] == {}


def test_it_is_finished_and_not_trained_again(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "run")
    metrics = run(read_settings(FOLDER), tmp_path / "run", load_dataset("digits"), resume=True)
    assert metrics == json.loads((FOLDER / "metrics.json").read_text())


def test_it_says_that_it_has_kept_no_model(capsys):
    assert main(["evaluate", str(FOLDER), "--device", "cpu"]) == 2
    assert "kept its numbers but not its model" in capsys.readouterr().err
