"""Stored images with equal features have equal similarities and weights, to the last digit."""

import pytest
import torch
from torch.nn import functional as F

from whence.memory import SIMILARITIES
from whence.memory.attend import attend
from whence.memory.attention import score, weigh
from whence.memory.equal_rows import find_equal_rows, have_repeats, tell_apart


def with_copies(rng, *, queries, stored=257, features=37):
    """A memory of which every image but a few is there several times."""
    some = torch.randn(stored // 4, features, generator=rng)
    memory = some[torch.randint(0, len(some), (stored,), generator=rng)]
    return torch.randn(queries, features, generator=rng), memory


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("queries", [1, 6])
def test_copies_have_equal_scores_and_weights(similarity, queries, rng):
    asked, memory = with_copies(rng, queries=queries)
    first = (memory[:, None] == memory).all(2).int().argmax(1)  # (M,)
    scores = score(asked, memory, similarity=similarity)
    assert scores.equal(scores[:, first])
    for block in (1, 100 * queries, 10**9):
        pairs = attend(asked, memory, similarity=similarity, block=block).pairs
        shape = (queries, len(memory))
        assert len(pairs.rows) > len(pairs.rows.unique()) + 1
        for column in (pairs.weights, pairs.scores):
            laid = torch.zeros(shape).index_put((pairs.rows, pairs.places), column)
            assert laid.equal(laid[:, first])
    assert weigh(scores).equal(weigh(scores)[:, first])


def test_one_query_beside_a_product_that_depends_on_the_place(rng):
    """The case that was found: a row of 257 equal images, by a product of one row."""
    memory = torch.randn(1, 64, generator=rng).repeat(257, 1)
    scores = score(torch.randn(1, 64, generator=rng), memory)
    assert len(scores.unique()) == 1


def test_rows_are_found_among_those_of_the_same_key():
    memory = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, 2.0]])
    everywhere = torch.arange(6)
    lengths = memory.norm(dim=1)  # the same for the rows 0, 1, 2, 4 and 5
    assert find_equal_rows(memory, everywhere, lengths).tolist() == [0, 1, 0, 3, 1, 1]
    some = torch.tensor([2, 3, 4, 5])
    assert find_equal_rows(memory, torch.tensor([5, 3, 2, 3, 4, 5]), lengths).tolist() == [
        0,
        1,
        2,
        3,
        4,
        4,
    ]
    assert find_equal_rows(memory, some, lengths).tolist() == [0, 1, 2, 3, 4, 4]
    assert find_equal_rows(memory, some[:3], lengths) is None
    assert find_equal_rows(memory, everywhere[2:4], lengths) is None
    pair = torch.tensor([4, 1])
    assert find_equal_rows(memory, pair, lengths).tolist() == [0, 1, 2, 3, 1, 5]


def test_a_gradient_goes_to_each_copy(rng):
    asked, memory = with_copies(rng, queries=2)
    memory.requires_grad_()
    score(asked, memory).sum().backward()
    assert (memory.grad != 0).any(1).all()


def test_rows_of_one_length_are_told_apart(rng):
    """Keys of votes all have one length: none of many different ones is taken for another."""
    memory = F.normalize(torch.randn(5000, 128, generator=rng), dim=1) * 3
    assert not have_repeats(tell_apart(memory))
    memory[4000] = memory[7]
    assert float(tell_apart(memory)[4000]) == float(tell_apart(memory)[7])
    first = find_equal_rows(memory, torch.arange(5000), tell_apart(memory))
    assert int(first[4000]) == 7
    for width in (1, 3):  # fewer columns than are looked at
        assert have_repeats(tell_apart(torch.ones(2, width)))
