"""Runs measured when they end, and again later, beside the network before training."""

import json
from collections import Counter
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

import whence
from tests.helpers.image_folders import write_images
from tests.helpers.measured_runs import SETTINGS, assert_same, measure
from whence.encoders.weights import hash_tensors
from whence.evidence.calibrate import calibrate
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.untrained import evaluate_untrained, find_memory


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


def test_a_run_encodes_every_image_once(measured_digits, tmp_path):
    encoded = Counter()

    def count(module, given):
        if (
            isinstance(module, nn.Conv2d)
            and module.in_channels == 1
            and not torch.is_grad_enabled()
        ):
            encoded.update(image.numpy().tobytes() for image in given[0])

    hook = register_module_forward_pre_hook(count)
    try:
        run(SETTINGS, tmp_path / "a", measured_digits)
    finally:
        hook.remove()
    parts = whence.load_parts(tmp_path / "a")
    model = whence.load(tmp_path / "a")
    for part in (parts.train, parts.validation, parts.test):
        for image in model.normalise(part.images):
            assert encoded[image.numpy().tobytes()] == 1


def test_untrained_is_the_network_that_the_run_started_from(measured_run, measured_digits, model):
    about = json.loads((measured_run / "whence.json").read_text())
    stored = find_memory(model, measured_run, about)
    found = evaluate_untrained(
        model, measured_digits.test, stored, SETTINGS, about["run"], batch_size=9, download=False
    )
    start = prepare(SETTINGS, measured_digits).model.eval()
    start.remember(model.bank.images, model.bank.labels)
    expected = whence.evaluate(start, measured_digits.test, memory_size=15, draws=1)
    assert found.whole_memory == expected.whole_memory
    assert asdict(found.evidence) == pytest.approx(asdict(expected.evidence), abs=1e-5)
    assert found.evidence.support_size != pytest.approx(
        whence.evaluate(model, measured_digits.test, memory_size=15, draws=1).evidence.support_size
    )


def test_evaluate_run(measured_run, standard_run, model, measured_digits):
    found = measure(measured_run)
    metrics = json.loads((measured_run / "metrics.json").read_text())["test"]
    assert_same(
        {name: found[name] for name in metrics if name != "controls"},
        {name: metrics[name] for name in metrics if name != "controls"},
    )
    about = json.loads((measured_run / "whence.json").read_text())
    assert about["run"]["reliance"] == metrics["reliance"]
    assert 0 < metrics["reliance"]["median"] < 1
    stored = find_memory(model, measured_run, about)
    before = evaluate_untrained(
        model, measured_digits.test, stored, SETTINGS, about["run"], batch_size=50, download=False
    )
    expected = {"accuracy": before.whole_memory, **asdict(before.evidence)}
    assert found["controls"]["untrained"] == pytest.approx(expected)
    assert_same({**found["controls"], "untrained": None}, metrics["controls"])
    assert_same(measure(measured_run, controls=False)["controls"], metrics["controls"])
    assert measure(standard_run)["controls"]["untrained"] is None


def test_without_pixels_the_memory_images_come_from_the_data(
    measured_run, measured_digits, tmp_path
):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", measured_digits)
    bare, whole = measure(tmp_path / "a"), measure(measured_run)
    assert_same(bare["controls"], whole["controls"])


def test_without_pixels_the_data_must_be_there(tmp_path):
    write_images(tmp_path / "photos", {"ant": 12, "bee": 12})
    settings = Settings(data=str(tmp_path / "photos"), epochs=1, pixels=False)
    run(settings, tmp_path / "a", load_data(settings))
    gone = whence.load(tmp_path / "a").bank.sources[0]
    (tmp_path / "photos" / gone).unlink()
    message = r"keeps no pixels, and its images are needed .* 1 of \d+ are gone .*; add --no-contr"
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "a")
    assert measure(tmp_path / "a", controls=False)["images"] == 5


def test_pretrained_weights_must_be_there(measured_digits, tmp_path):
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
