"""A run of votes on a frozen encoder: its numbers are those of the saved model, again and again."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import whence
from tests.helpers.run_folders import SETTINGS
from whence.cli.work.train import say_measured
from whence.data.load import load_dataset
from whence.encoders import ENCODERS
from whence.runs.run import run
from whence.storage.plain_files import read_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    dataset = load_dataset("digits")
    dataset = replace(dataset, test=dataset.test.take(torch.arange(40)))
    folder = tmp_path_factory.mktemp("votes")
    weights = folder / "weights.safetensors"
    torch.manual_seed(3)
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), weights)
    settings = replace(
        SETTINGS,
        variant="votes",
        encoder="small_cnn",
        weights=str(weights),
        freeze_encoder=True,
        epochs=5,
        learning_rate=None,
    )
    for name in ("one", "again"):
        run(settings, folder / name, dataset)
    return folder


def test_the_numbers_are_those_of_the_saved_model(folder):
    measured = read_json(folder / "one" / "metrics.json")["test"]
    test = load_dataset("digits").test.take(torch.arange(40))
    model = whence.load(folder / "one")
    right = model(test.images).argmax(1) == test.labels
    assert measured["accuracy"] == float(right.double().mean())
    assert measured["reliance"]["changed_share"] in (1, None)
    found = whence.evaluate(model, test, memory_size=30)
    assert measured["support_size"] == pytest.approx(found.evidence.support_size, abs=0.1)


def test_the_same_settings_give_the_same_bits(folder):
    one, other = (read_json(folder / name / "whence.json")["sha256"] for name in ("one", "again"))
    assert one["model.safetensors"] == other["model.safetensors"]
    recorded = read_json(folder / "one" / "whence.json")["run"]
    assert (recorded["recipe"]["optimizer"], recorded["recipe"]["weight_decay"]) == ("adamw", 3)


def test_simple_classifiers_of_the_same_features_stand_beside_it(folder):
    measured = read_json(folder / "one" / "metrics.json")
    for part in ("validation", "test"):
        beside = measured[part]["beside"]
        assert sorted(beside) == ["linear_probe", "nearest_neighbours"]
        assert all(0.2 < one["accuracy"] <= 1 for one in beside.values())
    assert say_measured(measured["test"])[0].startswith("On the same features a linear probe has ")
