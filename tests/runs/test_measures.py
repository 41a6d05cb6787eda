"""What an evaluation measures beside accuracy: evidence, its controls, and signs of doubt."""

import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch

import whence
from whence.cli import main
from whence.cli.work.evaluate_text import describe, describe_summary
from whence.data.load import load_dataset
from whence.data.memory_draw import draw_memory
from whence.encoders.weights import hash_tensors
from whence.evidence.answers import Memory, answer
from whence.evidence.calibrate import calibrate
from whence.evidence.controls import measure_nearest, measure_random
from whence.evidence.evaluate import describe_evidence
from whence.evidence.judge import judge
from whence.metrics import SIGNALS, WITHOUT_MEMORY
from whence.metrics.evidence import MEASURES, measure_evidence
from whence.metrics.flag import measure_flag
from whence.models.classifier import encode_all
from whence.records.images import ImageSet
from whence.records.measures import FlagQuality
from whence.report.trust import find_best
from whence.runs import run as run_module
from whence.runs import untrained as untrained_module
from whence.runs.finished import evaluate_run
from whence.runs.measured import average_runs, describe_evaluation, spread
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.untrained import evaluate_untrained

SETTINGS = Settings(
    data="digits",
    train_examples=50,
    validation_examples=70,
    batch_size=10,
    memory_size=15,
    learning_rate=0.05,
    epochs=2,
    precision="float32",
    seed=3,
)


@pytest.fixture(scope="module")
def digits():
    """The digits, with fewer test images."""
    dataset = load_dataset("digits")
    return replace(dataset, test=dataset.test.take(torch.arange(60)))


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(SETTINGS, folder, digits)
    return folder


@pytest.fixture(scope="module")
def standard(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "standard"
    run(replace(SETTINGS, variant="standard"), folder, digits)
    return folder


@pytest.fixture
def model(finished):
    return whence.load(finished)


@pytest.fixture
def found(model, digits):
    return whence.evaluate(model, digits.test, memory_size=15, draws=2, seed=4, draw_batch=60)


# Evidence


@torch.no_grad()
def test_evidence_with_the_whole_memory_done_slowly(model, digits, found):
    read, bank = model.read(digits.test.images), model.bank
    purity, support = [], []
    for row, truth in zip(read.weights.tolist(), digits.test.labels.tolist(), strict=True):
        pairs = list(zip(row, bank.labels.tolist(), strict=True))
        purity.append(sum(weight for weight, label in pairs if label == truth))
        support.append(sum(weight > 0 for weight, _ in pairs))
    assert found.evidence.purity == pytest.approx(sum(purity) / 60, abs=1e-5)
    assert found.evidence.support_size == pytest.approx(sum(support) / 60)
    ordered = sorted(support)
    assert found.evidence.support_size_median == (ordered[29] + ordered[30]) / 2
    assert 0.15 < found.evidence.purity < 0.95
    assert found.evidence.support_size > 1


@torch.no_grad()
def test_evidence_of_draws_done_slowly(model, digits, found):
    generator = torch.Generator().manual_seed(4)
    for one in found.draws_evidence:
        places = draw_memory(50, 15, generator=generator)
        read = model.read(digits.test.images, model.bank.images[places])
        right = model.bank.labels[places] == digits.test.labels[:, None]
        assert one.purity == pytest.approx(float(read.weights[right].sum() / 60), abs=1e-5)
        assert one.support_size == pytest.approx(float((read.weights > 0).sum() / 60))
    assert found.draws_evidence[0].purity != found.draws_evidence[1].purity


def test_purity_needs_the_labels_of_all_memory_images(model, digits):
    images, labels = model.bank.images, model.bank.labels.clone()
    labels[3] = -1
    model.remember(images, labels)
    found = whence.evaluate(model, digits.test, memory_size=15, draws=1)
    measured = [found.evidence, *found.draws_evidence, *found.controls.values()]
    assert len(measured) == 4
    assert all(one.purity is None for one in measured)
    assert found.evidence.support_size > 1


def test_a_standard_model_has_no_evidence(standard, digits):
    model = whence.load(standard)
    found = whence.evaluate(model, digits.test)
    assert (found.evidence, found.draws, found.draws_evidence) == (None, None, None)
    assert found.controls == {}
    assert list(found.signals) == ["error_probability", *WITHOUT_MEMORY]
    alone = answer(
        model, encode_all(model, digits.test.images), digits.test.labels, None, batch_size=9
    )
    with pytest.raises(ValueError, match="answers must be computed from a memory to have evidence"):
        describe_evidence(alone, digits.test.labels, Memory(*torch.zeros(3, 1)))


# Controls


def make_case(rng, size=13, memory=7, classes=4):
    """Answers, labels and a memory in which every class occurs, drawn at random."""
    queries, features = torch.randn(size, 3, generator=rng), torch.randn(memory, 3, generator=rng)
    logits = torch.randn(size, classes, generator=rng)
    labels, stored, own = (
        torch.randint(0, classes, (n,), generator=rng) for n in (size, memory, memory)
    )
    return queries, logits, labels, Memory(features, stored, own)


def test_random_is_the_mean_over_every_memory_image(rng):
    _, logits, labels, memory = make_case(rng)
    found = measure_random(logits, labels, memory)
    predicted = logits.argmax(1)
    agrees = [own == predicted for own in memory.own]
    purity = [label == labels for label in memory.labels]
    every = measure_evidence((predicted == labels).repeat(7), torch.cat(agrees), torch.cat(purity))
    assert asdict(found) == pytest.approx(asdict(every))
    assert 0 < found.example_accuracy != found.counterfactual_accuracy


def test_nearest_is_the_smallest_euclidean_distance(rng):
    queries, logits, labels, memory = make_case(rng)
    found = measure_nearest(queries, logits, labels, memory, batch_size=5)
    predicted, agrees, purity = logits.argmax(1), [], []
    for query, answered, label in zip(queries, predicted, labels, strict=True):
        distances = [float((query - stored).norm()) for stored in memory.features]
        place = distances.index(min(distances))
        agrees.append(bool(memory.own[place] == answered))
        purity.append(float(memory.labels[place] == label))
    expected = measure_evidence(predicted == labels, torch.tensor(agrees), torch.tensor(purity))
    assert found == expected
    assert (found.support_size, found.support_size_median) == (None, None)
    by_angle = torch.nn.functional.cosine_similarity(queries[:, None], memory.features[None], dim=2)
    assert not torch.equal(by_angle.argmax(1), torch.cdist(queries, memory.features).argmin(1))


def test_an_evaluation_measures_its_own_answers(model, digits, found):
    features = encode_all(model, digits.test.images)
    with torch.no_grad():
        logits = model(digits.test.images)
    memory, labels = Memory.of(model.bank), digits.test.labels
    assert asdict(found.controls["random"]) == pytest.approx(
        asdict(measure_random(logits, labels, memory))
    )
    assert asdict(found.controls["nearest"]) == pytest.approx(
        asdict(measure_nearest(features, logits, labels, memory, batch_size=60))
    )
    assert found.controls.keys() == {"random", "nearest"}


# Signs of doubt


@torch.no_grad()
def test_signals_measure_the_answers_with_the_whole_memory(model, digits, found):
    read = model.read(digits.test.images)
    errors = read.logits.argmax(1) != digits.test.labels
    assert 5 < errors.sum() < 55, "pick a case with both"
    assert list(found.signals) == ["error_probability", *SIGNALS]
    for name, quality in found.signals.items():
        doubts = (
            judge(model, read)
            if name == "error_probability"
            else SIGNALS[name](read, model.bank.predicted)
        )
        probability = name in ("error_probability", "softmax")
        expected = measure_flag(doubts, errors, probability=probability)
        assert quality.auroc == pytest.approx(expected.auroc), name
        assert quality.ece == pytest.approx(expected.ece, abs=1e-6), name
        assert quality.aurc == pytest.approx(expected.aurc), name
        assert quality.risk_coverage == pytest.approx(expected.risk_coverage), name
    assert found.signals["softmax"].auroc > 0.6
    assert found.calibration == model.calibration
    model.calibration = None
    assert "error_probability" not in whence.evaluate(model, digits.test, memory_size=2).signals


def test_batches_and_features_change_nothing(model, digits, found):
    features = encode_all(model, digits.test.images)
    options = {"memory_size": 15, "draws": 2, "seed": 4, "draw_batch": 60}
    one = whence.evaluate(model, digits.test, batch_size=7, **options)
    model.encoder.forward = None  # whoever encodes now fails
    two = whence.evaluate(model, digits.test, features=features, **options)
    for other in (one, two):
        assert_same(describe_evaluation(other), describe_evaluation(found))
    with pytest.raises(TypeError):
        whence.evaluate(model, digits.test, **options)


def assert_same(found, expected):
    """Compare JSON; numbers may differ as float32 does."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == expected


def test_evaluate_refuses(model, digits):
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        whence.evaluate(model, digits.test, draws=0)


# As JSON


def test_json_by_hand(found):
    content = json.loads(json.dumps(describe_evaluation(found), allow_nan=False))
    assert content["accuracy"] == found.whole_memory
    assert content["accuracy_draws"]["passes"] == list(found.draws)
    for name in MEASURES:
        assert content[name] == getattr(found.evidence, name)
        one, two = (getattr(e, name) for e in found.draws_evidence)
        expected = {"mean": (one + two) / 2, "std": abs(one - two) / 2}
        assert content[f"{name}_draws"] == pytest.approx(expected)
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


def test_json_of_what_does_not_apply(model, digits, standard):
    model.calibration = None
    content = describe_evaluation(whence.evaluate(model, digits.test, memory_size=3, draws=1))
    flag = content["flag"]
    assert [flag[name] for name in ("auroc", "ece", "aurc", "risk_coverage")] == [None] * 4
    assert (flag["calibration_images"], flag["calibration_errors"]) == (None, None)
    assert flag["signals"].keys() == set(SIGNALS)
    content = describe_evaluation(whence.evaluate(whence.load(standard), digits.test))
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
        return {**measures, "purity": purity, "controls": {"untrained": untrained}, "flag": flag}

    found = average_runs(
        [make(0.25, 0.5, None), make(0.75, None, {"purity": 0.125}), make(0.5, 1.0, None)]
    )
    assert found["purity"] == {"mean": 0.5, "std": pytest.approx((1 / 24) ** 0.5)}
    assert found["example_accuracy"] == {"mean": 0.5, "std": 0.0}
    assert found["controls"] == {"untrained": {"purity": {"mean": 0.125, "std": 0.0}}}
    assert found["flag"]["auroc"] == {"mean": 0.75, "std": 0.25}
    assert found["flag"]["signals"]["softmax"]["auroc"] == {"mean": 0.75, "std": 0.25}
    assert found["flag"]["signals"]["softmax"]["risk_coverage"]["0.5"] == {"mean": 0.25, "std": 0}
    assert "best" not in found["flag"]
    assert average_runs([make(0.5, None, None)])["flag"]["auroc"] is None
    assert spread([None, None]) is None


# A training run


def test_a_run_is_calibrated_on_its_validation_images(finished, digits, model):
    validation = prepare(SETTINGS, digits).validation
    expected = calibrate(model, validation)
    assert model.calibration.names == expected.names
    assert model.calibration.coefficients == pytest.approx(expected.coefficients, abs=1e-3)
    assert model.calibration.images == 70
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["test"]["flag"]["auroc"] is not None
    assert metrics["validation"]["flag"]["auroc"] is None, "it was fitted there"
    assert metrics["validation"]["flag"]["signals"]["softmax"]["auroc"] is not None


def test_a_run_without_validation_images_is_not_calibrated(digits, tmp_path):
    few = replace(digits, train=digits.train.take(torch.arange(60)))
    run(replace(SETTINGS, train_examples=None, validation_examples=10), tmp_path / "a", few)
    small = whence.load(tmp_path / "a").calibration
    assert small is None or min(small.errors, 10 - small.errors) >= 5


def test_a_run_encodes_every_image_once(digits, tmp_path, monkeypatch):
    encoded = []

    def count(model, images, *, batch_size):
        encoded.append(len(images))
        return encode_all(model, images, batch_size=batch_size)

    monkeypatch.setattr("whence.models.classifier.encode_all", count)
    monkeypatch.setattr("whence.evidence.evaluate.encode_all", count)
    monkeypatch.setattr("whence.evidence.calibrate.encode_all", count)
    monkeypatch.setattr(run_module, "encode_all", count)
    run(SETTINGS, tmp_path / "a", digits)
    assert encoded == [50, 70, 60]


# The network before training


def test_untrained_is_the_network_that_the_run_started_from(finished, digits, model):
    about = json.loads((finished / "whence.json").read_text())
    found = evaluate_untrained(model, digits.test, SETTINGS, about["run"], batch_size=9)
    start = prepare(SETTINGS, digits).model.eval()
    start.remember(model.bank.images, model.bank.labels)
    expected = whence.evaluate(start, digits.test, memory_size=15, draws=1)
    assert found.whole_memory == expected.whole_memory
    assert asdict(found.evidence) == pytest.approx(asdict(expected.evidence), abs=1e-5)
    assert found.evidence.support_size != pytest.approx(
        whence.evaluate(model, digits.test, memory_size=15, draws=1).evidence.support_size
    )


@pytest.fixture
def few_digits(digits, monkeypatch):
    """Let a finished run find the digits with fewer test images."""
    for place in (
        "whence.runs.finished.load_data",
        "whence.runs.untrained.load_data",
    ):
        monkeypatch.setattr(place, lambda settings: digits)


def measure(folder, **options):
    return evaluate_run(folder, data=None, device="cpu", seed=None, batch_size=50, **options)


def test_evaluate_run(finished, standard, few_digits, model, digits):
    found = measure(finished)
    metrics = json.loads((finished / "metrics.json").read_text())["test"]
    assert_same(
        {name: found[name] for name in metrics if name != "controls"},
        {name: metrics[name] for name in metrics if name != "controls"},
    )
    run_of = json.loads((finished / "whence.json").read_text())["run"]
    before = evaluate_untrained(model, digits.test, SETTINGS, run_of, batch_size=50)
    expected = {"accuracy": before.whole_memory, **asdict(before.evidence)}
    assert found["controls"]["untrained"] == pytest.approx(expected)
    assert_same({**found["controls"], "untrained": None}, metrics["controls"])
    assert_same(measure(finished, controls=False)["controls"], metrics["controls"])
    assert measure(standard)["controls"]["untrained"] is None


def test_without_pixels_the_memory_images_come_from_the_data(
    finished, digits, tmp_path, few_digits
):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", digits)
    bare, whole = measure(tmp_path / "a"), measure(finished)
    assert_same(bare["controls"], whole["controls"])


def test_without_pixels_the_data_must_be_there(digits, tmp_path, few_digits, monkeypatch):
    run(replace(SETTINGS, pixels=False), tmp_path / "a", digits)
    other = replace(digits, train=digits.train.take(torch.arange(100)))
    monkeypatch.setattr(untrained_module, "load_data", lambda settings: other)
    message = "digits must hold the training images that the run was made with, which keeps no pixels itself; add --no-controls"
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "a")
    assert measure(tmp_path / "a", controls=False)["accuracy"] > 0


def test_pretrained_weights_must_be_there(digits, tmp_path, few_digits):
    torch.manual_seed(5)
    encoder = whence.encoders.ENCODERS["small_cnn"](channels=1, image_size=8)
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    weights = str(tmp_path / "weights.pt")
    run(replace(SETTINGS, weights=weights, encoder="small_cnn"), tmp_path / "a", digits)
    found = measure(tmp_path / "a")
    model = whence.load(tmp_path / "a")
    model.encoder.load_state_dict(encoder.state_dict())
    settings = replace(SETTINGS, weights=weights, encoder="small_cnn")
    model.head = prepare(settings, digits).model.head
    model.eval().remember(model.bank.images, model.bank.labels)
    expected = whence.evaluate(model, digits.test, memory_size=15, draws=1)
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


# The command


def test_text_of_one_run(finished, few_digits, capsys):
    assert main(["evaluate", str(finished)]) == 0
    text = capsys.readouterr().out
    found = measure(finished)
    lines = {line.split("  ")[1].strip(): line for line in text.splitlines() if "  " in line}
    purity = lines["weight on stored images of the true class"].split()
    values = [found["purity"], found["purity_draws"]["mean"]]
    values += [found["controls"][name]["purity"] for name in ("random", "nearest", "untrained")]
    assert purity[-5:] == [f"{value:.2%}" for value in values]
    support = lines["stored images with weight, mean"].split()
    assert support[-5:-2] == [
        f"{found['support_size']:.1f}",
        f"{found['support_size_draws']['mean']:.1f}",
        "-",
    ]
    flag = found["flag"]
    own = lines["calibrated probability of error"].split()
    assert own[-5:-2] == [f"{flag[name]:.3f}" for name in ("auroc", "ece", "aurc")]
    assert own[-2:] == [f"{flag['risk_coverage'][part]:.2%}" for part in ("0.8", "0.9")]
    assert (
        f"finds errors best (AUROC {flag['signals'][flag['best']]['auroc']:.3f}; 0.5 is a coin)"
        in text
    )
    assert f"calibrated on 70 validation images, {flag['calibration_errors']} of them wrong" in text
    assert main(["evaluate", str(finished), "--no-controls"]) == 0
    assert "untrained" not in capsys.readouterr().out


def test_text_without_memory_and_without_calibration(standard, few_digits, model, digits):
    found = measure(standard)
    text = describe(found)
    assert "entropy of the probabilities" in text
    assert "nearest" not in text
    assert "with draws" not in text
    model.calibration = None
    bare = describe_evaluation(whence.evaluate(model, digits.test, memory_size=2, draws=1))
    text = describe({"run": "x", **bare})
    assert "not calibrated: a training run does that, given 5 wrong and 5 right validation" in text
    assert "untrained" not in text
    labels = torch.full((60,), int(digits.test.labels[0]))
    with torch.no_grad():
        labels = model(digits.test.images).argmax(1)
    right = ImageSet(digits.test.images, labels, digits.test.class_names)
    text = describe(
        {"run": "x", **describe_evaluation(whence.evaluate(model, right, memory_size=2))}
    )
    assert "x: 100.00% of 60 images right" in text
    assert "finds errors best" not in text


def test_a_folder_of_runs(finished, standard, few_digits, tmp_path, digits, capsys):
    for name in ("a", "b"):
        shutil.copytree(finished, tmp_path / name)
    run(replace(SETTINGS, seed=5), tmp_path / "c", digits)
    assert main(["evaluate", str(tmp_path), "--json", "--no-controls"]) == 0
    summary = json.loads(capsys.readouterr().out)
    purities = [one["purity"] for one in summary["runs"]]
    assert purities[0] == purities[1] != purities[2]
    assert summary["purity"]["mean"] == pytest.approx(sum(purities) / 3)
    auroc = [one["flag"]["auroc"] for one in summary["runs"]]
    assert summary["flag"]["auroc"]["mean"] == pytest.approx(sum(auroc) / 3)
    text = describe_summary(summary)
    spread = summary["flag"]["auroc"]
    assert f"{spread['mean']:.3f} ± {spread['std']:.3f}" in text
    assert f"{summary['purity']['mean']:.2%} ± {summary['purity']['std']:.2%}" in text
    assert "mean of 3 runs: " in text
    mixed = [*summary["runs"], measure(standard)]
    assert average_runs(mixed)["purity"] == summary["purity"]
