"""Shares as text, and the answer without one stored image."""

import torch

from tests.helpers.pages import (
    evidence,
)
from whence.report.numbers import add_weights, percent, signed


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
