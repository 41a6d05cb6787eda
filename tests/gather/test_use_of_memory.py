"""Which stored images all answers together read."""

import pytest
import torch

import whence
from tests.helpers.explaining import CLASSES as NAMES
from tests.helpers.explaining import build, build_with_memory, draw_images
from tests.helpers.torch_calls import TorchCalls
from whence.gather.use_of_memory import (
    Use,
    add_use,
    describe_use,
    read_all,
)
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.records.memory_use import Used


def draw_set(count=41):
    labels = torch.randint(0, 3, (count,), generator=torch.Generator().manual_seed(4))
    return ImageSet(draw_images(count, seed=6), labels, NAMES)


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
def test_use_is_what_every_single_answer_says_of_its_evidence(variant):
    model, images = build_with_memory(variant=variant), draw_set()
    weights, wrong, answers = (dict.fromkeys(range(17), 0.0) for _ in range(3))
    misses = 0
    for image, label in zip(images.images, images.labels, strict=True):
        found = whence.predict(model, image[None])[0]
        missed = found.predicted != int(label)
        misses += missed
        for item in found.evidence:
            place = (item.index - 7) // 10
            weights[place] += item.weight
            wrong[place] += item.weight * missed
            answers[place] += 1
    assert 0 < misses < len(images)
    features = encode_all(model, images.images)
    for size in (1, 7, 64):
        readings = read_all(model, features, images.labels, batch_size=size)
        for found, expected in zip(readings.use, (weights, wrong, answers), strict=True):
            numbers = torch.tensor(list(expected.values()), dtype=torch.float64)
            torch.testing.assert_close(found.double(), numbers, rtol=1e-5, atol=1e-5)
        assert readings.predicted.tolist() == model(images.images).argmax(1).tolist()
        assert float(readings.use.weights.sum()) == pytest.approx(len(images))
        assert float(readings.use.wrong.sum()) == pytest.approx(misses)


@pytest.mark.parametrize("variant", ["votes", "memory-wrap", "standard"])
def test_probabilities_are_those_that_single_answers_state(variant):
    model = build(variant)
    if model.has_memory:
        model.remember(draw_images(17, seed=2), torch.arange(17) % 3)
    images = draw_set()
    features = encode_all(model, images.images)
    found = read_all(model, features, images.labels, batch_size=7)
    expected = [float(one.probabilities.max()) for one in whence.predict(model, images.images)]
    assert found.probabilities.tolist() == pytest.approx(expected, abs=1e-5)


def test_use_adds_up_by_hand_and_refuses_what_does_not_fit():
    nothing = Use(torch.zeros(3).double(), torch.zeros(3).double(), torch.zeros(3).long())
    weights = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.0, 0.5]])
    places = torch.arange(3).expand(2, 3)
    first = add_use(nothing, places, weights, torch.tensor([False, True]))
    assert first.weights.tolist() == [1.25, 0.25, 0.5]
    assert first.wrong.tolist() == [0.5, 0.0, 0.5]
    assert first.answers.tolist() == [2, 1, 1]
    moved = add_use(first, torch.tensor([[1, 2, 2]]), weights[:1], torch.tensor([True]))
    assert moved.wrong.tolist() == [0.5, 0.75, 0.75]
    assert moved.answers.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"places must be \(B, S\) with S=2, got shape \(1, 3\)"):
        add_use(first, places[:1], weights[:1, :2], torch.tensor([True]))
    with pytest.raises(ValueError, match=r"wrong must be \(B\) with B=2, got shape \(3,\)"):
        add_use(first, places, weights, torch.tensor([True, False, True]))


def test_the_most_used_images_are_ranked_ties_by_index():
    use = Use(
        torch.tensor([1.0, 4.0, 0.0, 1.0, 2.0]).double(),
        torch.tensor([0.5, 0.0, 0.0, 0.25, 2.0]).double(),
        torch.tensor([2, 5, 0, 1, 3]),
    )
    found = describe_use(use, [50, 40, 30, 20, 10], top=3)
    assert (found.size, found.unused) == (5, 1)
    assert found.half == 1
    assert [one.index for one in found.most] == [40, 10, 20]
    assert found.most[0] == Used(40, 4.0, 0.0, 5)
    assert [one.index for one in found.misleading] == [10, 50, 20]
    assert [one.wrong_share for one in found.misleading] == [1.0, 0.5, 0.25]
    assert Used(1, 0.0, 0.0, 0).wrong_share == 0.0
    assert len(describe_use(use, [1, 2, 3, 4, 5]).most) == 4  # never one without use


def test_ranking_more_images_asks_no_more_of_torch(rng):
    """A look at one number of a tensor takes microseconds, and a million images are a million."""
    asked = []
    for total in (300, 900):
        amounts = torch.randint(1, 5, (3, total), generator=rng)
        use = Use(amounts[0].double(), amounts[1].double(), amounts[2])
        indices = torch.randperm(total, generator=rng).tolist()
        places = sorted(range(total), key=lambda at: (-float(use.weights[at]), indices[at]))
        with TorchCalls() as calls:
            found = describe_use(use, indices, top=7)
        assert [one.index for one in found.most] == [indices[place] for place in places[:7]]
        asked.append(len(calls.found))
    assert asked[0] == asked[1] > 7


def test_half_of_the_weight_is_the_smallest_number_that_has_it():
    def half(*weights):
        column = torch.tensor(weights, dtype=torch.float64)
        return describe_use(Use(column, column, column.long()), range(len(weights))).half

    assert half(1, 1, 1, 1) == 2
    assert half(1, 1, 1, 1, 1) == 3
    assert half(5, 1, 1, 1) == 1
    assert half(0.1, 0.2, 0.3, 0.4, 0) == 2
