"""Reading a small memory in one operation, against the operations one after the other."""

import pytest
import torch
from torch.testing import assert_close

from whence.memory.attend import read_vectors
from whence.memory.attention import recall, score, weigh
from whence.memory.read_dense import read_dense


def read_slowly(queries, memory, mask=None):
    return recall(weigh(score(queries, memory), mask=mask), memory)


def make(rng, kind, dtype=torch.float64):
    queries = torch.randn(6, 5, generator=rng, dtype=dtype)
    memory = torch.randn(9, 5, generator=rng, dtype=dtype)
    mask = None
    if kind == "masked":
        mask = torch.rand(6, 9, generator=rng) < 0.4
        mask[:, 3] = True
    if kind == "copies":
        memory[4:] = memory[1]
        queries[2] = memory[1]
    if kind == "zero":
        memory[7] = 0
        queries[0] = 0
    return queries.requires_grad_(), memory.requires_grad_(), mask


@pytest.mark.parametrize("kind", ["plain", "masked", "copies", "zero"])
def test_numbers_and_gradients(rng, kind):
    queries, memory, mask = make(rng, kind)
    direction = torch.randn(6, 5, generator=rng, dtype=torch.float64)
    found = read_dense(queries, memory, mask)
    slow = read_slowly(queries, memory, mask)
    assert_close(found, slow)
    expected = torch.autograd.grad(slow, (queries, memory), direction)
    assert_close(torch.autograd.grad(found, (queries, memory), direction), expected)
    if kind != "copies":  # where weights are torn between equals, a difference quotient is not
        assert torch.autograd.gradcheck(read_dense, (queries, memory, mask))


@pytest.mark.parametrize("kind", ["plain", "masked"])
def test_second_derivatives(rng, kind):
    queries, memory, mask = make(rng, kind)
    assert torch.autograd.gradgradcheck(read_dense, (queries, memory, mask))
    one = torch.autograd.grad(read_dense(queries, memory, mask).sum(), queries, create_graph=True)
    slow = torch.autograd.grad(read_slowly(queries, memory, mask).sum(), queries, create_graph=True)
    assert_close(one, slow)


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_alone(rng, side):
    sides = list(make(rng, "plain")[:2])
    sides[1 - side] = sides[1 - side].detach()
    for create_graph in (False, True):
        (found,) = torch.autograd.grad(
            read_dense(*sides).square().sum(), sides[side], create_graph=create_graph
        )
        (expected,) = torch.autograd.grad(read_slowly(*sides).square().sum(), sides[side])
        assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_touch_it(rng, dtype):
    queries, memory, _ = make(rng, "plain", torch.float32)
    given = queries.detach().to(dtype).requires_grad_(), memory.detach().to(dtype).requires_grad_()
    expected = read_slowly(*given)
    wanted = torch.autograd.grad(expected.sum(), given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = read_dense(*given)
        gradients = torch.autograd.grad(found.sum(), given)
    assert found.dtype == torch.float32
    assert [one.dtype for one in gradients] == [dtype, dtype]
    assert_close(found, expected)
    assert_close(gradients, wanted)


def test_a_small_memory_is_read_so_where_gradients_are_wanted(rng):
    queries, memory, mask = make(rng, "masked")
    found = read_vectors(queries, memory, similarity="cosine", mask=mask)
    assert type(found.grad_fn).__name__ == "ReadDenseBackward"
    for similarity in ("l2", "dot"):
        plain = read_vectors(queries, memory, similarity=similarity, mask=mask)
        assert type(plain.grad_fn).__name__ != "ReadDenseBackward"
    with torch.no_grad():
        assert_close(read_vectors(queries, memory, similarity="cosine", mask=mask), found)
    with pytest.raises(ValueError, match="a row is empty"):
        read_dense(queries, memory, mask & False)
    with pytest.raises(ValueError, match="memory must hold at least one image"):
        read_dense(queries, memory[:0])
