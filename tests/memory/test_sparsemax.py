"""Simplex, invariance, gradient, transforms, a slow reference and a library as oracles."""

import entmax
import pytest
import torch
from torch.testing import assert_close

from whence import sparsemax
from whence.memory.sparsemax import FIRST_LOOK, _Sparsemax


def by_bisection(scores: torch.Tensor) -> torch.Tensor:
    """Slow reference for one row: search the threshold that makes the sum one."""
    low, high = scores.max() - 1, scores.max()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if (scores - middle).clamp_min(0).sum() > 1 else (low, middle)
    return (scores - low).clamp_min(0)


@pytest.fixture(params=[1e-4, 1.0, 1e4], ids="scale={}".format)
def scores(request, rng):
    return request.param * torch.randn(3, 5, 4, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_is_on_simplex_and_matches_bisection(scores, dim):
    weights = sparsemax(scores, dim)
    assert (weights >= 0).all()
    total = weights.sum(dim)
    assert_close(total, torch.ones_like(total))
    rows = scores.movedim(dim, -1).reshape(-1, scores.shape[dim])
    expected = torch.stack([by_bisection(row) for row in rows])
    assert_close(weights.movedim(dim, -1).reshape(rows.shape), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_weights_and_gradients_are_those_of_entmax(rng, dtype, scale):
    ours = (scale * torch.randn(6, 40, generator=rng, dtype=dtype)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    direction = torch.randn(6, 40, generator=rng, dtype=dtype)
    weights, expected = sparsemax(ours), entmax.sparsemax(theirs, dim=-1)
    assert_close(weights, expected)
    (weights * direction).sum().backward()
    (expected * direction).sum().backward()
    assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("spread", [1e-5, 1.0], ids=["all in the support", "few in the support"])
def test_a_look_at_the_largest_first_changes_nothing(rng, spread):
    scores = spread * torch.randn(3, 6 * FIRST_LOOK, generator=rng, dtype=torch.float64)
    weights = sparsemax(scores)
    support = (weights > 0).sum(-1)
    assert (support > FIRST_LOOK).all() if spread < 1 else (support < FIRST_LOOK).all()
    assert_close(weights, torch.stack([by_bisection(row) for row in scores]))


@pytest.mark.parametrize("shift", [-1e6, 7.0, 1e6])
def test_float32_survives_a_shift(rng, shift):
    scores = torch.randint(-8, 8, (4, 50), generator=rng) / 8.0  # exact after the shift too
    assert_close(sparsemax(scores + shift), sparsemax(scores))
    assert_close(sparsemax(scores + shift).sum(-1), torch.ones(4))


def test_ties_share_equally():
    assert_close(sparsemax(torch.zeros(4)), torch.full((4,), 0.25))


def test_one_memory_gets_everything():
    assert_close(sparsemax(torch.tensor([[-3.0], [1e9]])), torch.ones(2, 1))


def test_minus_infinity_takes_no_part():
    weights = sparsemax(torch.tensor([-torch.inf, 0.0, -torch.inf, 0.5]))
    assert_close(weights, torch.tensor([0.0, 0.25, 0.0, 0.75]))


def test_nan_stays_visible():
    assert sparsemax(torch.tensor([[0.0, torch.nan], [0.0, 1.0]])).isnan().tolist() == [
        [True, True],
        [False, False],
    ]


def test_gradients_first_second_and_forward(rng):
    scores = torch.randn(3, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sparsemax, (scores,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: sparsemax(x).square(), (scores,))


def test_jacobian_closed_form(rng):
    scores = torch.randn(6, generator=rng, dtype=torch.float64)
    support = (sparsemax(scores) > 0).double()
    assert 1 < support.sum() < 6, "pick a case with a real support"
    expected = support.diag() - support.outer(support) / support.sum()
    assert_close(torch.func.jacrev(sparsemax)(scores), expected)
    assert_close(torch.func.jacfwd(sparsemax)(scores), expected)


@pytest.mark.parametrize("axis", [0, 1])
def test_vmap_is_a_loop(rng, axis):
    scores = torch.randn(4, 3, 5, generator=rng)
    expected = torch.stack([sparsemax(part) for part in scores.unbind(axis)])
    assert_close(torch.func.vmap(sparsemax, in_dims=axis)(scores), expected)
    assert_close(torch.func.vmap(_Sparsemax.apply, in_dims=axis)(scores), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(rng, dtype):
    scores = torch.randn(3, 50, generator=rng).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weights = sparsemax(scores)
    assert weights.dtype == torch.float32
    assert_close(weights, sparsemax(scores.float()))


def test_rejects_nothing_and_integers():
    with pytest.raises(ValueError, match=r"scores must have an entry along dim 1, got \(2, 0\)"):
        sparsemax(torch.zeros(2, 0), 1)
    with pytest.raises(ValueError, match=r"scores must have an entry along dim -1, got \(\)"):
        sparsemax(torch.tensor(3.0))
    with pytest.raises(TypeError, match=r"scores must be floating point, got torch.int64"):
        sparsemax(torch.zeros(2, dtype=torch.int64))
