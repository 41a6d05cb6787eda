"""The norm of a code on its way: its pace, its range, and what keeps it."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.morphing_parts import (
    CODES,
    ask,
    build,
    build_vae,
    draw,
    draw_norms,
)
from whence.morphing import walk as morphing
from whence.morphing.norms import measure_norms, norm_range
from whence.morphing.strides import pace
from whence.morphing.walk import (
    MorphPlan,
    Walk,
    keep_norm,
    morph_codes,
)

# The norm


def test_each_step_moves_the_norm_by_its_own_pace(monkeypatch):
    updates = []

    def record(on, targets, update, plan):
        updates.append(update)
        return keep_norm(on, targets, update, plan)

    monkeypatch.setattr(morphing, "keep_norm", record)
    model, vae = build(), build_vae()
    codes, classes = ask(model, vae, 1)
    plan = MorphPlan(steps=60, entropy=1e-9)
    morph_codes(model, vae, codes, classes, draw_norms(), plan=plan)
    assert updates == [1, 2, 3]


def test_the_norm_after_a_proximal_step_by_hand():
    second = torch.full((2, 3), 0.25)
    on = Walk(
        torch.arange(2),
        torch.tensor([[3.0, 0, 4], [0, 0, 2]]),
        second,
        second,
        torch.tensor([4.0, 4.0]),
        torch.tensor([2.0, 8.0]),
    )
    plan = MorphPlan(weight=10.0, stride=50)
    moves = 1e-3 * 50 / math.sqrt(0.25 / (1 - 0.999**50))
    assert_close(pace(second, 1, 50), torch.full((2, 3), moves))
    new = keep_norm(on, torch.tensor([1.0, 6.0]), 1, plan)
    for row, (old, target, scale) in enumerate([(5.0, 1.0, 2.0), (2.0, 6.0, 0.5)]):
        places = torch.linspace(0, 8, 80001, dtype=torch.float64)
        cost = 10 * scale * (places - target) ** 2 + (places - old) ** 2 / (2 * moves)
        assert abs(float(new[row].norm()) - float(places[cost.argmin()])) < 2e-4
        assert_close(new[row] / new[row].norm(), on.at[row] / old)


def test_the_weight_keeps_the_norm():
    model, vae, norms = build(), build_vae(), draw_norms(2.0)
    codes, classes = ask(model, vae)
    misses = []
    for weight in (0.0, 0.1, 10.0):
        plan = MorphPlan(weight=weight, steps=1000)
        morphs = morph_codes(model, vae, codes, classes, norms, plan=plan)
        wanted = norms.means[classes[:, 1]]
        misses.append(float((morphs.codes.norm(dim=1) - wanted).abs().mean()))
    assert misses[0] > misses[1] > 3 * misses[2]


def test_the_range_of_norms_by_hand():
    norms = measure_norms(
        torch.tensor([[3.0, 4], [0, 7], [0, 9]]), torch.tensor([0, 1, 1]), classes=2
    )
    low, high = norm_range(norms)
    assert low == 0.0
    assert high == pytest.approx(7 + 6 * 2)
    tight = measure_norms(torch.tensor([[9.9], [10.1]]), torch.tensor([0, 1]), classes=2)
    assert norm_range(tight)[0] == pytest.approx(10 - 6 * math.sqrt(0.02), abs=1e-5)
    single = measure_norms(torch.ones(1, 4), torch.tensor([0]), classes=1)
    assert norm_range(single) == (0.0, math.inf)


def test_a_code_that_leaves_the_range_of_norms():
    model, vae = build(), build_vae()
    codes, classes = ask(model, vae)
    wide = morph_codes(model, vae, codes, classes, draw_norms(), plan=MorphPlan(0.0, 1000))
    direction = draw(40, CODES, seed=5)
    small = direction / direction.norm(dim=1, keepdim=True) * (0.5 + draw(40, 1) / 100)
    tight = measure_norms(small, torch.arange(40) % 4, classes=4)
    morphs = morph_codes(model, vae, codes, classes, tight, plan=MorphPlan(0.0, 1000))
    assert bool(wide.found.any())
    assert not bool(morphs.found.any())
    row = int(wide.found.nonzero()[0])
    assert "left the range 0.4" in morphs.reasons[row]
    assert "of stored images" in morphs.reasons[row]
    large = measure_norms(100 * small, torch.arange(40) % 4, classes=4)
    long = morph_codes(model, vae, codes, classes, large, plan=MorphPlan(0.0, 1000))
    assert "left the range 4" in long.reasons[row]
    brief = morph_codes(model, vae, codes, classes, tight, plan=MorphPlan(0.0, 20))
    assert all("in 20 steps its probability came to" in reason for reason in brief.reasons)
