"""The calibrated probability of error: fitted, kept, stored and used."""

import json
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import whence
from whence.evidence.calibrate import calibrate, fit_calibration
from whence.evidence.judge import judge
from whence.metrics import OF_MEMORY, WITHOUT_MEMORY
from whence.metrics.doubt import measure_doubts, read_alone
from whence.models.calibration import error_probability
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.records.measures import Calibration

SHAPE = (1, 8, 8)
NAMES = ("a", "b", "c")
NEAREST_AND_ENTROPY = Calibration(
    names=("nearest", "entropy"),
    means=(-0.9, 0.0),
    scales=(0.1, 1.0),
    coefficients=(0.8, 0.3),
    intercept=-0.2,
    images=240,
    errors=90,
)


def draw(size, seed):
    rng = torch.Generator().manual_seed(seed)
    faint = torch.rand(size, 1, 1, 1, generator=rng)  # else noise looks alike to any network
    shade = torch.rand(size, 1, 1, 1, generator=rng)
    images = (torch.rand(size, *SHAPE, generator=rng) * faint + shade * (1 - faint)) * 255
    return ImageSet(images.to(torch.uint8), torch.randint(0, 3, (size,), generator=rng), NAMES)


def make(variant="memory-wrap"):
    torch.manual_seed(0)
    model = whence.wrap(
        "small_cnn", NAMES, variant=variant, image_shape=SHAPE, mean=[0.4], std=[0.2]
    ).eval()
    if model.has_memory:
        stored = draw(11, seed=1)
        model.remember(stored.images, stored.labels)
    return model


@pytest.fixture(scope="module")
def validation():
    return draw(240, seed=2)


@pytest.fixture(params=["memory-wrap", "only-memory", "standard"])
def calibrated(request, validation):
    model = make(request.param)
    model.calibration = calibrate(model, validation)
    assert model.calibration is not None
    return model


# On a model


@torch.no_grad()
@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_calibrate_is_a_fit_on_what_the_model_reads(variant, validation):
    model = make(variant)
    read = model.read(validation.images)
    doubts = measure_doubts(read, model.bank.predicted, OF_MEMORY)
    expected = fit_calibration(doubts, read.logits.argmax(1) != validation.labels, OF_MEMORY)
    found = calibrate(model, validation, batch_size=7)
    assert found.names == expected.names == OF_MEMORY[: len(found.names)]
    assert found.means == pytest.approx(expected.means, abs=1e-4)
    assert found.coefficients == pytest.approx(expected.coefficients, abs=1e-3)
    assert (found.images, found.errors) == (240, expected.errors)


def test_a_standard_model_has_two_signals(validation):
    model = make("standard")
    found = calibrate(model, validation)
    with torch.no_grad():
        logits = model(validation.images)
    errors = logits.argmax(1) != validation.labels
    doubts = measure_doubts(read_alone(logits), torch.zeros(0), WITHOUT_MEMORY)
    expected = fit_calibration(doubts, errors, WITHOUT_MEMORY)
    assert found.names == expected.names == WITHOUT_MEMORY[: len(found.names)]
    assert found.coefficients == pytest.approx(expected.coefficients, abs=1e-3)


def test_features_that_are_there_are_not_computed_again(validation):
    model = make()
    features = encode_all(model, validation.images)
    model.encoder.forward = None  # whoever encodes now fails
    assert calibrate(model, validation, features=features).images == 240
    with pytest.raises(TypeError):
        calibrate(model, validation)


def test_a_model_that_is_always_right_is_not_calibrated(validation):
    model = make()
    with torch.no_grad():
        predicted = model(validation.images).argmax(1)
    assert calibrate(model, replace(validation, labels=predicted)) is None
    assert calibrate(model, replace(validation, labels=(predicted + 1) % 3)) is None


def test_calibrate_refuses(validation):
    with pytest.raises(ValueError, match="at least one image to calibrate on, got none"):
        calibrate(make(), validation.take([]))
    bare = whence.wrap("small_cnn", NAMES, image_shape=SHAPE).eval()
    with pytest.raises(RuntimeError, match="The model has no memory yet"):
        calibrate(bare, validation)
    with pytest.raises(RuntimeError, match="The model has no memory yet"):
        bare.calibration = calibrate(make(), validation)
    assert bare.calibration is None


def test_another_memory_or_other_parameters_end_it(calibrated):
    model = calibrated
    kept = model.calibration
    model.to("cpu")
    model.float().train()
    model._apply(torch.clone)  # as a move to another device does
    assert model.calibration is kept
    if model.has_memory:
        model.eval().attach(model.bank)
        assert model.calibration is None
        model.calibration = kept
        stored = draw(5, seed=4)
        model.remember(stored.images, stored.labels)
        assert model.calibration is None
        model.calibration = kept
    with torch.no_grad():
        next(model.head.parameters()).add_(0.5)
    assert model.calibration is None
    if not model.has_memory:
        model.calibration = kept
        assert model.calibration is kept
        assert model.double().calibration is None
    model.calibration = None
    assert model.calibration is None


@torch.no_grad()
def test_judge_is_the_formula_on_the_answers(calibrated):
    images = draw(9, seed=5).images
    if calibrated.has_memory:
        read, own = calibrated.read(images), calibrated.bank.predicted
    else:
        read, own = read_alone(calibrated(images)), torch.zeros(0)
    queries = calibrated.encode(images)
    names = calibrated.calibration.names
    expected = error_probability(calibrated.calibration, measure_doubts(read, own, names))
    found = judge(calibrated, read, queries)
    assert found.shape == (9,)
    assert_close(found, expected)
    assert found.std() > 1e-3, "pick a case with a spread"
    calibrated.calibration = None
    assert judge(calibrated, read, queries) is None


@torch.no_grad()
def test_judge_with_a_mask(validation):
    model = make()
    model.calibration = NEAREST_AND_ENTROPY
    images, mask = validation.images[:4], torch.ones(4, 11, dtype=torch.bool)
    tops = model.read(images).scores.argmax(1)
    mask[torch.arange(4), tops] = False
    features = model.bank.features
    queries = model.encode(images)
    read = model.head(queries, features, mask)
    hidden = read._replace(scores=read.scores.masked_fill(~mask, -torch.inf))
    found = judge(model, hidden, queries, mask=mask)
    doubts = measure_doubts(hidden, model.bank.predicted, model.calibration.names)
    assert_close(found, error_probability(model.calibration, doubts))
    assert not torch.equal(found, judge(model, read, queries)), (
        "the nearest image is one that is masked"
    )
    with pytest.raises(ValueError, match=r"own must be \(M\) with M=10, got shape \(11,\)"):
        judge(model, model.head(queries, features[:10]), queries)


def test_predict_knows_the_error_probability_that_explain_gives(calibrated):
    images = draw(9, seed=5).images
    fast, slow = whence.predict(calibrated, images), whence.explain(calibrated, images, draws=0)
    for one, other in zip(fast, slow, strict=True):
        assert one.error_probability == pytest.approx(other.error_probability, abs=1e-5)
        assert (one.flag, one.left_out) == (other.flag, other.left_out)
    assert len({round(one.error_probability, 4) for one in fast}) > 1
    calibrated.calibration = None
    assert whence.predict(calibrated, images)[0].error_probability is None


# On disk


def test_a_calibration_is_saved_and_loaded(calibrated, tmp_path):
    whence.save(calibrated, tmp_path / "a")
    assert whence.load(tmp_path / "a").calibration == calibrated.calibration
    about = json.loads((tmp_path / "a" / "whence.json").read_text())
    assert about["calibration"]["names"] == list(calibrated.calibration.names)
    calibrated.calibration = None
    whence.save(calibrated, tmp_path / "b")
    assert json.loads((tmp_path / "b" / "whence.json").read_text())["calibration"] is None
    assert whence.load(tmp_path / "b").calibration is None


def rewrite(folder, change):
    about = json.loads((folder / "whence.json").read_text())
    change(about)
    (folder / "whence.json").write_text(json.dumps(about))
    return folder


def test_a_folder_from_before_calibrations_loads(calibrated, tmp_path):
    whence.save(calibrated, tmp_path / "a")
    loaded = whence.load(rewrite(tmp_path / "a", lambda about: about.pop("calibration")))
    assert loaded.calibration is None


FIELDS = "names, means, scales, coefficients, intercept, images, errors"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (3, f"a calibration of {FIELDS}, or null"),
        ([], "a calibration of names"),
        ({"intercept": ...}, "a calibration of names"),
        ({"more": 1}, "a calibration of names"),
        ({"names": "softmax"}, "a calibration of different signals of softmax, class_mass"),
        ({"names": []}, "different signals"),
        ({"names": ["softmax", 1]}, "different signals"),
        ({"names": ["softmax", "softmax"]}, "different signals"),
        ({"names": ["softmax", "os.system"]}, "different signals"),
        ({"names": ["softmax"]}, "a calibration with 1 means, one per signal"),
        ({"means": 1}, "with 2 means, one per signal"),
        ({"scales": [1.0]}, "with 2 scales, one per signal"),
        ({"coefficients": [1, 2, 3]}, "with 2 coefficients, one per signal"),
        ({"coefficients": [1, "2"]}, "with finite coefficients"),
        ({"coefficients": [1, True]}, "with finite coefficients"),
        ({"means": [0, 10**400]}, "with finite means"),
        ({"means": [0, -1e101]}, "with finite means"),
        ({"scales": [1, 0]}, "with positive scales"),
        ({"scales": [1, -2.0]}, "with positive scales"),
        ({"scales": [1, 1e-200]}, "with positive scales"),
        ({"intercept": None}, "with a finite intercept"),
        ({"intercept": [1]}, "with a finite intercept"),
        ({"images": 50.0}, "numbers of images and, fewer, of errors"),
        ({"errors": True}, "numbers of images and, fewer, of errors"),
        ({"errors": 0}, "numbers of images and, fewer, of errors"),
        ({"errors": 50}, "numbers of images and, fewer, of errors"),
        ({"images": 10**200}, "numbers of images and, fewer, of errors"),
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path, fields, message):
    whence.save(make(), tmp_path / "a")
    good = {
        "names": ["softmax", "support"],
        "means": [0.5, 1],
        "scales": [1, 2.0],
        "coefficients": [0.5, -1.0],
        "intercept": -2.0,
        "images": 50,
        "errors": 9,
    }

    def change(about):
        merged = {**good, **fields} if isinstance(fields, dict) else fields
        if isinstance(merged, dict):
            merged = {name: value for name, value in merged.items() if value is not ...}
        about["calibration"] = merged

    with pytest.raises(ValueError, match=rf"whence.json must have .*{message}.*; it is damaged"):
        whence.load(rewrite(tmp_path / "a", change))
    rewrite(tmp_path / "a", lambda about: about.update(calibration=good))
    assert whence.load(tmp_path / "a").calibration.coefficients == (0.5, -1.0)


def test_a_standard_model_refuses_signals_of_a_memory(tmp_path, validation):
    model = make("standard")
    model.calibration = calibrate(model, validation)
    whence.save(model, tmp_path / "a")
    rewrite(tmp_path / "a", lambda about: about["calibration"].update(names=["softmax", "support"]))
    with pytest.raises(ValueError, match="a calibration of different signals of softmax, entropy"):
        whence.load(tmp_path / "a")


def test_a_calibration_without_its_bank_is_left(tmp_path, validation):
    model = make()
    model.calibration = calibrate(model, validation)
    whence.save(model, tmp_path / "a")
    rewrite(tmp_path / "a", lambda about: about["sha256"].pop("bank.safetensors"))
    assert whence.load(tmp_path / "a").calibration is None
