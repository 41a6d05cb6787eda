"""Finished runs: found, read, and refused when they do not say what they are."""

import json
import shutil
from dataclasses import replace

import pytest

import whence
from tests.helpers.run_folders import SETTINGS
from whence.data.fingerprint import fingerprint
from whence.runs import sample_of_run
from whence.runs.evaluate_run import evaluate_run
from whence.runs.finished import find_runs
from whence.storage.plain_files import read_json


def test_find_runs(finished, tmp_path):
    assert find_runs(finished) == [finished]
    assert find_runs(finished.parent) == [finished]
    with pytest.raises(FileNotFoundError, match="No finished run in"):
        find_runs(tmp_path)
    with pytest.raises(FileNotFoundError, match="No run in"):
        find_runs(tmp_path / "none")


@pytest.fixture
def broken(finished, tmp_path):
    """Change what whence.json says of the run."""
    folder = shutil.copytree(finished, tmp_path / "broken")

    def change(**fields):
        about = read_json(folder / "whence.json")
        about["run"].update(fields)
        (folder / "whence.json").write_text(json.dumps(about))
        return folder

    return change


@pytest.mark.parametrize(
    "fields",
    [
        {"plan": None},
        {"plan": {}},
        {"plan": {"memory_size": "12", "seed": 0}},
        {"plan": {"memory_size": True, "seed": 0}},
        {"plan": {"memory_size": 0, "seed": 0}},
        {"plan": {"memory_size": 12}},
        {"test_fingerprint": 3},
        {"train_images": None},
        {"seed": "0"},
    ],
)
def test_a_run_that_does_not_say_how_it_was_made(broken, fields):
    with pytest.raises(
        ValueError, match=r"whence.json must say how its run was made; it is damaged"
    ):
        evaluate_run(broken(**fields), data=None, device="cpu", seed=None, batch_size=9)


def test_a_saved_model_is_no_run(finished, tmp_path):
    whence.load(finished).save(tmp_path / "a")
    with pytest.raises(ValueError, match="holds a model that no run has made"):
        evaluate_run(tmp_path / "a", data=None, device="cpu", seed=None, batch_size=9)


def test_what_decides_which_images_a_run_is_measured_on(digits, tmp_path, monkeypatch):
    """Of the run's own images the settings decide, of others their name and the run's shape."""
    loads, settings = [], SETTINGS
    monkeypatch.setattr(sample_of_run, "read_settings", lambda folder: settings)
    monkeypatch.setattr(sample_of_run, "load_data", lambda settings: loads.append(1) or digits)
    monkeypatch.setattr(sample_of_run, "load_dataset", lambda *_, **__: loads.append(1) or digits)
    about = {
        "image_shape": [1, 8, 8],
        "classes": list(digits.test.class_names),
        "run": {"test_fingerprint": fingerprint(digits.test)},
    }
    cache = {}
    for data in (None, "digits"):
        for change, expected in (
            ({}, 1),
            ({"seed": 3, "epochs": 5, "encoder": "resnet18"}, 0),
            ({"data": "mnist"}, data is None),
            ({"size": 5}, data is None),
            ({"encoder": "timm:resnet18"}, data is None),
            ({"data_root": "there"}, 1),
        ):
            settings = replace(SETTINGS, **change)
            for _ in range(2):
                found = sample_of_run.choose_sample(tmp_path, about, data, cache=cache)
                assert found.sample.images.images is digits.test.images
            assert len(loads) == expected
            loads.clear()
    settings = SETTINGS
    shape = about | {"image_shape": [3, 8, 8]}
    with pytest.raises(ValueError, match=r"must have images of shape \(3, 8, 8\), got \(1, 8, 8\)"):
        sample_of_run.choose_sample(tmp_path, shape, "digits", cache=cache)
    assert loads == [1]
    other = {**about, "run": {"test_fingerprint": "0"}}
    with pytest.raises(ValueError, match="they changed"):  # each run is compared
        sample_of_run.choose_sample(tmp_path, other, None, cache=cache)
