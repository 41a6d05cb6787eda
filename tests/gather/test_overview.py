"""A whole run in numbers, gathered from a model."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.explaining import CLASSES as NAMES
from tests.helpers.explaining import build, build_with_memory, draw_images
from tests.helpers.overviews import CALIBRATION, MADE
from whence.evidence.evaluate import evaluate
from whence.evidence.judge import judge
from whence.evidence.suspicious import find_suspicious
from whence.gather.overview import (
    DRAWN,
    FIRST,
    POINTS,
    confuse,
    gather_overview,
    list_suspicious,
    name_doubts,
    trace_curve,
)
from whence.gather.use_of_memory import read_all
from whence.metrics import OF_MEMORY
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.report.trust import (
    SIGNAL_NAMES,
)


def draw_set(count=41):
    labels = torch.randint(0, 3, (count,), generator=torch.Generator().manual_seed(4))
    return ImageSet(draw_images(count, seed=6), labels, NAMES)


@pytest.mark.parametrize("calibrated", [False, True])
def test_an_overview_agrees_with_single_answers(calibrated):
    model, images = build_with_memory(), draw_set()
    if calibrated:
        model.calibration = CALIBRATION
    found = gather_overview(model, images, MADE, hard=6, seed=3, batch_size=16)
    expected = evaluate(model, images, memory_size=6, seed=3, draw_batch=9, batch_size=16)
    assert found.evaluation == expected
    assert (
        found.evaluation.draws
        != gather_overview(model, images, MADE, seed=4, batch_size=16).evaluation.draws
    )
    assert int(found.confusion.trace()) == round(expected.whole_memory * 41)
    assert found.confusion.sum(1).tolist() == images.labels.bincount().tolist()
    drawn = [curve.signal for curve in found.curves]
    assert drawn == [name for name in DRAWN if calibrated or name != "error_probability"]
    for curve in found.curves:
        quality = expected.signals[curve.signal]
        for share, risk in zip(curve.coverages, curve.risks, strict=True):
            if share in quality.risk_coverage:
                assert risk == pytest.approx(quality.risk_coverage[share])
    assert found.suspicious == find_suspicious(model, batch_size=16)
    assert found.class_names == NAMES
    assert len(found.hard) == 6
    for one in found.hard:
        single = model.read(images.images[one.place][None])
        chances = single.logits.softmax(1)[0]
        assert one.predicted == int(chances.argmax())
        assert one.probability == pytest.approx(float(chances.max()), abs=1e-6)
        assert one.truth == int(images.labels[one.place])
        if calibrated:
            queries = model.encode(images.images[one.place][None])
            told = float(judge(model, single, queries)[0])
            assert one.error_probability == pytest.approx(told, abs=1e-5)
        else:
            assert one.error_probability is None


def test_every_image_is_encoded_once_and_no_trace_is_left():
    model, images = build_with_memory(), draw_set()
    seen = []
    hook = model.encoder.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gather_overview(model, images, MADE, batch_size=16)
    hook.remove()
    assert seen == [16, 16, 9]
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_all_stored_images_that_are_listed_are_kept_with_their_pixels(monkeypatch):
    monkeypatch.setattr("whence.gather.overview.LISTED", 7)
    model = build_with_memory(90)
    bank = model.bank
    found = gather_overview(model, draw_set(), MADE)
    used = {one.index for one in (*found.memory.most, *found.memory.misleading)}
    listed = {one.index for one in found.suspicious[:7]}
    assert listed - used
    assert {one.index for one in found.suspicious[7:]} - used
    assert set(found.stored) == used | listed
    assert found.memory.size == 90
    for index, stored in found.stored.items():
        place = (index - 7) // 10
        assert torch.equal(stored.image, bank.images[place])
        assert stored.source == f"{place}.png"
        assert stored.label == int(bank.labels[place])
    assert sum(one.weight for one in found.memory.most) <= 41 + 1e-4


def test_doubts_are_named_the_calibrated_one_first():
    model, images = build_with_memory(), draw_set()
    features = encode_all(model, images.images)
    doubts = read_all(model, features, images.labels, batch_size=50).doubts
    plain = name_doubts(model, doubts)
    assert list(plain) == list(OF_MEMORY)
    model.calibration = CALIBRATION
    columns = name_doubts(model, doubts)
    assert list(columns) == ["error_probability", *OF_MEMORY]
    torch.testing.assert_close(
        columns["error_probability"], judge(model, model.read(images.images), features)
    )


def test_a_standard_model_has_accuracy_and_doubt_but_no_memory():
    model, images = build("standard"), draw_set()
    found = gather_overview(model, images, replace(MADE, variant="standard"), hard=4)
    assert found.memory is None
    assert found.suspicious is None
    assert found.stored == {}
    assert [curve.signal for curve in found.curves] == ["softmax", "entropy"]
    assert found.evaluation == evaluate(model, images)
    predicted = model(images.images).argmax(1)
    assert torch.equal(found.confusion, confuse(images.labels, predicted, 3))


def test_without_labels_no_label_is_suspicious():
    model = build().remember(draw_images(9))
    assert list_suspicious(model, None, batch_size=4) is None
    with pytest.raises(ValueError, match=r"images must hold at least one image to report on"):
        gather_overview(build_with_memory(), draw_set(1).take([]), MADE)
    with pytest.raises(RuntimeError, match=r"The model has no memory yet"):
        gather_overview(build(), draw_set(), MADE)


def test_confusion_counts_pairs(rng):
    labels = torch.randint(0, 4, (60,), generator=rng)
    predicted = torch.randint(0, 3, (60,), generator=rng)
    found = confuse(labels, predicted, 5)
    expected = torch.zeros(5, 5, dtype=torch.int64)
    for truth, said in zip(labels.tolist(), predicted.tolist(), strict=True):
        expected[truth, said] += 1
    assert torch.equal(found, expected)
    assert not torch.equal(found, found.T)
    with pytest.raises(ValueError, match=r"predicted must be \(N\) with N=60, got shape \(59,\)"):
        confuse(labels, predicted[1:], 5)


def test_a_curve_is_the_error_rate_of_what_is_kept(rng):
    doubts = torch.rand(137, generator=rng)
    errors = torch.rand(137, generator=rng) < doubts
    curve = trace_curve("entropy", doubts, errors)
    assert curve.signal == "entropy"
    assert len(curve.coverages) == POINTS == 96
    assert curve.coverages[0] == FIRST
    assert curve.coverages[-1] == 1
    assert curve.coverages[45] == 0.5
    order = sorted(range(137), key=lambda row: float(doubts[row]))
    for share, risk in zip(curve.coverages, curve.risks, strict=True):
        kept = 0
        while kept < share * 137 - 1e-6:
            kept += 1
        wrong = sum(bool(errors[row]) for row in order[:kept])
        assert risk == pytest.approx(wrong / kept)
    assert curve.risks[0] < curve.risks[-1]


def test_tables_name_what_the_page_draws():
    assert set(DRAWN) <= set(SIGNAL_NAMES)
