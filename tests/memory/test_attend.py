"""Streaming sparse attention against dense weights, and its sparse gradients against dense ones."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.torch_calls import TorchCalls
from whence.memory import SIMILARITIES, support
from whence.memory.attend import SMALL, attend, read_vectors
from whence.memory.attention import recall, score, weigh
from whence.memory.bank import Bank
from whence.memory.cosine import unit_scale
from whence.memory.feature_heads import MemoryWrap, OnlyMemory
from whence.memory.similarities import COSINE
from whence.memory.support import GROUP, find_bound, find_support

B, M, D = 7, 700, 5
BLOCKS = (B * GROUP, B * 4 * GROUP, B * 100, B * M, 10**9)


def make(seed=0, *, queries=B, stored=M, features=D, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(queries, features, generator=generator, dtype=dtype),
        torch.randn(stored, features, generator=generator, dtype=dtype),
    )


def dense(queries, memory, similarity, mask=None):
    weights = weigh(score(queries, memory, similarity=similarity), mask=mask)
    return recall(weights, memory), weights


def to_dense(found, shape):
    pairs = found.pairs
    return pairs.weights.new_zeros(shape).index_put((pairs.rows, pairs.places), pairs.weights)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equals_dense_weights(similarity, block):
    queries, memory = make()
    vectors, weights = dense(queries, memory, similarity)
    found = attend(queries, memory, similarity=similarity, block=block)
    assert_close(found.vectors, vectors)
    assert_close(to_dense(found, (B, M)), weights)
    assert (found.pairs.weights > 0).all()
    scores = score(queries, memory, similarity=similarity)
    assert_close(found.pairs.scores, scores[found.pairs.rows, found.pairs.places])
    keys = found.pairs.rows * M + found.pairs.places
    assert (keys.diff() > 0).all()  # by query, then by place, each once


@pytest.mark.parametrize("stored", [1, 2, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP + 5])
@pytest.mark.parametrize("queries", [1, 6])
def test_every_size_of_memory(queries, stored):
    given = make(queries=queries, stored=stored)
    for block in (1, GROUP * queries, 10**6):
        found = attend(*given, block=block)
        assert_close(found.vectors, dense(*given, "cosine")[0])


@pytest.mark.parametrize("block", BLOCKS)
def test_float32_gives_the_same_support(block):
    queries, memory = make(dtype=torch.float32, features=64)
    vectors, weights = dense(queries, memory, "cosine")
    found = attend(queries, memory, block=block)
    assert found.vectors.dtype == torch.float32
    assert_close(to_dense(found, (B, M)), weights, atol=1e-6, rtol=0)
    assert_close(found.vectors, vectors, atol=1e-5, rtol=0)


def test_half_precision_is_lifted_also_under_autocast():
    queries, memory = make(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend(queries, memory)
    assert found.vectors.dtype == torch.float32
    assert_close(found.vectors, dense(queries.float(), memory.float(), "cosine")[0])


@pytest.mark.parametrize("block", BLOCKS)
def test_a_mask_leaves_images_out(block):
    queries, memory = make(1)
    mask = torch.rand(B, M, generator=torch.Generator().manual_seed(2)) < 0.3
    mask[0] = False
    mask[0, M - 1] = True  # the last place only, so that whole blocks hold nothing to read
    found = attend(queries, memory, mask=mask, block=block)
    assert_close(to_dense(found, (B, M)), dense(queries, memory, "cosine", mask)[1])
    assert mask[found.pairs.rows, found.pairs.places].all()
    assert found.pairs.weights[0] == 1


@pytest.mark.parametrize("block", BLOCKS)
def test_ties_are_shared(block):
    """All images alike: every one has a weight, more than the first look keeps."""
    queries, memory = make()
    found = attend(queries, memory[:1].repeat(M, 1), block=block)
    assert len(found.pairs.rows) == B * M
    assert_close(found.pairs.weights, torch.full((B * M,), 1 / M, dtype=torch.float64))


def test_the_order_of_the_memory_does_not_matter():
    """Ascending similarity is the worst case: every block raises the threshold."""
    queries, memory = make(queries=1)
    order = score(queries, memory)[0].argsort()
    for places in (order, order.flip(0)):
        found = attend(queries, memory[places], block=GROUP)
        assert_close(found.vectors, dense(queries, memory, "cosine")[0])


def test_large_scores_still_sum_to_one():
    queries, memory = make(dtype=torch.float32)
    found = attend(1e4 * queries, memory, similarity="dot")
    sums = torch.zeros(B).index_add(0, found.pairs.rows, found.pairs.weights)
    assert_close(sums, torch.ones(B))


@pytest.mark.parametrize("value, count", [(2e7, 1), (1e4, 3000), (1e5, 300)])
def test_shares_below_the_rounding_of_the_scores(value, count):
    """The threshold is equal to the largest score in float32, and still all its equals count."""
    memory = torch.zeros(5000, 1)
    memory[:count] = value
    found = attend(torch.ones(1, 1), memory, similarity="dot")
    assert len(found.pairs.rows) == count
    assert_close(found.vectors, torch.tensor([[value]]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_many_equal_images_sum_to_one(similarity):
    queries, memory = make(features=64, dtype=torch.float32)
    memory = memory[:1].repeat(100_000, 1)
    found = attend(40 * queries[:2], 40 * memory, similarity=similarity)
    assert_close(found.pairs.weights, torch.full((200_000,), 1e-5))


def test_float64_is_exact_to_float64():
    queries, memory = make()
    found = attend(queries, memory)
    weights = dense(queries, memory, "cosine")[1]
    assert_close(to_dense(found, (B, M)), weights, atol=1e-14, rtol=0)


def test_a_large_support_is_exact():
    """Of an encoder that was hardly trained, all scores are alike and many images have a weight."""
    queries, memory = make(stored=5000, features=64, dtype=torch.float32)
    queries, memory = 1 + 0.02 * queries, 1 + 0.02 * memory
    for block in (B * 512, 10**9):
        found = attend(queries, memory, block=block)
        assert len(found.pairs.rows) > 1000
        weights = dense(queries, memory, "cosine")[1]
        assert_close(to_dense(found, (B, 5000)), weights, atol=1e-6, rtol=0)


def test_transforms_of_torch_func_are_given_dense_weights():
    queries, memory = make(dtype=torch.float64)

    def read(asked):
        return read_vectors(asked, memory, similarity="cosine")

    _, along = torch.func.jvp(read, (queries,), (queries.flip(0),))
    step = 1e-6
    expected = read(queries + step * queries.flip(0)) - read(queries - step * queries.flip(0))
    assert_close(along, expected / (2 * step), atol=1e-6, rtol=1e-5)


def test_a_known_scale_is_no_constant_to_the_gradient():
    for stored in (SMALL - 1, SMALL + 1):
        queries, memory = (t.requires_grad_() for t in make(stored=stored))
        options = {"similarity": "cosine"}
        plain = read_vectors(queries, memory, **options).sum()
        scaled = read_vectors(queries, memory, scale=unit_scale(memory.detach()), **options).sum()
        assert_close(torch.autograd.grad(scaled, memory), torch.autograd.grad(plain, memory))


@pytest.mark.parametrize("block", [B * GROUP, 10**6])
@pytest.mark.parametrize("place", [0, 350, M - 1])
def test_nan_stays_visible(place, block):
    queries, memory = make()
    queries[2] = torch.nan
    found = attend(queries, memory, block=block)
    assert found.vectors[2].isnan().all()
    assert not (found.pairs.rows == 2).any()
    whole = [row for row in range(B) if row != 2]
    assert_close(found.vectors[whole], dense(queries[whole], memory, "cosine")[0])
    memory[place] = torch.nan
    assert attend(queries, memory, block=block).vectors.isnan().all()


def test_the_bound_is_below_the_threshold():
    scores = make(features=60, dtype=torch.float32)[0]  # (B, 60)
    ranked = scores.sort(1, descending=True).values
    weights = weigh(scores)
    threshold = (scores - weights).masked_fill(weights == 0, torch.inf).amin(1, keepdim=True)
    for looked_at in (1, 2, 5, 60):
        bound = find_bound(ranked[:, :looked_at])
        above = int((ranked[:, :looked_at] > bound).sum(1).max())
        assert_close(find_bound(ranked[:, :above]), bound)
        assert (bound < threshold).all()
        assert (bound >= ranked[:, :1] - 1 - 1e-5).all()


@pytest.mark.parametrize("bounding", [1, 2, 3, 50])
@pytest.mark.parametrize("block", [B * 4 * GROUP, 10**9])
def test_a_bound_from_fewer_groups_changes_nothing(monkeypatch, bounding, block):
    queries, memory = make(features=12)
    queries[2], memory[-1] = torch.nan, memory[5]
    expected = find_support(queries, memory, similarity=COSINE, block=block)
    monkeypatch.setattr(support, "BOUNDING", bounding)
    with TorchCalls() as calls:
        found = find_support(queries, memory, similarity=COSINE, block=block)
    assert_close(found, expected)
    rows, columns = calls.shapes("cumsum")[0]  # of the scores that the first bound rests on
    assert rows == B
    assert 1 <= columns <= bounding


def test_little_is_kept_of_each_block():
    """Only the scores that reach above the bound are."""
    queries, memory = make(stored=20_000, features=32, dtype=torch.float32)
    with TorchCalls() as calls:
        found = find_support(queries, memory, similarity=COSINE, block=B * 2000)
    (candidates,) = max(shape for shape in calls.shapes("cat") if len(shape) == 1)
    assert len(found.rows) <= candidates < B * 20_000 / 20
    largest = max(calls.shapes(), key=math.prod)
    assert math.prod(largest) <= max(memory.numel(), B * (2000 + GROUP))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_gradient_is_that_of_dense_weights(similarity):
    for stored in (M, 12):  # a small part of the memory is read, and most of it
        queries, memory = (t.requires_grad_() for t in make(3, stored=stored))
        direction = make(4)[0]
        vectors, weights = dense(queries, memory, similarity)
        used = (weights > 0).any(0)
        assert int((weights > 0).sum()) > 1
        mixed = (vectors * direction).sum() + (weights.square() * 3).sum()
        expected = torch.autograd.grad(mixed, [queries, memory])
        found = attend(queries, memory, similarity=similarity)
        mixed = (found.vectors * direction).sum() + (found.pairs.weights.square() * 3).sum()
        got = torch.autograd.grad(mixed, [queries, memory])
        assert min(part.abs().max() for part in expected) > 0.01  # not a constant
        assert_close(got, expected)
        assert (got[1][~used] == 0).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_gradient_in_numbers(similarity):
    queries, memory = (t.requires_grad_() for t in make(5, queries=3, stored=40, features=4))
    assert torch.autograd.gradcheck(
        lambda q, m: attend(q, m, similarity=similarity)[0], (queries, memory)
    )


@pytest.mark.parametrize("followed", [0, 1])
def test_one_side_alone_has_a_gradient(followed):
    given = list(make(6))
    given[followed].requires_grad_()
    attend(*given).vectors.sum().backward()
    expected = [side.detach().clone() for side in given]
    expected[followed].requires_grad_()
    dense(*expected, "cosine")[0].sum().backward()
    assert_close(given[followed].grad, expected[followed].grad)
    assert given[1 - followed].grad is None


def test_a_second_derivative_is_refused():
    queries, memory = (t.requires_grad_() for t in make())
    once = attend(queries, memory).vectors.sum()
    with pytest.raises(RuntimeError, match="differentiated once only; compute score, weigh"):
        torch.autograd.grad(once, queries, create_graph=True)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_known_scale_changes_nothing(similarity):
    queries, memory = (t.requires_grad_() for t in make(7))
    plain = attend(queries, memory, similarity=similarity)
    scaled = attend(queries, memory, similarity=similarity, scale=unit_scale(memory.detach()))
    assert_close(scaled.vectors, plain.vectors)
    assert_close(
        torch.autograd.grad(scaled.vectors.sum(), memory),
        torch.autograd.grad(plain.vectors.sum(), memory),
    )


def test_the_scale_of_a_bank_is_used():
    queries, memory = make()
    wrong = attend(queries, memory, scale=unit_scale(memory) * torch.linspace(1, 2, M))
    assert not torch.allclose(wrong.vectors, attend(queries, memory).vectors)


def test_inputs_and_memory_use_of_weights():
    """The inputs stay as they are, and no result is as large as all weights."""
    queries, memory = make()
    copies = queries.clone(), memory.clone()
    found = attend(queries, memory)
    assert torch.equal(queries, copies[0])
    assert torch.equal(memory, copies[1])
    assert max(part.numel() for part in found.pairs) < B * M


@pytest.mark.parametrize("head", [MemoryWrap, OnlyMemory])
@pytest.mark.parametrize("stored", [SMALL - 3, SMALL + 3])
def test_heads_give_the_logits_of_their_whole_answer(head, stored):
    queries, memory = make(8, stored=stored, dtype=torch.float32)
    mask = torch.rand(B, stored, generator=torch.Generator().manual_seed(9)) < 0.5
    for similarity in SIMILARITIES:
        made = head(D, 3, similarity=similarity)
        for given in (None, mask):
            expected = made(queries, memory, given).logits
            assert_close(made.logits(queries, memory, given), expected)
            scaled = made.logits(queries, memory, given, scale=unit_scale(memory))
            assert_close(scaled, expected)


@pytest.mark.parametrize("stored", [SMALL, SMALL + 1])
def test_only_small_memories_are_read_densely(stored):
    """The two ways round otherwise, so that the last digits tell them apart."""
    queries, memory = make(stored=stored, features=40)
    found = read_vectors(queries, memory, similarity="cosine")
    whole, few = dense(queries, memory, "cosine")[0], attend(queries, memory).vectors
    assert_close(found, whole)
    assert not whole.equal(few)
    assert found.equal(whole if stored == SMALL else few)


def test_a_bank_knows_its_scale_and_places():
    features = make(stored=4, dtype=torch.float32)[1]
    numbers = torch.arange(4)
    bank = Bank(features, numbers, numbers, numbers, ("a", "b", "a", "c"))
    assert_close(bank.scale("cosine"), unit_scale(features))
    assert bank.scale("cosine") is bank.scale("cosine")
    assert bank.scale("dot") is None
    assert dict(bank.places) == {"a": (0, 2), "b": (1,), "c": (3,)}
    part = bank.take(torch.tensor([3, 0]))
    assert_close(part.scale("cosine"), unit_scale(features[[3, 0]]))
    assert dict(part.places) == {"c": (0,), "a": (1,)}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"queries": torch.ones(B)}, r"queries must be \(B, D\), got shape \(7,\)"),
        ({"memory": torch.ones(3, D + 1)}, r"memory must be \(M, D\) with D=5, got"),
        ({"memory": torch.ones(0, D)}, "memory must hold at least one image, got none"),
        ({"similarity": "cosin"}, "Unknown similarity 'cosin'. Choose from: cosine, l2, dot"),
        ({"mask": torch.ones(B, M - 1, dtype=torch.bool)}, r"mask must be \(B, M\) with"),
        ({"mask": torch.zeros(B, M, dtype=torch.bool)}, "mask must leave every query at least one"),
        ({"scale": torch.ones(3)}, r"scale must be \(M\) with M=700, got shape \(3,\)"),
    ],
)
def test_what_is_refused(change, message):
    queries, memory = make(dtype=torch.float32)
    given = {"queries": queries, "memory": memory, **change}
    with pytest.raises(ValueError, match=message):
        attend(given.pop("queries"), given.pop("memory"), **given)


def test_a_mask_of_numbers_is_refused():
    queries, memory = make()
    with pytest.raises(TypeError, match="mask must be bool"):
        attend(queries, memory, mask=torch.ones(B, M))
