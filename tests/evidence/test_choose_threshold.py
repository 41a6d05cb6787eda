"""The threshold of a class is chosen on validation images."""

import pytest
import torch

import whence
from tests.helpers.deciding import make
from tests.helpers.explaining import draw_images
from whence.records.images import ImageSet

IMAGES = draw_images(60, seed=9)


def validation(model):
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, len(model.class_names), (60,), generator=generator)
    return ImageSet(IMAGES, labels, model.class_names)


@pytest.mark.parametrize("recall", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("variant", ["memory-wrap", "standard"])
def test_the_recall_is_reached_and_no_higher_threshold_reaches_it(variant, recall):
    model = make(variant)
    images, name = validation(model), model.class_names[1]
    model.decision = found = whence.choose_threshold(model, images, name, recall=recall)
    measured = whence.evaluate(model, images, memory_size=5, draws=1).classes[1]
    assert measured == found.validation
    assert measured.recall >= recall
    assert (measured.right - 1) / measured.images < recall
    assert (found.place, found.images, found.target_recall, found.cost) == (1, 60, recall, None)


def test_the_cost_is_the_least(rng):
    model = make("standard")
    images, name = validation(model), model.class_names[2]
    for cost in (0.2, 1, 5):
        found = whence.choose_threshold(model, images, name, cost=cost)
        assert found.cost == cost
        shares = torch.stack([one.probabilities[2] for one in whence.predict(model, IMAGES)])
        truth = images.labels == 2

        def total(threshold, shares=shares, truth=truth, cost=cost):
            answered = shares >= threshold
            return float(cost * (truth & ~answered).sum() + (answered & ~truth).sum())

        least = min(total(one) for one in [*shares.tolist(), 1.1])
        assert total(found.threshold) == pytest.approx(least)


def test_what_cannot_be_chosen_is_refused_in_a_sentence():
    model = make("votes")
    images, (_, name, *_) = validation(model), model.class_names
    refused = [
        (images, "unicorn", {"recall": 0.9}, "class_name must name a class, got 'unicorn'; there"),
        (images, name, {"recall": 0.0}, "recall must be above 0 and at most 1, got 0.0"),
        (images, name, {"recall": 1.5}, "recall must be above 0 and at most 1, got 1.5"),
        (images, name, {"recall": float("nan")}, "recall must be above 0 and at most 1, got nan"),
        (images, name, {"cost": 0.0}, "cost must be above 0, got 0.0"),
        (images, name, {"cost": float("inf")}, "cost must be at most 1e"),
        (images, name, {}, "takes a recall or a cost, give one of them"),
        (images, name, {"recall": 1, "cost": 1}, "takes a recall or a cost, give one of them"),
    ]
    for asked, named, options, message in refused:
        with pytest.raises(ValueError, match=message):
            whence.choose_threshold(model, asked, named, **options)
    none = images.take((images.labels != 1).nonzero().squeeze(1))
    with pytest.raises(
        ValueError, match=f"images of it, there are none among {len(none)}; use more"
    ):
        whence.choose_threshold(model, none, name, recall=0.9)
    with pytest.raises(ValueError, match="images of it, there are none at all; use more"):
        whence.choose_threshold(model, images.take([]), name, cost=2)


def test_a_recall_out_of_reach_says_which_one_is_not():
    model = make("standard")
    name = model.class_names[1]
    with torch.no_grad():
        model.head.classifier.bias[1] -= 1e3
    images = ImageSet(IMAGES, torch.ones(60, dtype=torch.int64), model.class_names)
    message = "60 of 60 validation images of it get no probability of it at all; the highest is 0."
    with pytest.raises(ValueError, match=message):
        whence.choose_threshold(model, images, name, recall=1.0)
