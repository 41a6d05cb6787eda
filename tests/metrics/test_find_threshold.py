"""Thresholds for a wanted recall or least cost, against trying all of them."""

import pytest
import torch

from whence.metrics.threshold import cost_threshold, recall_threshold

SHARES = torch.tensor([0.9, 0.8, 0.8, 0.6, 0.5, 0.3, 0.2, 0.0])
OF_CLASS = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0]).bool()


def recall_at(shares, of_class, threshold):
    return float((shares[of_class] >= threshold).double().mean())


@pytest.mark.parametrize(
    ("recall", "threshold"), [(0.01, 0.85), (0.25, 0.85), (0.5, 0.7), (0.75, 0.55), (1.0, 0.25)]
)
def test_the_threshold_lies_below_the_last_image_that_must_be_found(recall, threshold):
    assert recall_threshold(SHARES, OF_CLASS, recall) == pytest.approx(threshold)
    assert recall_at(SHARES, OF_CLASS, threshold) >= recall


def test_so_many_are_found_and_no_higher_threshold_finds_them(rng):
    for size in (5, 20, 41):
        shares = torch.rand(size, generator=rng)
        of_class = torch.arange(size) % 3 == 0
        for recall in (0.1, 0.5, 0.95, 1.0):
            found = recall_threshold(shares, of_class, recall)
            assert recall_at(shares, of_class, found) >= recall
            higher = [one for one in shares.tolist() if one > found]
            assert recall_at(shares, of_class, min(higher) + 1e-6) < recall


def test_ninety_five_of_a_hundred_are_nineteen_of_twenty():
    shares = torch.arange(1, 21) / 20
    assert recall_threshold(shares, torch.ones(20).bool(), 0.95) == pytest.approx(0.075)


def test_a_recall_is_out_of_reach_where_images_have_no_probability_of_the_class():
    shares, of_class = torch.tensor([0.7, 0.4, 0.0]), torch.ones(3).bool()
    assert recall_threshold(shares, of_class, 2 / 3) == pytest.approx(0.2)
    assert recall_threshold(shares, of_class, 0.7) is None


def cost_at(shares, of_class, threshold, cost):
    found = shares >= threshold
    return float(cost * (~found & of_class).sum() + (found & ~of_class).sum())


def test_no_threshold_costs_less(rng):
    for cost in (0.1, 1, 3, 50):
        shares = torch.cat([torch.rand(30, generator=rng), torch.tensor([0.0, 1.0])])
        of_class = torch.rand(32, generator=rng) < 0.3
        found = cost_threshold(shares, of_class, cost)
        assert 0 < found < 1
        least = min(cost_at(shares, of_class, step / 1000, cost) for step in range(1, 1000))
        assert cost_at(shares, of_class, found, cost) <= least + 1e-6


def test_of_equally_good_thresholds_the_one_of_right_probabilities_is_taken():
    shares, of_class = torch.tensor([0.9, 0.5, 0.3]), torch.tensor([True, True, True])
    assert cost_threshold(shares, of_class, 1) == pytest.approx(0.15)  # the only one without cost
    mixed = torch.tensor([True, False, True])
    # above .9: 2 missed; .7: 1; .4: 1 and 1 false; .15: 1 false
    assert cost_threshold(shares, mixed, 1) == pytest.approx(0.7)
    assert cost_threshold(shares, mixed, 9) == pytest.approx(0.15)
    assert cost_threshold(shares, ~of_class, 1) == pytest.approx(0.95)


def test_shapes_that_do_not_fit_are_refused():
    for choose in (recall_threshold, cost_threshold):
        with pytest.raises(ValueError, match="of_class must be"):
            choose(SHARES, OF_CLASS[:3], 0.5)
