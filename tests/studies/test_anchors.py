"""Anchors: bounds of shares, the search for rules, and what rules keep."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import entropy

from tests.helpers.study_images import make_linear_model
from whence.studies.surrogates.anchors import (
    AnchorPlan,
    Tally,
    find_anchor,
    pick_best,
    settle_rule,
)
from whence.studies.surrogates.bounds_of_shares import (
    bound_above,
    bound_below,
    diverge,
    find_level,
)
from whence.studies.surrogates.region_variants import (
    cut_regions,
    draw_kept,
    draw_variants,
)

QUICK = AnchorPlan(draws=40, most=4000)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 1.0])
def test_bounds_are_where_the_divergence_reaches_the_level(share):
    for level in (0.003, 0.2):

        def excess(other, level=level):
            coins = [share, 1 - share], [other, 1 - other]
            return entropy(*coins) - level

        low = 0.0 if excess(1e-12) < 0 else brentq(excess, 1e-12, max(share, 1e-11))
        high = 1.0 if excess(1 - 1e-12) < 0 else brentq(excess, min(share, 1 - 1e-11), 1 - 1e-12)
        assert bound_below(share, level) == pytest.approx(low, abs=1e-6)
        assert bound_above(share, level) == pytest.approx(high, abs=1e-6)
    assert diverge(0.3, 0.0) == np.inf


def test_the_level_grows_with_looks_and_arms_and_falls_with_the_risk():
    assert find_level(2, 1, 0.05) == pytest.approx(
        np.log(405.5 * 2 / 0.05) + np.log(np.log(405.5 * 2 / 0.05))
    )
    assert find_level(2, 9, 0.05) > find_level(2, 1, 0.05) > find_level(1, 1, 0.05)
    assert find_level(2, 1, 0.5) < find_level(2, 1, 0.05)


def draw_from(precision, rng):
    """Draws of rules whose precision is known."""

    def draw(rule, count):
        return int((torch.rand(count, generator=rng) < precision(rule)).sum())

    return draw


def test_the_anchor_is_the_shortest_rule_that_is_precise_enough(rng):
    """Regions 1 and 4 together decide; every rule is tried by hand."""

    def precision(rule):
        return 1.0 if {1, 4} <= rule else 0.8 if rule & {1, 4} else 0.4

    found = find_anchor(6, draw_from(precision, rng), QUICK)
    sure = [
        frozenset(rule)
        for length in range(4)
        for rule in itertools.combinations(range(6), length)
        if precision(frozenset(rule)) > QUICK.precision
    ]
    assert found.rule == sure[0]
    assert found.precision == 1.0
    assert found.bound > 0.95
    assert found.drawn > 0


def test_of_two_anchors_of_one_length_the_more_precise_is_taken(rng):
    found = find_anchor(3, draw_from(lambda rule: 1.0 if 2 in rule else 0.985, rng), QUICK)
    assert found.rule == {2}


def test_without_a_precise_rule_there_is_no_anchor(rng):
    plan = replace(QUICK, longest=2)
    assert find_anchor(4, draw_from(lambda rule: 0.9 + 0.02 * len(rule), rng), plan) is None


def test_the_best_rules_are_picked_with_most_draws_where_it_is_close(rng):
    precision = {frozenset({i}): share for i, share in enumerate((0.2, 0.95, 0.9, 0.55, 0.5))}
    tallies = {rule: Tally() for rule in precision}
    plan = replace(QUICK, beam=2, tolerance=0.05)
    best = pick_best(tallies, draw_from(precision.get, rng), plan)
    assert set(best) == {frozenset({1}), frozenset({2})}
    drawn = [tallies[rule].drawn for rule in precision]
    assert drawn[0] < drawn[3]
    assert drawn[0] < drawn[2]


def test_a_rule_is_drawn_until_it_is_settled(rng):
    rule = frozenset({0})
    for share, sign in ((0.999, 1), (0.6, -1)):
        tally = Tally()
        bound = settle_rule(tally, rule, draw_from(lambda _, share=share: share, rng), 5, QUICK)
        assert (bound > QUICK.precision) == (sign > 0)
        assert tally.drawn < QUICK.most
    tally = Tally()
    settle_rule(tally, rule, draw_from(lambda _: 0.95, rng), 5, replace(QUICK, most=200))
    assert tally.drawn == 200


def test_variants_keep_the_rule_and_half_of_the_rest(rng):
    image = torch.ones(1, 4, 4)
    numbers = torch.arange(4).view(2, 2).repeat_interleave(2, 0).repeat_interleave(2, 1)
    others = torch.zeros(3, 1, 4, 4)
    found = draw_variants(image, numbers, frozenset({2}), others, 4000, rng)
    assert float(found[:, 0, 2:, :2].min()) == 1
    for rows, columns in ((slice(0, 2), slice(0, 2)), (slice(2, 4), slice(2, 4))):
        region = found[:, 0, rows, columns].flatten(1)
        assert torch.equal(region.amin(1), region.amax(1))
        assert float(region.mean()) == pytest.approx(0.5, abs=0.03)
    mixed = draw_variants(image, numbers, frozenset(), torch.rand(9, 1, 4, 4), 5, rng)
    assert len(mixed.flatten(1).unique(dim=0)) == 5


def test_precision_is_exact_where_it_can_be_counted(rng):
    """The answer stays exactly where region 0 does: 1/2 of all variants, all with the rule."""
    weights = torch.zeros(2, 4, 4)
    weights[1, :2, :2] = 1
    weights[0, 3, 3] = 0.5
    model, image = make_linear_model(weights), torch.ones(1, 4, 4)
    regions = cut_regions(torch.ones(1, 1, 8, 8))
    assert int(regions.counts[0]) == 16
    numbers = torch.arange(4).view(2, 2).repeat_interleave(2, 0).repeat_interleave(2, 1)
    others = torch.zeros(1, 1, 4, 4)
    draw = draw_kept(model, image, numbers, others, rng)
    assert draw(frozenset({0}), 300) == 300
    assert draw(frozenset({1}), 4000) / 4000 == pytest.approx(0.5, abs=0.03)
    assert find_anchor(4, draw, QUICK).rule == {0}
