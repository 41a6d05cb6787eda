"""Runs that cannot be trained, written or read: one sentence, exit code 2, nothing written."""

import json
import os
import shutil

import pytest
import torch
from torch import nn

import whence
from tests.helpers.bad_input import DIGITS, QUICK, write_images

# Training


def test_a_loss_that_becomes_nan_names_its_step_and_what_to_try(fails, tmp_path):
    left = [".lock", "settings.toml", "log.jsonl"]
    fails(
        *[*DIGITS, "--epochs", "3", "--batch-size", "5", "--learning-rate", "1e30"],
        *["--precision", "float32", "--checkpoint-seconds", "0", "--out", "runs/x"],
        message="The loss became nan at step 2; try a lower learning rate (--learning-rate)",
        leaves=[*left, "checkpoint-1.json", "checkpoint-1.safetensors"],
    )
    fails("evaluate", "runs/x", message="No finished run in runs/x")
    fails(*DIGITS, "--out", "runs/x", message="runs/x is not empty; choose another --out")


def test_a_last_step_that_makes_nan(fails):
    fails(
        *[*DIGITS, "--learning-rate", "1e38", "--batch-size", "20", "--precision", "float32"],
        *["--optimizer", "adam", "--weight-decay", "1e38", "--out", "runs/x"],
        message="After the last step the model must hold finite numbers",
        leaves=[".lock", "settings.toml", "log.jsonl"],
    )


# Run folders


def test_places_that_cannot_be_written(fails, tmp_path, photos):
    file = tmp_path / "file"
    file.write_text("mine")
    fails(*DIGITS, "--out", file, message="file must be a folder, but ")
    fails(*DIGITS, "--out", file / "a" / "b", message="file is a file")
    fails(*DIGITS, "--out", photos, message="photos is not empty; choose another --out")
    fails(*DIGITS, "--out", photos, "--resume", message="photos holds no run that could go on")
    fails(*DIGITS, "--out", "x" * 300, message="File name too long")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission(fails, tmp_path):
    (tmp_path / "a").mkdir(mode=0o500)
    fails(*DIGITS, "--out", tmp_path / "a" / "b", message="Permission denied")


def test_other_settings(fails, run, finished):
    message = "was started with another epochs (1 and 2); choose another --out"
    fails("train", finished[1], *QUICK, "--epochs", "2", "--out", run, "--resume", message=message)


def test_other_images(fails, run, finished, photos):
    """The images of a folder changed since the run was finished."""
    settings = (run / "settings.toml").read_text().replace(str(finished[1]), str(photos))
    (run / "settings.toml").write_text(settings)
    (photos / whence.load_parts(run).test.sources[0]).unlink()
    fails("evaluate", run, message=" was made with, 1 of 2 are gone or changed (first: ")
    write_images(photos, "c")
    message = "was made with other train images; choose another --out"
    fails("train", photos, *QUICK, "--out", run, "--resume", message=message)


def edit(run, **fields):
    about = json.loads((run / "whence.json").read_text())
    (run / "whence.json").write_text(json.dumps({**about, **fields}))


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "whence.json").unlink(), "No finished run in "),
        (shutil.rmtree, "No run in "),
        (lambda run: (run / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda run: (run / "bank.safetensors").unlink(), "bank.safetensors is missing"),
        (lambda run: cut(run / "model.safetensors"), "model.safetensors must be a safetensors file, it is damaged"),
        (lambda run: cut(run / "bank.safetensors"), "bank.safetensors must be a safetensors file, it is damaged"),
        (lambda run: cut(run / "whence.json"), "whence.json must be JSON, it is damaged"),
        (lambda run: edit(run, format=9), "was written by a newer whence (format 9, this one reads 4); upgrade"),
        (lambda run: edit(run, format="x"), "whence.json must name its format, got 'x'; it is damaged"),
        (lambda run: edit(run, sha256={"model.safetensors": "0"}), "must have the hash in whence.json"),
        (lambda run: edit(run, sha256={}), "kept its numbers but not its model (keep_model = false)"),
    ],
)  # fmt: skip
def test_a_run_that_is_not_whole(fails, run, finished, damage, message):
    damage(run)
    fails("predict", run, finished[1] / "a" / "0.png", message=message)
    fails("evaluate", run, message=message)


def test_a_run_without_its_settings(fails, run):
    (run / "settings.toml").unlink()
    fails("evaluate", run, message="settings.toml is missing")


def test_a_saved_model_cannot_be_evaluated_by_the_command(fails, run, tmp_path):
    whence.save(whence.load(run), tmp_path / "a")
    fails("evaluate", tmp_path / "a", message="holds a model that no run has made")


# Prediction and evaluation


def test_predict(fails, run, finished, tmp_path):
    image = finished[1] / "a" / "0.png"
    (tmp_path / "empty").mkdir()
    for bad, message in (
        ("gone.png", "gone.png"),
        ("empty", "empty holds no image"),
    ):
        fails("predict", run, tmp_path / bad, message=message)
        fails("predict", run, image, tmp_path / bad, message=message)
    fails("predict", run, message="the following arguments are required: images")
    fails(
        "predict", run, image, "--batch-size", "0", message="batch-size must be at least 1, got 0"
    )
    fails("predict", run, image, "--what", message="unrecognized arguments: --what; whence predict")
    fails("predict", run / "model.safetensors", image, message="No run in ")


def test_evaluate(fails, run, tmp_path):
    write_images(tmp_path / "other", "xy")
    fails(
        "evaluate",
        message="arguments are required: run; whence evaluate --help says what they are.",
    )
    fails("table", "--list", message="arguments are required: table; whence table --help says what")
    fails("evaluate", tmp_path / "gone", message="No run in ")
    fails("evaluate", tmp_path / "other", message="No finished run in ")
    fails("evaluate", run, "--batch-size", "0", message="batch-size must be at least 1, got 0")
    fails("evaluate", run, "--seed", "-1", message="seed must be in 0 to 2**63 - 1, got -1")
    fails("evaluate", run, "--data", "nosuch", message="Unknown dataset 'nosuch'")
    fails("evaluate", run, "--data", "digits", message="digits must have the classes of ")
    for command in ("evaluate", "report"):
        other = [command, run, "--data", tmp_path / "other"]
        fails(*other, message="(a, b), got x, y; say which is which with --map x=a, or take it out")
        fails(*other, "--map", "x", message="map must be OLD=NEW, got 'x'")
        fails(*other, "--map", "x=a", "--map", "x=b", message="map must name 'x' once, it leads")
        fails(*other, "--map", "x=c", message="map must lead to classes of the model (a, b), got")
        fails(command, run, "--map", "x=a", message="map is for the classes of other images; name")
    fails("report", run, "--data", tmp_path / "other" / "x", message="6 images without labels")


def test_a_model_given_the_wrong_channels(tmp_path):
    """In Python; the commands convert images to the channels of the model."""
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"image_shape \(3, 8, 8\), it raised .* channels"):
        whence.wrap(encoder, 3, image_shape=(3, 8, 8))
    model = whence.wrap(encoder, 3, image_shape=(1, 8, 8)).eval()
    grey, colour = torch.rand(2, 1, 8, 8), torch.rand(2, 3, 8, 8)
    for call in (
        lambda: model(colour, grey),
        lambda: model(grey, colour),
        lambda: model.remember(colour),
        lambda: model.remember(grey)(colour),
    ):
        with pytest.raises(ValueError, match=r"got shape \(2, 3, 8, 8\)"):
            call()
