"""What an evaluation measures beside accuracy: evidence, its controls, and signs of doubt."""

from dataclasses import asdict

import pytest
import torch

import whence
from tests.helpers.measured_runs import assert_same
from whence.data.memory_draw import draw_memory
from whence.evidence.answers import Memory, answer
from whence.evidence.controls import measure_nearest, measure_random
from whence.evidence.evaluate import describe_evidence
from whence.evidence.judge import judge
from whence.metrics import OF_MEMORY, SIGNALS, WITHOUT_MEMORY
from whence.metrics.evidence import measure_evidence
from whence.metrics.flag import measure_flag
from whence.models.using import encode_all
from whence.runs.measured import describe_evaluation


@pytest.fixture
def model(measured_run):
    return whence.load(measured_run)


@pytest.fixture
def found(model, measured_digits):
    return whence.evaluate(
        model, measured_digits.test, memory_size=15, draws=2, seed=4, draw_batch=60
    )


@torch.no_grad()
def test_evidence_with_the_whole_memory_done_slowly(model, measured_digits, found):
    read, bank = model.read(measured_digits.test.images), model.bank
    purity, support = [], []
    for row, truth in zip(read.weights.tolist(), measured_digits.test.labels.tolist(), strict=True):
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
def test_evidence_of_draws_done_slowly(model, measured_digits, found):
    generator = torch.Generator().manual_seed(4)
    for one in found.draws_evidence:
        places = draw_memory(50, 15, generator=generator)
        read = model.read(measured_digits.test.images, model.bank.images[places])
        right = model.bank.labels[places] == measured_digits.test.labels[:, None]
        assert one.purity == pytest.approx(float(read.weights[right].sum() / 60), abs=1e-5)
        assert one.support_size == pytest.approx(float((read.weights > 0).sum() / 60))
    assert found.draws_evidence[0].purity != found.draws_evidence[1].purity


def test_purity_needs_the_labels_of_all_memory_images(model, measured_digits):
    images, labels = model.bank.images, model.bank.labels.clone()
    labels[3] = -1
    model.remember(images, labels)
    found = whence.evaluate(model, measured_digits.test, memory_size=15, draws=1)
    measured = [found.evidence, *found.draws_evidence, *found.controls.values()]
    assert len(measured) == 4
    assert all(one.purity is None for one in measured)
    assert found.evidence.support_size > 1


def test_a_standard_model_has_no_evidence(standard_run, measured_digits):
    model = whence.load(standard_run)
    found = whence.evaluate(model, measured_digits.test)
    assert (found.evidence, found.draws, found.draws_evidence) == (None, None, None)
    assert found.controls == {}
    assert list(found.signals) == ["error_probability", *WITHOUT_MEMORY]
    alone = answer(
        model,
        encode_all(model, measured_digits.test.images),
        measured_digits.test.labels,
        None,
        batch_size=9,
    )
    with pytest.raises(ValueError, match="answers must be computed from a memory to have evidence"):
        describe_evidence(alone, measured_digits.test.labels, Memory(*torch.zeros(3, 1)))


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
    found = measure_random(logits.argmax(1), labels, memory, classes=4)
    predicted = logits.argmax(1)
    agrees = [own == predicted for own in memory.own]
    purity = [label == labels for label in memory.labels]
    every = measure_evidence((predicted == labels).repeat(7), torch.cat(agrees), torch.cat(purity))
    assert asdict(found) == pytest.approx(asdict(every))
    assert 0 < found.example_accuracy != found.counterfactual_accuracy


def test_nearest_is_the_smallest_euclidean_distance(rng):
    queries, logits, labels, memory = make_case(rng)
    found = measure_nearest(queries, logits.argmax(1), labels, memory, batch_size=5)
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


def test_an_evaluation_measures_its_own_answers(model, measured_digits, found):
    features = encode_all(model, measured_digits.test.images)
    with torch.no_grad():
        logits = model(measured_digits.test.images)
    memory, labels = Memory.of(model), measured_digits.test.labels
    assert asdict(found.controls["random"]) == pytest.approx(
        asdict(measure_random(logits.argmax(1), labels, memory, classes=logits.shape[1]))
    )
    assert asdict(found.controls["nearest"]) == pytest.approx(
        asdict(measure_nearest(features, logits.argmax(1), labels, memory, batch_size=60))
    )
    assert found.controls.keys() == {"random", "nearest"}


@torch.no_grad()
def test_signals_measure_the_answers_with_the_whole_memory(model, measured_digits, found):
    read = model.read(measured_digits.test.images)
    errors = read.logits.argmax(1) != measured_digits.test.labels
    assert 5 < errors.sum() < 55, "pick a case with both"
    assert list(found.signals) == ["error_probability", *OF_MEMORY]
    for name, quality in found.signals.items():
        doubts = (
            judge(model, read, model.encode(measured_digits.test.images))
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
    assert (
        "error_probability"
        not in whence.evaluate(model, measured_digits.test, memory_size=2).signals
    )


def test_batches_and_features_change_nothing(model, measured_digits, found):
    features = encode_all(model, measured_digits.test.images)
    options = {"memory_size": 15, "draws": 2, "seed": 4, "draw_batch": 60}
    one = whence.evaluate(model, measured_digits.test, batch_size=7, **options)
    model.encoder.forward = None  # whoever encodes now fails
    two = whence.evaluate(model, measured_digits.test, features=features, **options)
    for other in (one, two):
        assert_same(describe_evaluation(other), describe_evaluation(found))
    with pytest.raises(TypeError):
        whence.evaluate(model, measured_digits.test, **options)


def test_evaluate_refuses(model, measured_digits):
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        whence.evaluate(model, measured_digits.test, draws=0)
