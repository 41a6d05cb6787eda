"""Attention and heads: answers by hand, the slow way, masks and precision."""

import pytest
import torch
from memorywrap import BaselineMemory, MemoryWrapLayer
from torch import nn
from torch.testing import assert_close

from whence import MemoryWrap, OnlyMemory
from whence.memory import HEADS, SIMILARITIES, feature_heads, heads, keys, votes
from whence.memory.attention import recall, score, weigh
from whence.memory.feature_heads import Standard
from whence.memory.heads import MemoryHead, build_head, find_head

SLOW = {  # similarity -> the same for one pair of vectors
    "cosine": lambda q, m: q @ m / (q @ q + 1e-6).sqrt() / (m @ m + 1e-6).sqrt(),
    "l2": lambda q, m: -(q - m).square().sum(),
    "dot": lambda q, m: q @ m,
}


@pytest.fixture
def features(rng):
    queries = torch.randn(3, 7, generator=rng, dtype=torch.float64)
    return queries, torch.randn(5, 7, generator=rng, dtype=torch.float64)


def test_table_is_complete():
    assert set(SIMILARITIES) == set(SLOW)


@pytest.mark.parametrize("variant", HEADS)
def test_a_head_says_what_it_is(variant):
    kind = find_head(variant)
    assert kind.variant == variant
    assert kind.title
    assert kind.has_memory == issubclass(kind, MemoryHead)
    similarity = "dot" if variant == "votes" else "l2"
    for layers in (None, "mlp", "linear"):
        head = build_head(variant, 7, 4, similarity=similarity, classifier=layers)
        assert type(head) is kind
        assert (head.features, head.similarity) == (7, similarity if kind.has_memory else None)
        kinds = {nn.Sequential: "mlp", keys.DeepKeys: "mlp", nn.Linear: "linear"}
        assert head.last_layers == kinds[type(head.keys if variant == "votes" else head.classifier)]
        assert layers in (None, head.last_layers)


def test_every_head_is_in_the_table():
    everything = vars(heads) | vars(feature_heads) | vars(votes)
    kinds = [kind for kind in everything.values() if isinstance(kind, type)]
    found = {kind for kind in kinds if issubclass(kind, heads.Head) and hasattr(kind, "variant")}
    assert {kind.variant for kind in found} == set(HEADS)
    assert len(found) == len(HEADS)
    with pytest.raises(ValueError, match=r"Unknown variant 'voting'. Choose from: votes, memory-"):
        build_head("voting", 7, 4, similarity="cosine", classifier=None)


@pytest.mark.parametrize("similarity", SLOW)
def test_similarity_pair_by_pair(features, similarity):
    queries, memory = features
    expected = torch.stack([torch.stack([SLOW[similarity](q, m) for m in memory]) for q in queries])
    assert_close(score(queries, memory, similarity=similarity), expected)


def test_l2_keeps_its_digits_far_from_zero(features):
    queries, memory = (part.float() for part in features)
    far = score(queries + 1000, memory + 1000, similarity="l2")
    assert_close(far, score(queries, memory, similarity="l2"), rtol=0, atol=2e-3)


def test_read_by_hand():
    queries, memory = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    weights = weigh(score(queries, memory))  # cosines 1, 0, 0.6 -> threshold 0.3
    assert_close(weights, torch.tensor([[0.7, 0.0, 0.3]]), rtol=0, atol=1e-5)
    assert_close(recall(weights, memory), torch.tensor([[2.3, 1.2]]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("head", [MemoryWrap, OnlyMemory])
@pytest.mark.parametrize("classifier", ["mlp", "linear"])
def test_order_of_the_memory_does_not_matter(features, rng, head, classifier):
    torch.manual_seed(0)
    layer = head(7, 4, classifier=classifier).double()
    queries, memory = features
    order = torch.randperm(5, generator=rng)
    first, second = layer(queries, memory), layer(queries, memory[order])
    assert_close(first.logits, second.logits)
    assert_close(first.weights[:, order], second.weights)


@pytest.mark.parametrize("head", [MemoryWrap, OnlyMemory])
def test_mask_equals_leaving_out(features, head):
    torch.manual_seed(0)
    layer = head(7, 4).double()
    queries, memory = features
    mask = torch.tensor([[True, False, True, True, False]] * 2 + [[False, True, True, True, True]])
    masked = layer(queries, memory, mask)
    for row in range(3):
        alone = layer(queries[row : row + 1], memory[mask[row]])
        assert_close(masked.logits[row : row + 1], alone.logits)
        assert (masked.weights[row][~mask[row]] == 0).all()


def test_only_memory_sees_the_query_through_the_weights_alone(features):
    torch.manual_seed(0)
    layer = OnlyMemory(7, 4).double()
    queries, memory = features
    assert_close(
        layer(queries, memory).logits, layer(3 * queries, memory).logits, rtol=1e-5, atol=1e-5
    )
    wrap = MemoryWrap(7, 4).double()
    assert not torch.allclose(wrap(queries, memory).logits, wrap(3 * queries, memory).logits)


def test_gradients_reach_query_and_memory(features):
    torch.manual_seed(0)
    layer = MemoryWrap(7, 4).double()
    queries, memory = (part.clone().requires_grad_() for part in features)
    read = layer(queries, memory)
    assert ((read.weights > 0).sum(1) > 1).any(), "pick a case with a real support"
    assert torch.autograd.gradcheck(lambda q, m: layer(q, m).logits, (queries, memory))


def test_attention_stays_float32_under_autocast(rng):
    torch.manual_seed(0)
    layer = MemoryWrap(32, 4)
    queries, memory = torch.randn(6, 32, generator=rng), torch.randn(9, 32, generator=rng)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(queries, memory)
    assert inside.logits.dtype == inside.weights.dtype == torch.float32
    assert_close(inside.weights, layer(queries, memory).weights, rtol=0, atol=0)
    half = layer.bfloat16()(queries.bfloat16(), memory.bfloat16())
    assert_close(half.weights, weigh(score(queries.bfloat16().float(), memory.bfloat16().float())))


def test_matched_standard_head_has_as_many_parameters():
    count = lambda module: sum(parameter.numel() for parameter in module.parameters())
    wanted, found = count(MemoryWrap(128, 10)), count(Standard(128, 10, classifier="mlp"))
    assert abs(wanted - found) <= 128 + 10 + 1
    assert count(Standard(128, 10)) == 1290


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            (torch.zeros(2, 4), torch.zeros(6, 5)),
            r"memory must be \(M, D\) with D=4, got shape \(6, 5\)",
        ),
        ((torch.zeros(4), torch.zeros(6, 4)), r"queries must be \(B, D\), got shape \(4,\)"),
        ((torch.zeros(2, 4), torch.zeros(0, 4)), r"memory must hold at least one image, got none"),
    ],
)
def test_rejected_features(arguments, message):
    with pytest.raises(ValueError, match=message):
        MemoryWrap(4, 3)(*arguments)


def test_rejected_masks_and_names():
    layer = MemoryWrap(4, 3)
    queries, memory = torch.zeros(2, 4), torch.zeros(5, 4)
    with pytest.raises(ValueError, match=r"mask must be \(B, M\) with M=5, got shape \(2, 4\)"):
        layer(queries, memory, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"mask must be bool, .* got torch.float32"):
        layer(queries, memory, torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"mask must leave every query at least one memory image"):
        layer(queries, memory, torch.tensor([[True] * 5, [False] * 5]))
    with pytest.raises(ValueError, match=r"Unknown similarity 'l1'. Choose from: cosine, l2, dot"):
        score(queries, memory, similarity="l1")
    with pytest.raises(ValueError, match=r"Unknown classifier 'tree'. Choose from: mlp, linear"):
        MemoryWrap(4, 3, classifier="tree")


@pytest.mark.parametrize("similarity", SLOW)
@pytest.mark.parametrize(
    "ours, theirs", [(MemoryWrap, MemoryWrapLayer), (OnlyMemory, BaselineMemory)]
)
@pytest.mark.parametrize("sizes", [(1, 1, 3, 2), (6, 4, 5, 3), (3, 40, 16, 10)])
def test_heads_are_those_of_the_published_library(rng, ours, theirs, similarity, sizes):
    batch, memory_size, width, classes = sizes
    torch.manual_seed(0)
    published = theirs(width, classes, distance=similarity).double()
    head = ours(width, classes, similarity=similarity).double()
    for mine, other in zip(head.parameters(), published.parameters(), strict=True):
        mine.data.copy_(other.data)
    inputs = [
        torch.randn(n, width, generator=rng, dtype=torch.float64) for n in (batch, memory_size)
    ]
    copies = [part.clone().requires_grad_() for part in inputs]
    inputs = [part.requires_grad_() for part in inputs]
    read = head(*inputs)
    logits, weights = published(*copies, return_weights=True)
    assert_close(read.logits, logits)
    assert_close(read.weights, weights)
    direction = torch.randn(logits.shape, generator=rng, dtype=torch.float64)
    (read.logits * direction).sum().backward()
    (logits * direction).sum().backward()
    for mine, other in zip(inputs, copies, strict=True):
        assert_close(mine.grad, other.grad)
    for mine, other in zip(head.parameters(), published.parameters(), strict=True):
        assert_close(mine.grad, other.grad)
