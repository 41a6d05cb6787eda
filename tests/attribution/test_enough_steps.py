"""Steps that are as many as are needed: on paths whose relevance is known."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import draw, make
from whence.attribution.enough_steps import add_points, find_new_points, find_untold
from whence.attribution.found import FoundRelevance
from whence.attribution.methods.integrated_gradients import INTEGRATED_GRADIENTS
from whence.attribution.path import balance_points, crowd_start
from whence.attribution.score import FunctionScore

HARD = torch.tensor([0.0, 250.0, 1000.0], dtype=torch.float64)
"""How sharply the score of each image bends soon after the start."""


class Bent:
    """A function of one number of each image; every pixel has its part of any change of it."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.images = torch.rand(3, 1, 2, 3, generator=generator, dtype=torch.float64)
        self.seen = []

    def __call__(self, images, rows):
        self.seen.append(rows.tolist())
        bend = HARD[rows]
        length = images.mean((1, 2, 3))
        return length + torch.tanh(bend * (length - 0.05))

    def expected(self):
        rows = torch.arange(3)
        change = self(self.images, rows) - self(0 * self.images, rows)
        return self.images / self.images.sum((1, 2, 3), keepdim=True) * change[:, None, None, None]


def test_only_what_is_unexplained_gets_more_steps():
    bent = Bent()
    found = INTEGRATED_GRADIENTS(FunctionScore(bent, 999), bent.images, baseline="black")
    asked = [rows for rows in bent.seen if len(rows) > 3]
    assert [len(rows) for rows in asked] == [32 * 3, 64 * 2, 192]
    assert [sorted({*rows}) for rows in asked] == [[0, 1, 2], [1, 2], [2]]
    assert_close(found.images, bent.expected(), rtol=0.01, atol=0)
    assert "(32 to 288 steps)" in found.sentence
    few = INTEGRATED_GRADIENTS(FunctionScore(bent, 999), bent.images, baseline="black", steps=32)
    off = (few.images / bent.expected() - 1).abs().amax((1, 2, 3))
    assert float(off[1:].min()) > 0.01


def test_what_is_soon_told_needs_32_steps():
    bent = Bent()
    score = FunctionScore(bent, 999).take(torch.zeros(2, dtype=torch.int64))
    found = INTEGRATED_GRADIENTS(score, bent.images[:2], baseline="black")
    assert "(32 steps)" in found.sentence
    assert_close(found.images, bent.images[:2] / 6)


def test_points_with_the_old_ones_are_those_of_more_steps():
    """All of them once, each moved by no more than one factor near 1."""
    for few, many in ((2, 6), (32, 96), (96, 288)):
        times, shares = crowd_start(many)
        old, new = balance_points(*crowd_start(few)), find_new_points(many)
        joined = torch.cat([old[0], new[0]]), torch.cat([old[1] / 3, new[1]])
        order = joined[0].argsort()
        assert_close(joined[1][order], shares)
        assert_close(joined[0][order], times, rtol=0.6 / few**2, atol=0)
        assert_close(shares.sum(), torch.ones((), dtype=torch.float64))
        assert float(joined[0].min()) > 0
        assert float(joined[0].max()) < 1


def test_points_add_up_a_gradient_that_grows_at_an_even_rate():
    start, new = balance_points(*crowd_start(32)), find_new_points(96)
    half = torch.full((), 0.5, dtype=torch.float64)
    assert_close((start[0] * start[1]).sum(), half)
    assert_close((start[0] * start[1]).sum() / 3 + (new[0] * new[1]).sum(), half)


def test_a_quadratic_score_is_told_exactly(rng):
    images, slope = torch.rand(2, 1, 2, 3, generator=rng).double(), torch.arange(-2.0, 4)
    slope = slope.double().view(1, 2, 3)
    score = FunctionScore(lambda some, rows: (some * slope).sum((1, 2, 3)).square())
    found = INTEGRATED_GRADIENTS(score, images, baseline="black")
    assert_close(found.images, images * slope * (images * slope).sum((1, 2, 3), keepdim=True))


def test_rows_and_their_evidence_are_put_in_their_place():
    one = torch.arange(3.0)[:, None, None, None]
    stored = torch.arange(5.0)[:, None, None, None]
    found = FoundRelevance(
        3 * one, 3 * stored, "", start=one[:, 0, 0, 0], lines={"x": one[:, 0, 0, 0]}
    )
    more = FoundRelevance(
        torch.full((1, 1, 1, 1), 10.0),
        torch.full((2, 1, 1, 1), 20.0),
        "",
        lines={"x": torch.tensor([5.0])},
    )
    added = add_points(found, more, torch.tensor([2]), torch.tensor([1, 2, 2]))
    assert added.images.flatten().tolist() == [0, 3, 12]
    assert added.evidence.flatten().tolist() == [0, 3, 6, 23, 24]
    assert added.lines["x"].tolist() == pytest.approx([0, 1, 2 / 3 + 5])
    assert added.start.tolist() == [0, 1, 2]


def test_what_is_too_much_is_a_share_of_the_largest_line():
    def find(image, evidence, score):
        found = FoundRelevance(
            torch.tensor([[[[image]]]]), torch.tensor([[[[evidence]]]]), "", start=torch.ones(1)
        )
        return find_untold(found, torch.tensor([1.0 + score]), torch.tensor([1])).tolist()

    assert find(1.0, 1.0, 2.019) == []
    assert find(1.0, 1.0, 2.021) == [0]
    assert find(50.0, -49.0, 1.4) == []
    assert find(50.0, -49.0, 1.6) == [0]


@pytest.mark.parametrize(("variant", "moved"), [("memory-wrap", "all"), ("votes", "evidence")])
def test_the_path_with_a_memory_is_told_or_goes_to_the_most_steps(rng, stored, variant, moved):
    model = make(variant).remember(stored[:4], labels=[0, 1, 2, 3])
    images = draw(rng, 2)
    found = whence.attribute(model, images, memory=moved)
    lines = torch.stack([*found.ledger.values(), (found.score - found.start).double()])
    told = found.ledger["unexplained"].abs() <= 0.01 * lines.abs().amax(0)
    assert bool(told.all()) or "to 288 steps" in found.sentence
    assert float(found.ledger["unexplained"].abs().max()) < 0.05 * float(lines.abs().max())
    few = whence.attribute(model, images, memory=moved, batch_size=40)
    assert_close(few.images, found.images)
    assert_close(torch.cat(few.evidence), torch.cat(found.evidence))
