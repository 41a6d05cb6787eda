"""Draws that are balanced over classes, against what was put in."""

import torch

from benchmarks.other_domain import draw_balanced


def test_a_balanced_draw_begins_with_each_class_and_prefers_no_other():
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    order = draw_balanced(labels, 12, 4)
    assert labels[order[:3]].sort().values.tolist() == [0, 1, 2]
    counts = labels[order].bincount().tolist()
    assert counts[1] == 3
    assert sorted(counts) == [3, 4, 5]
    assert len(set(order.tolist())) == 12
    assert draw_balanced(labels, 12, 5).tolist() != order.tolist()
