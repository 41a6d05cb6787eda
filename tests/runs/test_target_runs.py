"""Runs whose class has a threshold: chosen at training or afterwards, kept, measured, refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.measured_runs import SETTINGS
from whence.cli import main
from whence.models.about import FORMAT, read_about
from whence.records.images import ImageSet
from whence.runs import threshold_of_run
from whence.runs.divide import divide
from whence.runs.finish import set_threshold
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.target import WantedClass, read_target
from whence.runs.where import AS_SETTINGS_SAY
from whence.storage.plain_files import read_json

SETTINGS_3 = replace(SETTINGS, target_recall="3=0.9")


@pytest.fixture(scope="module")
def folder(measured_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("target") / "run"
    run(SETTINGS_3, folder, measured_digits)
    return folder


@pytest.fixture
def copied(measured_run, tmp_path):
    """A run without a threshold, to change."""
    return shutil.copytree(measured_run, tmp_path / "run")


def evaluate(folder, *options):
    return ["evaluate", str(folder), "--no-controls", *options]


def test_the_threshold_is_chosen_on_the_validation_images_and_kept(folder):
    model, parts = whence.load(folder), whence.load_parts(folder)
    found = whence.choose_threshold(model, parts.validation, "3", recall=0.9)
    assert model.decision == found
    assert found.validation.recall >= 0.9
    metrics = read_json(folder / "metrics.json")
    assert metrics["validation"]["decision"]["threshold"] == found.threshold
    shares = torch.stack(
        [one.probabilities for one in whence.predict(model, parts.validation.images)]
    )
    answered = shares[:, 3].double() >= found.threshold
    assert found.validation.answers == int(answered.sum())
    described = read_about(folder)
    assert described["format"] == FORMAT
    assert described["decision"]["class"] == 3
    if described["calibration"] is not None:  # of the answers that the threshold gives
        wrong = (answered != (parts.validation.labels == 3)).sum()
        assert described["calibration"]["errors"] >= int(wrong)


def test_recall_and_precision_on_test_images_are_printed_beside_those_on_validation(
    folder, measured_digits, capsys
):
    assert main(evaluate(folder, "--json")) == 0
    decision = json.loads(capsys.readouterr().out)["decision"]
    assert (decision["class"], decision["target_recall"], decision["cost"]) == ("3", 0.9, None)
    assert decision["here"]["images"] != decision["validation"]["images"]
    assert main(evaluate(folder)) == 0
    said = capsys.readouterr().out
    assert "An image is answered 3 from a probability of" in said
    assert "for a recall of 90.0%: on 70 validation images, which it was chosen on," in said
    assert "measured here" in said
    assert all(sentence in said for sentence in decision["sentences"])
    assert main(["report", str(folder), "--hard", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["threshold"] == decision["threshold"]


def test_another_threshold_is_tried_and_only_kept_when_asked_for(copied, capsys):
    before = (copied / "whence.json").read_bytes()
    tensors = (copied / "bank.safetensors").read_bytes()
    assert main(evaluate(copied, "--cost", "3=7", "--json")) == 0
    tried = json.loads(capsys.readouterr().out)["decision"]
    assert (tried["cost"], tried["target_recall"]) == (7.0, None)
    assert (copied / "whence.json").read_bytes() == before
    assert main(evaluate(copied, "--cost", "3=7", "--keep", "--json")) == 0
    capsys.readouterr()
    assert main(evaluate(copied, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == tried
    assert whence.load(copied).decision.cost == 7.0
    assert main(evaluate(copied, "--no-threshold", "--keep", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["decision"] is None
    assert whence.load(copied).decision is None
    assert (copied / "bank.safetensors").read_bytes() == tensors
    kept, first = json.loads((copied / "whence.json").read_text()), json.loads(before)
    assert {**kept, "calibration": 0} == {**first, "calibration": 0}


def test_without_validation_images_the_calibration_ends_with_its_threshold(folder, monkeypatch):
    model, about = whence.load(folder), read_about(folder)
    model.calibration = "of the answers by the threshold"
    nothing = whence.load_parts(folder).validation.take([])
    monkeypatch.setattr(threshold_of_run, "load_part", lambda *_, **__: nothing)
    threshold_of_run.change_threshold(
        model, folder, about, None, where=AS_SETTINGS_SAY, batch_size=9
    )
    assert (model.decision, model.calibration) == (None, None)


def test_the_page_and_the_terminal_say_why(folder, tmp_path, capsys):
    images = whence.load_parts(folder).validation.images[:30]
    model = whence.load(folder)
    answers = whence.predict(model, images)
    row = next(row for row, one in enumerate(answers) if one.predicted == 3)
    from PIL import Image

    Image.fromarray(images[row, 0].numpy()).save(tmp_path / "three.png")
    path = str(tmp_path / "three.png")
    assert main(["predict", str(folder), path]) == 0
    assert "Answered 3 because its probability" in capsys.readouterr().out
    assert main(["predict", str(folder), path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decision"]["class"] == {"index": 3, "name": "3"}
    assert found["decision"]["validation"]["recall"] >= 0.9
    assert found["decided"].startswith("Answered 3 because its probability")
    page = tmp_path / "page.html"
    options = ["--method", "none", "--draws", "0", "--out", str(page)]
    assert main(["explain", str(folder), path, *options]) == 0
    assert "Answered 3 because its probability" in page.read_text()
    report = tmp_path / "report.html"
    assert main(["report", str(folder), "--hard", "0", "--out", str(report)]) == 0
    assert "An image is answered 3 from a probability of" in report.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-recall", "3"], "target_recall must be CLASS=NUMBER, such as defective=0.95, got '3'"),
        (["--target-recall", "=0.9"], "target_recall must be CLASS=NUMBER"),
        (["--target-recall", "3=often"], "target_recall must be CLASS=NUMBER"),
        (["--target-recall", "3=0"], "target_recall must be above 0 and at most 1, got 0.0"),
        (["--target-recall", "3=1.5"], "target_recall must be above 0 and at most 1, got 1.5"),
        (["--target-recall", "3=nan"], "target_recall must be above 0 and at most 1, got nan"),
        (["--cost", "3=-1"], "cost must be above 0, got -1.0"),
        (["--cost", "3"], "cost must be CLASS=NUMBER, such as defective=10, got '3'"),
        (["--cost", "3=2", "--target-recall", "3=0.9"], "choose the same threshold; give one of them"),
        (["--cost", "three=2"], "cost must name a class of the images, got 'three'; there are"),
        (["--target-recall", "three=0.9"], "target_recall must name a class of the images, got 'three'"),
    ],
)  # fmt: skip
def test_what_no_threshold_can_be_chosen_for_is_said_before_the_work(
    options, message, measured_run, tmp_path, capsys
):
    for command in (
        ["train", "digits", "--out", str(tmp_path / "new")],
        ["evaluate", str(measured_run)],
    ):
        assert main([*command, *options]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_class_without_validation_images_is_refused_before_the_training(tmp_path, capsys):
    out = tmp_path / "new"
    options = ["--train-examples", "40", "--target-recall", "3=0.9", "--out", str(out)]
    assert main(["train", "digits", "--validation-examples", "0", *options]) == 2
    said = capsys.readouterr().err
    assert "target_recall needs validation images of '3', there are none at all; use more" in said
    settings = Settings(data="digits", train_examples=40, validation_examples=4)
    digits = whence.load_dataset("digits")
    labels = digits.train.labels[divide(digits, settings).validation]
    absent = next(name for name in range(10) if name not in labels)
    options[3] = f"{absent}=0.9"
    assert main(["train", "digits", "--validation-examples", "4", *options]) == 2
    said = capsys.readouterr().err
    assert f"target_recall needs validation images of '{absent}', none of 4 is; use more" in said
    assert "or add some to those that the data name (a folder val, a column split)." in said
    assert not out.exists()


def test_options_of_evaluate_that_contradict_each_other_are_refused(measured_run, capsys):
    for options, message in (
        (["--keep"], "--keep keeps a threshold; name it with --target-recall or --cost"),
        (["--no-threshold", "--cost", "3=2"], "--no-threshold takes away what --cost gives"),
    ):
        assert main(evaluate(measured_run, *options)) == 2
        assert message in capsys.readouterr().err


def test_a_training_is_not_lost_for_a_recall_out_of_reach(measured_digits):
    parts = prepare(replace(SETTINGS, variant="standard"), measured_digits)
    model = parts.model.eval()
    asked, place = parts.validation.images[:20], 3
    with torch.no_grad():
        model.head.classifier.bias[place] -= 1e3
        features = model.encode(asked)
    images = ImageSet(asked, torch.full((20,), place), model.class_names)
    wanted, other = (WantedClass(str(one), recall=1.0) for one in (place, place + 1))
    problem = set_threshold(model, wanted, images, features, [*range(20)], batch_size=9)
    assert f"cannot be reached for '{place}': 20 of 20 validation images" in problem
    problem = set_threshold(model, other, images, features, [*range(20)], batch_size=9)
    assert "there are none among 20" in problem
    assert model.decision is None


def test_targets_are_read_as_they_are_written():
    assert read_target(None, None) is None
    assert read_target("a=b=0.5", None) == WantedClass("a=b", recall=0.5)
    assert read_target(None, "hot spot=1e3") == WantedClass("hot spot", cost=1000.0)
