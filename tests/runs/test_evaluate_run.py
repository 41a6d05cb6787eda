"""Runs measured when they end, and again later, beside the network before training."""

import json
from dataclasses import asdict, replace

import pytest
import torch

import whence
from tests.helpers.measured_runs import SETTINGS, assert_same, measure
from whence.encoders.weights import hash_tensors
from whence.evidence.calibrate import calibrate
from whence.models.classifier import encode_all
from whence.runs import run as run_module
from whence.runs import untrained as untrained_module
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.untrained import evaluate_untrained


@pytest.fixture
def model(measured_run):
    return whence.load(measured_run)


def test_a_run_is_calibrated_on_its_validation_images(measured_run, measured_digits, model):
    validation = prepare(SETTINGS, measured_digits).validation
    expected = calibrate(model, validation)
    assert model.calibration.names == expected.names
    assert model.calibration.coefficients == pytest.approx(expected.coefficients, abs=1e-3)
    assert model.calibration.images == 70
    metrics = json.loads((measured_run / "metrics.json").read_text())
    assert metrics["test"]["flag"]["auroc"] is not None
    assert metrics["validation"]["flag"]["auroc"] is None, "it was fitted there"
    assert metrics["validation"]["flag"]["signals"]["softmax"]["auroc"] is not None


def test_a_run_without_validation_images_is_not_calibrated(measured_digits, tmp_path):
    few = replace(measured_digits, train=measured_digits.train.take(torch.arange(60)))
    run(replace(SETTINGS, train_examples=None, validation_examples=10), tmp_path / "a", few)
    small = whence.load(tmp_path / "a").calibration
    assert small is None or min(small.errors, 10 - small.errors) >= 5


def test_a_run_encodes_every_image_once(measured_digits, tmp_path, monkeypatch):
    encoded = []

    def count(model, images, *, batch_size):
        encoded.append(len(images))
        return encode_all(model, images, batch_size=batch_size)

    monkeypatch.setattr("whence.models.classifier.encode_all", count)
    monkeypatch.setattr("whence.evidence.evaluate.encode_all", count)
    monkeypatch.setattr("whence.evidence.calibrate.encode_all", count)
    monkeypatch.setattr(run_module, "encode_all", count)
    run(SETTINGS, tmp_path / "a", measured_digits)
    assert encoded == [50, 70, 60]


def test_untrained_is_the_network_that_the_run_started_from(measured_run, measured_digits, model):
    about = json.loads((measured_run / "whence.json").read_text())
    found = evaluate_untrained(model, measured_digits.test, SETTINGS, about["run"], batch_size=9)
    start = prepare(SETTINGS, measured_digits).model.eval()
    start.remember(model.bank.images, model.bank.labels)
    expected = whence.evaluate(start, measured_digits.test, memory_size=15, draws=1)
    assert found.whole_memory == expected.whole_memory
    assert asdict(found.evidence) == pytest.approx(asdict(expected.evidence), abs=1e-5)
    assert found.evidence.support_size != pytest.approx(
        whence.evaluate(model, measured_digits.test, memory_size=15, draws=1).evidence.support_size
    )


def test_evaluate_run(measured_run, standard_run, only_measured_digits, model, measured_digits):
    found = measure(measured_run)
    metrics = json.loads((measured_run / "metrics.json").read_text())["test"]
    assert_same(
        {name: found[name] for name in metrics if name != "controls"},
        {name: metrics[name] for name in metrics if name != "controls"},
    )
    run_of = json.loads((measured_run / "whence.json").read_text())["run"]
    before = evaluate_untrained(model, measured_digits.test, SETTINGS, run_of, batch_size=50)
    expected = {"accuracy": before.whole_memory, **asdict(before.evidence)}
    assert found["controls"]["untrained"] == pytest.approx(expected)
    assert_same({**found["controls"], "untrained": None}, metrics["controls"])
    assert_same(measure(measured_run, controls=False)["controls"], metrics["controls"])
    assert measure(standard_run)["controls"]["untrained"] is None


def test_without_pixels_the_memory_images_come_from_the_data(
    measured_run, measured_digits, tmp_path, only_measured_digits
):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", measured_digits)
    bare, whole = measure(tmp_path / "a"), measure(measured_run)
    assert_same(bare["controls"], whole["controls"])


def test_without_pixels_the_data_must_be_there(
    measured_digits, tmp_path, only_measured_digits, monkeypatch
):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", measured_digits)
    other = replace(measured_digits, train=measured_digits.train.take(torch.arange(100)))
    monkeypatch.setattr(untrained_module, "load_data", lambda settings: other)
    message = "digits must hold the training images that the run was made with, which keeps no pixels itself; add --no-controls"
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "a")
    assert measure(tmp_path / "a", controls=False)["accuracy"] > 0


def test_pretrained_weights_must_be_there(measured_digits, tmp_path, only_measured_digits):
    torch.manual_seed(5)
    encoder = whence.encoders.ENCODERS["small_cnn"](channels=1, image_size=8)
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    weights = str(tmp_path / "weights.pt")
    run(replace(SETTINGS, weights=weights, encoder="small_cnn"), tmp_path / "a", measured_digits)
    found = measure(tmp_path / "a")
    model = whence.load(tmp_path / "a")
    model.encoder.load_state_dict(encoder.state_dict())
    settings = replace(SETTINGS, weights=weights, encoder="small_cnn")
    model.head = prepare(settings, measured_digits).model.head
    model.eval().remember(model.bank.images, model.bank.labels)
    expected = whence.evaluate(model, measured_digits.test, memory_size=15, draws=1)
    assert found["controls"]["untrained"]["purity"] == pytest.approx(
        expected.evidence.purity, abs=1e-5
    )
    assert (
        hash_tensors(encoder.state_dict())
        in json.loads((tmp_path / "a" / "whence.json").read_text())["run"]["weights"]
    )
    torch.save({n: t + 1 for n, t in encoder.state_dict().items()}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt changed; add --no-controls to leave"):
        measure(tmp_path / "a")
    (tmp_path / "weights.pt").unlink()
    with pytest.raises(ValueError, match=r"cannot be built again \(.*weights.pt.*\); add --no-con"):
        measure(tmp_path / "a")
    assert measure(tmp_path / "a", controls=False)["controls"]["untrained"] is None
