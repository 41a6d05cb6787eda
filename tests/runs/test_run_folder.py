"""Run folders: what is in them, and who may write to them."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch
from filelock import FileLock
from torch.testing import assert_close

import whence
from tests.helpers.run_folders import NAMES, SETTINGS, assert_same_result, names_in
from whence.data.fingerprint import fingerprint
from whence.models.about import FORMAT
from whence.runs import prepare as prepare_module
from whence.runs import run as run_module
from whence.runs.evaluate_run import evaluate_run
from whence.runs.parse import from_mapping
from whence.runs.run import run
from whence.runs.settings import Settings, read_toml
from whence.storage.plain_files import read_json


def test_contents(finished, digits):
    assert names_in(finished) == NAMES
    assert from_mapping(read_toml(finished / "settings.toml"), Settings, where="x") == SETTINGS
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[0].keys() == {"epoch", "loss", "accuracy", "learning_rate"}
    about = read_json(finished / "whence.json")
    assert about["format"] == FORMAT
    assert about["classes"] == [str(i) for i in range(10)]
    assert about["image_shape"] == [1, 8, 8]
    assert about["versions"].keys() == {"whence", "torch", "torchvision", "numpy"}
    assert about["sha256"] == {
        name: hashlib.sha256((finished / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "bank.safetensors")
    }
    recorded = about["run"]
    assert recorded["train_fingerprint"] == fingerprint(digits.train)
    assert recorded["test_fingerprint"] == fingerprint(digits.test)
    assert recorded["seed"] == recorded["plan"]["seed"] == 0
    assert recorded["plan"]["epochs"] == 2
    assert recorded["recipe"]["learning_rate"] == 0.05
    model = whence.load(finished)
    assert_close(torch.tensor(about["mean"]), model.mean.flatten())
    assert_close(torch.tensor(about["std"]), model.std.flatten())


def test_metrics_are_those_of_the_saved_model(finished, digits):
    metrics = read_json(finished / "metrics.json")
    model = whence.load(finished)
    right = model(digits.test.images).argmax(1) == digits.test.labels
    assert metrics["test"]["accuracy"] == float(right.double().mean())
    assert metrics["test"]["images"] == 40
    assert metrics["validation"]["images"] == 20
    assert len(metrics["test"]["accuracy_draws"]["passes"]) == 5
    assert metrics["device"] == "cpu"
    assert metrics["train_seconds"] > 0


def test_the_bank_says_where_its_images_come_from(finished, digits):
    bank = whence.load(finished).bank
    assert len(bank) == 30
    assert_close(bank.images, digits.train.images[bank.indices])
    assert_close(bank.labels, digits.train.labels[bank.indices])


def test_without_pixels_and_without_a_model(digits, tmp_path, finished):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", digits)
    assert whence.load(tmp_path / "a").bank.images is None
    run(replace(SETTINGS, keep_model=False), tmp_path / "b", digits)
    assert names_in(tmp_path / "b") == [
        ".lock",
        "images.safetensors",
        "log.jsonl",
        "metrics.json",
        "settings.toml",
        "whence.json",
    ]
    metrics, whole = (read_json(p / "metrics.json") for p in (tmp_path / "b", finished))
    assert metrics["test"] == whole["test"]
    for use in (
        whence.load,
        lambda f: evaluate_run(f, data=None, device="cpu", seed=None, batch_size=9),
    ):
        with pytest.raises(
            ValueError, match=r"kept its numbers but not its model \(keep_model = false\)"
        ):
            use(tmp_path / "b")
    again = run(replace(SETTINGS, keep_model=False), tmp_path / "b", digits, resume=True)
    assert again == metrics


def test_the_batch_size_of_the_evaluation_changes_nothing(digits, tmp_path, finished):
    run(SETTINGS, tmp_path / "a", digits, batch_size=7)
    found, wanted = (read_json(p / "metrics.json") for p in (tmp_path / "a", finished))
    for name in ("accuracy", "accuracy_draws", "by_class", "explanation_accuracy"):
        assert found["test"][name] == wanted["test"][name]
    compared = 0
    for one, other in zip(numbers_in(found["test"]), numbers_in(wanted["test"]), strict=True):
        assert one == pytest.approx(other, abs=1e-4)  # features in float32, of other batches
        compared += 1
    assert compared > 60


def numbers_in(content):
    """Walk through all numbers of a JSON object."""
    values = content.values() if isinstance(content, dict) else content
    for value in values:
        if isinstance(value, (dict, list)):
            yield from numbers_in(value)
        else:
            yield value


def test_a_folder_that_is_not_empty_is_refused(digits, tmp_path, finished):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(
        FileExistsError, match="is not empty; choose another --out, or add --resume"
    ):
        run(SETTINGS, tmp_path / "a", digits)
    with pytest.raises(FileExistsError, match="holds no run that could go on"):
        run(SETTINGS, tmp_path / "a", digits, resume=True)
    assert names_in(tmp_path / "a") == ["notes.txt"]
    with pytest.raises(FileExistsError, match="is not empty"):
        run(SETTINGS, finished, digits)
    with pytest.raises(FileExistsError, match=r"must be a folder, but .*notes.txt is a file"):
        run(SETTINGS, tmp_path / "a" / "notes.txt", digits)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"learning_rate": 0.1}, r"learning_rate \(0.05 and 0.1\)"),
        ({"seed": 3, "epochs": 9}, r"epochs \(2 and 9\)"),
        ({"memory_size": None}, r"memory_size \(12 and None\)"),
    ],
)
def test_other_settings_are_refused_naming_the_first(interrupted, digits, changed, difference):
    before = {path: path.read_bytes() for path in interrupted.iterdir()}
    with pytest.raises(FileExistsError, match=f"was started with another {difference}; choose"):
        run(replace(SETTINGS, **changed), interrupted, digits, resume=True)
    assert {path: path.read_bytes() for path in interrupted.iterdir()} == before


def test_an_empty_folder_and_a_new_one_are_fine_with_resume_too(digits, tmp_path):
    (tmp_path / "a").mkdir()
    run(SETTINGS, tmp_path / "a", digits, resume=True)
    run(SETTINGS, tmp_path / "b" / "c", digits, resume=True)
    assert_same_result(tmp_path / "a", tmp_path / "b" / "c")


def test_one_writer(digits, tmp_path, interrupted, finished):
    before = names_in(interrupted)
    message = "is being written to by another process"
    with FileLock(interrupted / ".lock"), pytest.raises(FileExistsError, match=message):
        run(SETTINGS, interrupted, digits, resume=True)
    assert names_in(interrupted) == before
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


def test_a_folder_that_another_process_filled_meanwhile(digits, tmp_path, monkeypatch, finished):
    """Between the first look at the folder and the lock."""

    def fill_and_prepare(settings, dataset, **options):
        shutil.copytree(finished, tmp_path / "a")
        return prepare_module.prepare(settings, dataset, **options)

    monkeypatch.setattr(run_module, "prepare", fill_and_prepare)
    with pytest.raises(FileExistsError, match="is not empty"):
        run(SETTINGS, tmp_path / "a", digits)
    assert_same_result(tmp_path / "a", finished)


def test_a_finished_run_is_skipped(digits, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "a")
    for name in ("checkpoint-3.safetensors", "checkpoint-3.json", ".model.safetensors.77.tmp"):
        (folder / name).write_text("left by a kill after the mark")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert run(SETTINGS, folder, digits, resume=True) == read_json(finished / "metrics.json")
    assert names_in(folder) == NAMES
    assert_same_result(folder, finished)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before  # nothing is trained again


def test_files_of_others_stay(digits, interrupted, finished):
    for name in ("notes.txt", ".hidden", "x.tmp", "checkpoint-x.json", ".a.b.tmp"):
        (interrupted / name).write_text("mine")
    (interrupted / ".metrics.json.4711.tmp").write_text("half a fi")
    run(SETTINGS, interrupted, digits, resume=True)
    others = {"notes.txt", ".hidden", "x.tmp", "checkpoint-x.json", ".a.b.tmp"}
    assert set(names_in(interrupted)) == others | set(NAMES)
    assert_same_result(interrupted, finished)


def test_killed_while_the_settings_were_written(digits, tmp_path, finished):
    """A folder with nothing but a lock and a temporary file is as good as empty."""
    (tmp_path / ".lock").touch()
    (tmp_path / ".settings.toml.4711.tmp").write_text("half a fi")
    run(SETTINGS, tmp_path, digits)
    assert names_in(tmp_path) == NAMES
    assert_same_result(tmp_path, finished)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory_size": 31}, "memory_size must be at most 30"),
        ({"memory_size": 1}, "memory_size must be at least 2"),
        ({"memory_size": 0}, "memory_size must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"train_examples": 5000}, "train_examples"),
        ({"encoder": "resnet19"}, "Unknown encoder 'resnet19'. Choose from: small_cnn"),
        ({"mean": (0.5,)}, "mean and std must be given together"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0)}, "one number per channel"),
        ({"freeze_encoder": True}, "freeze_encoder needs weights"),
    ],
)
def test_settings_that_do_not_fit_write_nothing(digits, tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        run(replace(SETTINGS, **changed), tmp_path / "a" / "b", digits)
    assert names_in(tmp_path) == []


def test_a_training_without_a_terminal_says_how_far_it_is(digits, tmp_path, capsys):
    run(SETTINGS, tmp_path / "often", digits, line_seconds=0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "often: " in line]
    assert [line.split(" steps")[0] for line in lines] == [f"often: {n} of 6" for n in range(1, 7)]
    run(SETTINGS, tmp_path / "seldom", digits)
    assert "seldom: " not in capsys.readouterr().err
