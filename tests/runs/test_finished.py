"""Finished runs: found, read, and refused when they do not say what they are."""

import json
import shutil
from dataclasses import replace

import pytest

import whence
from tests.helpers.run_folders import SETTINGS
from whence.runs.evaluate_run import evaluate_run
from whence.runs.finished import find_runs, read_run
from whence.runs.run import run
from whence.runs.sample_of_run import choose_sample
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
    whence.save(whence.load(finished), tmp_path / "a")
    with pytest.raises(ValueError, match="holds a model that no run has made"):
        evaluate_run(tmp_path / "a", data=None, device="cpu", seed=None, batch_size=9)


def test_runs_of_the_same_images_share_them_in_a_cache(finished, digits, tmp_path):
    """Of a run's own images their hash decides, of others their name and the run's shape."""
    run(replace(SETTINGS, seed=1, epochs=1), tmp_path / "other", digits)
    fewer = replace(digits, test=digits.test.take(range(9)))
    run(replace(SETTINGS, epochs=1), tmp_path / "fewer", fewer)
    cache = {}

    def choose(folder, data=None):
        return choose_sample(folder, read_run(folder), data, cache=cache)

    own = choose(finished)
    assert choose(tmp_path / "other") is own is choose(finished)
    assert len(choose(tmp_path / "fewer").sample.images) == 9
    others = choose(finished, "digits")
    assert choose(tmp_path / "fewer", "digits") is others is not own
    assert len(others.sample.images) == 500
    assert len(cache) == 3
    about = {**read_run(finished), "image_shape": [1, 6, 5]}
    with pytest.raises(
        ValueError, match=r"digits must have images of shape \(1, 6, 5\), got \(1, 8"
    ):
        choose_sample(finished, about, "digits", cache=cache)
