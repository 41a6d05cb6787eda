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
    "explain": lambda run, photo: ["explain", run, photo, "--json", "--method", "none"],
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


# autoencoders, and datasets that are files -------------------------------------------------------

VAE = ["--codes", "2", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
VAE_FILES = ("log.jsonl", "metrics.json", "settings.toml", "vae.json", "vae.safetensors")


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae") / "vae"
    command = ["train-vae", "digits", "--train-examples", "16", "--validation-examples", "8"]
    assert main([*command, *VAE, "--out", str(folder)]) == 0
    return folder, command


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", VAE_FILES)
def test_what_is_in_the_way_of_an_autoencoder_is_said_or_replaced(
    vae, run, finished, tmp_path, capsys, name, kind
):
    folder = shutil.copytree(vae[0], tmp_path / "vae")
    replace(folder / name, kind)
    code, said = call(capsys, [*vae[1], *VAE, "--resume", "--out", folder])
    assert (code, said.count("whence: ")) in ((0, 0), (2, 1)), said
    if code == 2:
        assert f"{folder / name} must be a plain file, it is " in said
    if name.startswith("vae"):
        replace(folder / name, kind)
        photo = finished[1] / "a" / "0.png"
        code, said = call(capsys, ["morph", run, photo, "--vae", folder, "--format", "json"])
        assert code == 2
        assert str(folder) in said


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("command", [["train", "--encoder", "small_cnn"], ["train-vae", *VAE]])
def test_what_is_no_file_among_images_is_passed_over_or_said(
    finished, tmp_path, capsys, command, kind
):
    photos = shutil.copytree(finished[1], tmp_path / "photos")
    replace(photos / "a" / "x.png", kind)
    name, *options = command
    code, said = call(capsys, [name, photos, *options, "--epochs", "1", "--out", tmp_path / "run"])
    if kind == "pipe":
        assert (code, "a/x.png is not used: not an image" in said) == (0, True), said
    else:
        assert (code, said.count("whence: ")) == (2, 1)
        assert "x.png" in said


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("mnist", "MNIST/raw/t10k-labels-idx1-ubyte"),
        ("notmnist", "notMNIST/raw/train-images-idx3-ubyte"),
        ("svhn", "SVHN/train_32x32.mat"),
        ("svhn", "train_32x32.mat"),
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
    ],
)
def test_a_pipe_in_the_place_of_a_dataset_is_said_before_anything_is_fetched(
    tmp_path, capsys, data, name
):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    code, said = call(capsys, ["train-vae", data, "--data-root", tmp_path, "--out", tmp_path / "v"])
    assert (code, said.count("\n")) == (2, 1)
    assert f"{path} must be " in said
