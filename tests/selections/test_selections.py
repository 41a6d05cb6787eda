"""Ways to choose stored images: what each promises, against slow second implementations."""

import itertools
import math

import pytest
import torch
from dattri.algorithm.data_shapley import KNNShapleyAttributor
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from whence.selections import SELECTIONS
from whence.selections.herding import herd_one_class
from whence.selections.selection import (
    StoredCandidates,
    lead_with_each_class,
    rank_in_class,
    take_turns,
)
from whence.selections.shapley import knn_shapley
from whence.selections.validation import FLOOR_SHARE, SOFT_SCALES


def draw(stored=40, queries=9, width=5, classes=3, pinned=(), seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(stored, width, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (stored,), generator=generator)
    return StoredCandidates(
        points,
        labels,
        labels,
        torch.randn(queries, width, generator=generator, dtype=torch.float64),
        torch.randint(classes, (queries,), generator=generator),
        torch.rand(stored, generator=generator, dtype=torch.float64),
        torch.tensor(pinned, dtype=torch.int64),
        generator,
    )


# what all promise -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("pinned", [(), (7,), (3, 20)])
def test_every_size_is_a_memory_with_every_class(name, pinned):
    candidates = draw(pinned=pinned)
    order = SELECTIONS[name].order(candidates, 12)
    assert order.shape == (12,)
    assert len(order.unique()) == 12
    first = torch.cat([candidates.pinned, order[~torch.isin(order, candidates.pinned)]])
    covered = candidates.labels[first[: len(pinned) + 3]]
    assert covered.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_smaller_size_is_the_beginning_of_a_larger_one(name):
    long, short = (SELECTIONS[name].order(draw(), size) for size in (40, 11))
    assert long[:11].tolist() == short.tolist()
    assert long.sort().values.tolist() == list(range(40))


def test_the_seed_decides_what_is_drawn_and_nothing_else():
    for name, selection in SELECTIONS.items():
        first = selection.order(draw(), 20)
        other = draw()
        other.generator.manual_seed(5)
        again = selection.order(other, 20)
        assert (first.tolist() == again.tolist()) == (name not in ("balanced", "random"))


def test_what_asks_for_queries_says_so():
    """Those that do not are the same without."""
    for selection in SELECTIONS.values():
        candidates, bare = draw(), draw()
        bare = StoredCandidates(**{**bare.__dict__, "queries": bare.queries[:0]})
        if not selection.asks:
            first, other = (selection.order(one, 12) for one in (candidates, bare))
            assert first.tolist() == other.tolist()
    assert {n for n, s in SELECTIONS.items() if s.asks} == {"support", "shapley", "validation"}


# orders ------------------------------------------------------------------------------------------


def test_classes_take_turns():
    labels = torch.tensor([1, 1, 1, 0, 2, 2])
    order = torch.tensor([5, 0, 1, 4, 2, 3])
    assert rank_in_class(order, labels).tolist() == [0, 0, 1, 1, 2, 0]
    assert take_turns(order, labels).tolist() == [3, 0, 5, 1, 4, 2]


def test_a_class_that_is_pinned_needs_no_lead():
    candidates = draw(pinned=(2,))
    order = torch.arange(40)
    led = lead_with_each_class(order, candidates)
    labels = candidates.labels.tolist()
    wanted = [c for c in range(3) if c != labels[2]]
    assert led[:2].tolist() == sorted(labels.index(c) for c in wanted)
    assert led[2:].tolist() == [p for p in range(40) if p not in led[:2].tolist()]


def test_balanced_takes_as_many_of_every_class():
    candidates = draw(stored=60)
    order = SELECTIONS["balanced"].order(candidates, 30)
    assert candidates.labels[order].bincount().tolist() == [10, 10, 10]


@pytest.mark.parametrize("name", ["balanced", "herding"])
def test_parts_of_classes_take_turns(name):
    candidates = draw(stored=60)
    parts = candidates.labels * 2 + (torch.arange(60) % 3 == 0)
    divided = StoredCandidates(**{**candidates.__dict__, "parts": parts})
    order = SELECTIONS[name].order(divided, 12)
    assert parts[order].bincount().tolist() == [2] * 6
    assert {n for n, s in SELECTIONS.items() if s.divides} == {"balanced", "herding"}


def test_k_center_is_within_twice_the_best_radius():
    candidates = draw(stored=11, classes=1)
    distances = torch.cdist(candidates.points, candidates.points)

    def radius(places):
        return float(distances[:, places].amin(1).max())

    best = min(radius(list(some)) for some in itertools.combinations(range(11), 4))
    order = SELECTIONS["k-center"].order(candidates, 4)
    assert best <= radius(order) <= 2 * best
    nearest_to_mean = (candidates.points - candidates.points.mean(0)).square().sum(1).argmin()
    assert order[0] == nearest_to_mean
    assert order[1] == distances[order[0]].argmax()


def test_herding_is_the_slow_loop():
    points = draw(stored=9).points
    taken, mean = [], points.mean(0)
    for count in range(1, 6):
        free = [p for p in range(9) if p not in taken]
        gap = {p: (mean - points[[*taken, p]].sum(0) / count).norm().item() for p in free}
        taken.append(min(free, key=gap.__getitem__))
    assert herd_one_class(points, 5).tolist() == taken


def test_herding_keeps_means_better_than_chance():
    candidates = draw(stored=90)

    def gap(name):
        order = SELECTIONS[name].order(candidates, 15)
        labels, points = candidates.labels, candidates.points
        means = [(points[order][labels[order] == c].mean(0), labels == c) for c in range(3)]
        return sum(float((mean - points[own].mean(0)).norm()) for mean, own in means)

    assert gap("herding") < 0.5 * gap("balanced")


def test_support_takes_the_most_used():
    candidates = draw()
    order = SELECTIONS["support"].order(candidates, 40)
    rest = order[3:]
    assert candidates.usage[rest].diff().le(0).all()
    best = [candidates.usage.masked_fill(candidates.labels != c, -1).argmax() for c in range(3)]
    assert set(order[:3].tolist()) == {int(one) for one in best}


# Shapley values ----------------------------------------------------------------------------------


def by_definition(points, labels, queries, truth, neighbours):
    """Average what each image adds over all subsets of the others."""
    total = len(points)

    def worth(some, v):
        near = sorted(some, key=lambda i: float((points[i] - queries[v]).norm()))[:neighbours]
        return sum(bool(labels[i] == truth[v]) for i in near) / neighbours

    values = torch.zeros(total, dtype=torch.float64)
    for one in range(total):
        rest = [i for i in range(total) if i != one]
        for size in range(total):
            share = 1 / (total * math.comb(total - 1, size) * len(queries))
            for some in itertools.combinations(rest, size):
                for v in range(len(queries)):
                    values[one] += share * (worth([*some, one], v) - worth(some, v))
    return values


@pytest.mark.parametrize("neighbours", [1, 2, 5, 9])
def test_shapley_values_are_those_of_the_definition(neighbours):
    c = draw(stored=6, queries=4, width=2, classes=2)
    far = torch.cdist(c.queries, c.points).argmax(1)
    assert (c.labels[far] == c.query_labels).any(), "else the first step is not tested"
    given = (c.points, c.labels, c.queries, c.query_labels)
    found = knn_shapley(*given, neighbours=neighbours)
    assert_close(found, by_definition(*given, neighbours))


def test_shapley_values_are_those_of_dattri():
    c = draw(stored=120, queries=30)
    stored, asked = (
        DataLoader(TensorDataset(points.float(), labels), batch_size=16)
        for points, labels in ((c.points, c.labels), (c.queries, c.query_labels))
    )
    theirs = KNNShapleyAttributor(k_neighbors=5).attribute(stored, asked).mean(0)
    points, queries = c.points.float(), c.queries.float()
    ours = knn_shapley(points, c.labels, queries, c.query_labels, neighbours=5)
    assert_close(ours.float(), theirs, atol=1e-6, rtol=0)


def test_shapley_values_add_up_and_do_not_hang_on_the_cut(monkeypatch):
    c = draw()
    given = (c.points, c.labels, c.queries, c.query_labels)
    whole = knn_shapley(*given, neighbours=4)
    near = torch.cdist(c.queries, c.points).topk(4, largest=False).indices
    worth = (c.labels[near] == c.query_labels[:, None]).double().mean()
    assert_close(whole.sum(), worth)
    monkeypatch.setattr("whence.selections.shapley.PAIRS_AT_ONCE", 100)
    assert_close(knn_shapley(*given, neighbours=4), whole)


def test_shapley_values_refuse_what_they_cannot_value():
    c = draw()
    with pytest.raises(ValueError, match="queries must hold at least one image"):
        knn_shapley(c.points, c.labels, c.queries[:0], c.query_labels[:0])
    with pytest.raises(ValueError, match="neighbours must be at least 1, got 0"):
        knn_shapley(c.points, c.labels, c.queries, c.query_labels, neighbours=0)
    with pytest.raises(ValueError, match=r"labels must be \(M\) with M=40"):
        knn_shapley(c.points, c.labels[1:], c.queries, c.query_labels)


# by likelihood -----------------------------------------------------------------------------------


def slow_likelihood(c, places, scale):
    found = []
    for query, truth in zip(c.queries, c.query_labels, strict=True):
        nearest = (query - c.points).square().sum(1).min()
        kernel = (-scale * ((query - c.points[places]).square().sum(1) - nearest) / 2).exp()
        hit = kernel[c.labels[places] == truth].sum() / kernel.sum().clamp_min(1e-30)
        found.append(math.log((1 - FLOOR_SHARE) * hit + FLOOR_SHARE / 3))
    return sum(found) / len(found)


@pytest.mark.parametrize("pinned", [(), (5, 6)])
def test_by_likelihood_is_the_slow_loop(pinned):
    c = draw(stored=14, pinned=pinned)
    everything = list(range(14))
    scale = max(SOFT_SCALES, key=lambda one: slow_likelihood(c, everything, one))
    taken = [*pinned]
    while len(taken) < 7:
        missing = {0, 1, 2} - {int(c.labels[p]) for p in taken}
        free = [p for p in everything if p not in taken]
        free = [p for p in free if not missing or int(c.labels[p]) in missing]
        worth = {p: slow_likelihood(c, [*taken, p], scale) for p in free}
        taken.append(max(free, key=worth.__getitem__))
    assert SELECTIONS["validation"].order(c, 7).tolist() == taken
