"""ROC, precision and recall of each class, and tables of thresholds, against counting."""

import pytest
import torch

from whence.metrics.class_curves import (
    choose_tabulated,
    tabulate_thresholds,
    thin_out,
    trace_classes,
)

NAMES = ("a", "b", "c")


@pytest.fixture
def answers(rng):
    shares = torch.randint(0, 6, (40, 3), generator=rng).double() + 0.01  # with ties
    return shares / shares.sum(1, keepdim=True), torch.arange(40) % 3


def test_curves_are_those_of_counting(answers):
    shares, labels = answers
    for place, curve in enumerate(trace_classes(shares, labels, NAMES)):
        scores, of_class = shares[:, place], labels == place
        wins = (scores[of_class][:, None] > scores[~of_class]).double()
        ties = (scores[of_class][:, None] == scores[~of_class]).double()
        assert curve.auroc == pytest.approx(float((wins + ties / 2).mean()))
        points, steps, before = [(0.0, 0.0)], 0.0, 0.0
        for threshold in scores.unique().flip(0):
            answered = scores >= threshold
            hits = float((answered & of_class).sum() / of_class.sum())
            points.append((float((answered & ~of_class).sum() / (~of_class).sum()), hits))
            precision = float((answered & of_class).sum() / answered.sum())
            steps, before = steps + (hits - before) * precision, hits
            assert any(
                r == pytest.approx(hits) and p == pytest.approx(precision)
                for r, p in zip(curve.recalls, curve.precisions, strict=True)
            )
        assert curve.average_precision == pytest.approx(steps)
        assert list(zip(curve.false_alarms, curve.hits, strict=True)) == [
            pytest.approx(point) for point in points
        ]
        assert (curve.name, curve.images, curve.others) == (
            NAMES[place],
            int(of_class.sum()),
            40 - int(of_class.sum()),
        )
        assert len(curve.recalls) == len(scores.unique()), "no point that is no threshold's"
        assert list(curve.recalls) == sorted(curve.recalls)


def test_classes_that_all_or_no_images_have_are_left_out(answers):
    shares, _ = answers
    assert trace_classes(shares, torch.ones(40, dtype=torch.int64), NAMES) == ()
    many = torch.full((40, 101), 1 / 101)
    assert trace_classes(many, torch.arange(40), [str(k) for k in range(101)]) == ()
    assert len(trace_classes(many[:, 1:], torch.arange(40), [str(k) for k in range(100)])) == 40
    found = trace_classes(shares, torch.arange(40) % 2, NAMES)
    assert [curve.name for curve in found] == ["a", "b"]


def test_thresholds_by_hand():
    shares = torch.tensor([0.97, 0.62, 0.55, 0.31, 0.3, 0.02])
    of_class = torch.tensor([True, False, True, True, False, False])
    table = tabulate_thresholds(shares, of_class, name="a", cost=10, chosen=0.6)
    rows = {row.threshold: (row.found, row.false_alarms, row.cost) for row in table.rows}
    assert rows[0.05] == (3, 2, 2)
    assert rows[0.5] == (2, 1, 11)
    assert rows[0.6] == (1, 1, 21)
    assert rows[0.95] == (1, 0, 20)
    assert [row.threshold for row in table.rows if row.chosen] == [0.6]
    assert (table.images, table.others, table.cost) == (3, 3, 10)
    assert not any(row.chosen for row in tabulate_thresholds(shares, of_class, name="a").rows)
    other = tabulate_thresholds(shares, of_class, name="a", chosen=0.305)
    assert [row.threshold for row in other.rows][3:5] == [0.3, 0.305]


def test_which_class_is_tabulated():
    labels = torch.tensor([0, 0, 1])
    assert choose_tabulated(labels, 2, None) == 1
    assert choose_tabulated(1 - labels, 2, None) == 0
    assert choose_tabulated(labels, 3, None) is None
    assert choose_tabulated(labels, 3, 2) == 2


def test_long_curves_are_thinned_out_evenly():
    values = list(range(1000))
    kept = thin_out(values)
    assert (len(kept), kept[0], kept[-1]) == (200, 0, 999)
    assert thin_out(values[:200]) == tuple(range(200))
