"""Shares as text, and the answer without one stored image."""

import math

import pytest
import torch

from tests.helpers.pages import (
    evidence,
)
from whence.report.numbers import add_weights, leave_out, percent, signed


def test_leaving_out_equals_the_softmax_of_the_changed_logits(rng):
    logits = torch.randn(5, generator=rng, dtype=torch.float64) * 3
    changes = torch.randn(4, 5, generator=rng, dtype=torch.float64)
    expected = torch.stack([(logits + change).softmax(0) for change in changes])
    torch.testing.assert_close(leave_out(logits.softmax(0), changes), expected)
    by_hand = leave_out(torch.tensor([0.5, 0.5]), torch.tensor([[0.0, math.log(3)]]))
    torch.testing.assert_close(by_hand, torch.tensor([[0.25, 0.75]], dtype=torch.float64))


def test_leaving_out_survives_a_probability_of_0_and_keeps_nan():
    changes = torch.tensor([[0.0, 1.0], [math.nan, math.nan]])
    found = leave_out(torch.tensor([1.0, 0.0]), changes)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert found[1].isnan().all()
    with pytest.raises(ValueError, match=r"probabilities must be \(K\) with K=2, got shape \(3,\)"):
        leave_out(torch.ones(3) / 3, changes)


def test_percentages_are_never_rounded_to_a_false_0_or_100():
    assert [percent(x) for x in (0, 1, 1e-9, 1 - 1e-9, 0.001, 0.999)] == [
        *("0%", "100%", "under 0.1%", "over 99.9%", "0.1%", "99.9%")
    ]
    assert signed(-1234.5) == "\N{MINUS SIGN}1.23e+03"


def test_weights_of_one_kind_add_up_to_all():
    third = torch.tensor(1 / 3, dtype=torch.float32).item()
    items = [evidence(i, third * 0.99999, 1) for i in range(3)]
    assert add_weights(items) == 0.99999
    whole = [evidence(i, float(torch.tensor(0.1)), 1) for i in range(10)]
    assert add_weights(whole) == 1.0
    assert add_weights(whole, "counterfactual") == 0
