"""What is no plain file in the place of a run's file: said in a sentence, or passed over."""

import os
import re
import shutil
import signal

import pytest
import torch

from tests.helpers.run_folders import NAMES, SETTINGS, assert_same_result, interrupt, names_in
from whence.cli import main
from whence.runs.kept_features import FEATURES, read_features, remove_features
from whence.runs.run import run as train_run

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

SECONDS = 120
"""Longer than any command here takes, also on a busy machine; a pipe is waited for without end."""

KINDS = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "device": lambda path: path.symlink_to("/dev/zero"),
}

COMMANDS = {
    "evaluate": lambda run, photo: ["evaluate", run],
    "report": lambda run, photo: ["report", run, "--json", "--hard", "0"],
    "explain": lambda run, photo: ["explain", run, photo, "--json", "--attribution", "none"],
    "predict": lambda run, photo: ["predict", run, photo, "--json"],
}

CHECKPOINT = ["checkpoint-4.json", "checkpoint-4.safetensors"]


@pytest.fixture(autouse=True)
def _no_hanging():
    """End a test that waits for a pipe."""

    def end(number, frame):
        raise TimeoutError("a pipe was waited for")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def replace(path, kind):
    """Put something else in the place of a file."""
    path.unlink(missing_ok=True)
    KINDS[kind](path)


def call(capsys, command):
    """Run a command; returns the exit code and what it says on the screen."""
    capsys.readouterr()
    code = main([str(word) for word in command])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_commands_on_a_finished_run(run, finished, capsys, kind):
    photo = finished[1] / "a" / "0.png"
    for name in (name for name in NAMES if name != ".lock"):
        shutil.move(run / name, run / "away")
        replace(run / name, kind)
        for command in COMMANDS.values():
            code, said = call(capsys, command(run, photo))
            if code != 0:
                assert code == 2, said
                (line,) = [line for line in said.splitlines() if line.startswith("whence: ")]
                assert name in line or "No finished run in" in line, said
        (run / name).rmdir() if kind == "folder" else (run / name).unlink()
        shutil.move(run / "away", run / name)


NEEDED = (".lock", "log.jsonl", "settings.toml", "whence.json")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("name", [*NAMES, *CHECKPOINT])
def test_an_unfinished_run_goes_on_or_says_at_once_what_is_in_its_way(
    digits, finished_digits, tmp_path, monkeypatch, name, kind
):
    folder = tmp_path / "run"
    interrupt(folder, digits, monkeypatch, step=5)
    replace(folder / name, kind)
    there = names_in(folder)
    if kind == "folder" or name in NEEDED:
        message = f"{re.escape(str(folder / name))} must be a plain file, it is "
        with pytest.raises((ValueError, FileExistsError), match=message):
            train_run(SETTINGS, folder, digits, resume=True)
        assert set(names_in(folder)) <= {*there, ".lock"}
    else:
        train_run(SETTINGS, folder, digits, resume=True)
        assert_same_result(folder, finished_digits)


@pytest.fixture(scope="module")
def finished_digits(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train_run(SETTINGS, folder, digits)
    return folder


def test_what_is_no_file_among_kept_features_stays_there(tmp_path):
    features = tmp_path / FEATURES
    (features / "a.safetensors").mkdir(parents=True)
    os.mkfifo(features / "b.safetensors")
    remove_features(features)
    assert names_in(features) == ["a.safetensors"]


def test_a_pipe_in_the_place_of_kept_features_is_not_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "x.safetensors")
    assert read_features(tmp_path / "x.safetensors", (2, 3), torch.float32) is None
    assert "must be a plain file, it is not. Its images" in capsys.readouterr().err
