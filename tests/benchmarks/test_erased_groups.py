"""Directions of groups, and draws that are balanced, against what was put in."""

import torch

from benchmarks.erased_groups import compare_without, find_group_directions
from benchmarks.other_domain import draw_balanced


def make():
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(90) % 3
    groups = torch.where(torch.rand(90, generator=generator) < 0.7, labels, labels.roll(1))
    classes, effects = torch.eye(8)[:3] * 5, torch.eye(8)[4:7] * 9
    return labels, groups, classes, effects


def test_the_directions_are_those_of_the_groups_and_not_of_the_classes():
    labels, groups, classes, effects = make()
    found = find_group_directions(classes[labels] + effects[groups], labels, groups)
    assert found.shape == (2, 8)
    torch.testing.assert_close(found @ found.T, torch.eye(2), atol=1e-5, rtol=0)
    differences = effects[1:] - effects[:1]
    inside = differences @ found.T @ found
    torch.testing.assert_close(inside, differences, atol=0.5, rtol=0)  # a ridge bends a little
    assert float((classes @ found.T).abs().max()) < 0.5


def test_without_them_only_the_class_decides_what_is_similar():
    labels, groups, classes, effects = make()
    stored = classes[labels] + effects[groups]
    asked = classes[[0, 1]] + effects[[1, 2]]
    found = compare_without(stored, asked, labels, groups)
    assert found.shape == (90, 2)
    for column, label in ((0, 0), (1, 1)):
        mine = labels == label
        assert float(found[mine, column].min()) > float(found[~mine, column].max()) + 0.5


def test_a_balanced_draw_begins_with_each_class_and_prefers_no_other():
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    order = draw_balanced(labels, 12, 4)
    assert labels[order[:3]].sort().values.tolist() == [0, 1, 2]
    counts = labels[order].bincount().tolist()
    assert counts[1] == 3
    assert sorted(counts) == [3, 4, 5]
    assert len(set(order.tolist())) == 12
    assert draw_balanced(labels, 12, 5).tolist() != order.tolist()
