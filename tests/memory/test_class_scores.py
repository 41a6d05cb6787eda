"""What the stored images of each class say, block by block, against loops."""

import math

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.deciding import make
from tests.helpers.explaining import build_with_memory, draw_images
from whence.evidence.answers import Memory, answer, signals_of
from whence.memory.class_scores import sum_classes
from whence.metrics import OF_VOTES
from whence.models.using import encode_all
from whence.records.measures import Calibration


def by_hand(queries, memory, labels, classes, warmth, mask):
    highest = torch.full((len(queries), classes), -math.inf, dtype=torch.float64)
    sums = torch.zeros(len(queries), classes, dtype=torch.float64)
    for row, query in enumerate(queries.double()):
        for place, stored in enumerate(memory.double()):
            if mask is None or mask[row, place]:
                score, label = float(query @ stored), int(labels[place])
                highest[row, label] = max(float(highest[row, label]), score)
                sums[row, label] += math.exp(warmth * score)
    return highest, sums.log()


@pytest.mark.parametrize("block", [1, 9, 40, 1000])
@pytest.mark.parametrize("masked", [False, True])
def test_blocks_are_joined_exactly(rng, block, masked):
    queries, memory = torch.randn(5, 4, generator=rng), torch.randn(30, 4, generator=rng)
    labels = torch.randint(0, 3, (30,), generator=rng)  # class 3 has no image
    mask = torch.rand(5, 30, generator=rng) < 0.6 if masked else None
    if mask is not None:
        mask[0, labels == 1] = False
    found = sum_classes(queries, memory, labels, 4, warmth=3.0, mask=mask, block=block)
    highest, summed = by_hand(queries, memory, labels, 4, 3.0, mask)
    assert_close(found.highest.double(), highest, atol=1e-5, rtol=0)
    assert_close(found.summed.double(), summed, atol=1e-4, rtol=1e-5)


def test_scores_of_any_size_stay_finite():
    queries, memory = torch.tensor([[1.0]]), torch.tensor([[900.0], [-900.0], [899.0]])
    found = sum_classes(queries, memory, torch.tensor([0, 1, 0]), 2, block=1)
    assert_close(found.summed, torch.tensor([[900 + math.log(1 + math.exp(-1)), -900.0]]))


def test_an_empty_memory_is_refused():
    with pytest.raises(ValueError, match="memory must hold at least one image, got none"):
        sum_classes(torch.ones(1, 2), torch.ones(0, 2), torch.ones(0, dtype=torch.int64), 2)


def test_no_other_head_asks_class_by_class():
    model = build_with_memory(8, "memory-wrap")
    assert set(OF_VOTES).isdisjoint(signals_of(model))
    bank = model.bank
    with pytest.raises(TypeError, match="A head memory-wrap does not ask stored images class"):
        model.head.score_classes(bank.features, bank.features, bank.labels)


@pytest.mark.parametrize("stored", [12, 700])
def test_predictions_explanations_and_evaluations_have_the_same_doubt(stored):
    model = make("votes", stored)
    with torch.no_grad():
        model.head.log_scale.copy_((2 * model.head.sharpness).log())
    model.remember(model.bank.images, model.bank.labels)
    images = draw_images(20, seed=9)
    images[3] = model.bank.images[5]  # a copy, which is left out for itself
    model.calibration = Calibration(
        names=OF_VOTES,
        means=(0.0, 0.0, 0.0),
        scales=(1.0, 1.0, 1.0),
        coefficients=(0.2, 0.3, 0.7),
        intercept=-0.5,
        images=50,
        errors=20,
    )
    head, bank = model.head, model.bank
    queries = encode_all(model, images)
    assert float(head.warmth) == pytest.approx(2)
    allowed = torch.ones(20, stored, dtype=torch.bool)
    allowed[3] = bank.groups != bank.groups[5]
    highest, summed = by_hand(queries, bank.features, bank.labels, 3, 2.0, allowed)
    predicted = [one.predicted for one in whence.predict(model, images)]
    soft = 1 - summed.softmax(1)[range(20), predicted]
    own = highest[range(20), predicted]
    others = highest.clone()
    others[range(20), predicted] = -math.inf
    distance = 1 - head.unscale(highest.amax(1))
    expected = 0.2 * (distance + 1e-5).log() - 0.5
    expected = (expected + 0.3 * torch.logit(soft) + 0.7 * (others.amax(1) - own)).sigmoid()
    for answers in (whence.predict(model, images), whence.explain(model, images)):
        told = torch.tensor([one.error_probability for one in answers], dtype=torch.float64)
        assert_close(told, expected, atol=1e-4, rtol=0)
    plain = torch.arange(20) != 3  # answers for cached features leave no copy out
    labels = torch.zeros(20, dtype=torch.int64)
    with torch.no_grad():
        found = answer(model, queries, labels, Memory.of(model), signals=OF_VOTES, batch_size=7)
    columns = torch.stack([distance, soft, others.amax(1) - own], 1)
    assert_close(found.doubts[plain], columns[plain], atol=1e-4, rtol=0)
