"""Which stored images took part in an answer, in order."""

import torch

from whence.evidence.active import order_active


def test_order_active_breaks_ties_by_index():
    weights = torch.tensor([[0.25, 0.5, 0.25, 0.0], [0.0, 0.0, 1.0, 0.0]])
    found = order_active(weights, torch.tensor([30, 20, 10, 0]))
    assert [one.tolist() for one in found] == [[1, 2, 0], [2]]


def test_order_active_against_sorting_whole_rows():
    """The slow way; most weights are tied."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-4, 4, (7, 30), generator=generator).clamp_min(0) / 8.0
    weights[3] = 0
    indices = torch.randperm(30, generator=generator) * 3
    by_index = indices.argsort()
    order = by_index[weights[:, by_index].argsort(dim=1, descending=True, stable=True)]
    found = order_active(weights, indices)
    assert len(found) == 7
    for one, row, count in zip(found, order, (weights > 0).sum(1).tolist(), strict=True):
        assert one.tolist() == row[:count].tolist()
    assert order_active(weights[:0], indices) == ()
