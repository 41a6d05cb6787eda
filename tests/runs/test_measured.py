"""What was measured, as JSON, and its averages over runs."""

import json
from dataclasses import asdict

import pytest

import whence
from whence.metrics import OF_MEMORY
from whence.metrics.evidence import MEASURES
from whence.records.measures import FlagQuality
from whence.report.trust import find_best
from whence.runs.measured import average_runs, describe_evaluation, lay_out_spread


@pytest.fixture
def model(measured_run):
    return whence.load(measured_run)


@pytest.fixture
def found(model, measured_digits):
    return whence.evaluate(
        model, measured_digits.test, memory_size=15, draws=2, seed=4, draw_batch=60
    )


def test_json_by_hand(found):
    content = json.loads(json.dumps(describe_evaluation(found), allow_nan=False))
    assert content["accuracy"] == found.whole_memory
    assert content["accuracy_draws"]["passes"] == list(found.draws)
    for name in MEASURES:
        assert content[name] == getattr(found.evidence, name)
        one, two = (getattr(e, name) for e in found.draws_evidence)
        expected = {"mean": (one + two) / 2, "std": abs(one - two) / 2}
        assert content[f"{name}_draws"] == pytest.approx(expected)
    assert content["reliance"] == asdict(found.reliance)
    assert content["reliance"].keys() >= {"median", "right", "changed", "changed_share"}
    assert content["controls"]["random"] == asdict(found.controls["random"])
    assert content["controls"]["nearest"] == asdict(found.controls["nearest"])
    assert content["controls"]["untrained"] is None
    flag, own = content["flag"], found.signals["error_probability"]
    assert (flag["auroc"], flag["ece"], flag["aurc"]) == (own.auroc, own.ece, own.aurc)
    assert flag["risk_coverage"]["0.8"] == own.risk_coverage[0.8]
    assert flag["risk_coverage"].keys() == {"0.5", "0.8", "0.9", "0.95", "1.0"}
    assert flag["risk_coverage"]["1.0"] == pytest.approx(1 - found.whole_memory)
    assert flag["signals"]["support"]["auroc"] == found.signals["support"].auroc
    assert flag["signals"]["support"]["ece"] is None
    assert (flag["calibration_images"], flag["calibration_errors"]) == (
        70,
        found.calibration.errors,
    )
    assert flag["best"] == max(found.signals, key=lambda name: found.signals[name].auroc)


def test_json_of_what_does_not_apply(model, measured_digits, standard_run):
    model.calibration = None
    content = describe_evaluation(
        whence.evaluate(model, measured_digits.test, memory_size=3, draws=1)
    )
    flag = content["flag"]
    assert [flag[name] for name in ("auroc", "ece", "aurc", "risk_coverage")] == [None] * 4
    assert (flag["calibration_images"], flag["calibration_errors"]) == (None, None)
    assert flag["signals"].keys() == set(OF_MEMORY)
    content = describe_evaluation(whence.evaluate(whence.load(standard_run), measured_digits.test))
    assert content["controls"] == {"random": None, "nearest": None, "untrained": None}
    assert all(content[name] is None and content[f"{name}_draws"] is None for name in MEASURES)
    assert content["flag"]["auroc"] is not None


def test_the_best_signal():
    def quality(auroc):
        return FlagQuality(auroc, None, 0.5, {})

    assert find_best({"a": quality(0.4), "b": quality(0.7), "c": quality(0.6)}) == "b"
    assert find_best({"a": quality(None)}) is None


def test_averages_over_runs_by_hand():
    def make(purity, auroc, untrained):
        measures = dict.fromkeys(MEASURES, 0.5)
        signals = {"softmax": {"auroc": auroc, "risk_coverage": {"0.5": 0.25}}}
        flag = {"auroc": auroc, "best": "softmax", "signals": signals}
        own = {"purity": purity, "controls": {"untrained": untrained}, "flag": flag}
        return {**measures, **own, "reliance": {"median": purity, "changed_share": auroc}}

    found = average_runs(
        [make(0.25, 0.5, None), make(0.75, None, {"purity": 0.125}), make(0.5, 1.0, None)]
    )
    assert found["purity"] == {"mean": 0.5, "std": pytest.approx((1 / 24) ** 0.5)}
    assert found["example_accuracy"] == {"mean": 0.5, "std": 0.0}
    assert found["controls"] == {"untrained": {"purity": {"mean": 0.125, "std": 0.0}}}
    assert found["reliance"]["median"] == found["purity"]
    assert found["reliance"]["changed_share"] == {"mean": 0.75, "std": 0.25}
    assert found["flag"]["auroc"] == {"mean": 0.75, "std": 0.25}
    assert found["flag"]["signals"]["softmax"]["auroc"] == {"mean": 0.75, "std": 0.25}
    assert found["flag"]["signals"]["softmax"]["risk_coverage"]["0.5"] == {"mean": 0.25, "std": 0}
    assert "best" not in found["flag"]
    assert average_runs([make(0.5, None, None)])["flag"]["auroc"] is None
    assert lay_out_spread([None, None]) is None
