"""The smallest sets of stored images and of words whose removal changes an answer."""

import itertools

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from whence.evidence.reread import Cached, read_whole
from whence.memory.attention import score
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes
from whence.seeds import make_generator
from whence.studies.erasure.page import show_word, show_word_sets
from whence.studies.erasure.policy import (
    ErasurePolicy,
    PolicyRecipe,
    draw_smallest,
    reward_erasures,
    train_policy,
)
from whence.studies.erasure.smallest_sets import (
    find_smallest_evidence,
    find_smallest_words,
    remove_words_greedily,
)
from whence.studies.erasure.table_rows import compare_sizes, judge_words
from whence.studies.erasure.words import average_words, compare_sets, list_harmful
from whence.studies.parts.sentences.networks import SentenceNetwork
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import number_words
from whence.training.loop import seeded

CPU = torch.device("cpu")


# -- smallest sets of stored images


@pytest.fixture(scope="module")
def cached():
    generator = make_generator(2)
    features = torch.rand(12, 5, generator=generator)
    with seeded(0, CPU):
        head = Votes(5, 3).eval()
    head.compare_plainly(features)
    head.sharpness.fill_(1.0)
    labels = torch.arange(9) % 3
    queries, memory = head.embed(features[9:]), head.embed(features[:9])
    scores = score(*head.pair(queries, memory, labels), similarity=head.similarity)
    scores[0, 2] = -torch.inf  # a copy, which may not be used
    head.requires_grad_(requires_grad=False)
    return Cached(
        head, queries.detach(), memory.detach(), head.values(memory, labels), scores.detach()
    )


def list_every_set(cached, row, largest):
    """Every set of so few stored images, and what is answered without it."""
    usable = cached.scores[row].isfinite().nonzero().squeeze(1).tolist()
    answer = int(read_whole(cached).answers[row])
    for size in range(1, largest + 1):
        sets = [one for one in itertools.combinations(usable, size) if len(one) < len(usable)]
        hits = {}
        for gone in sets:
            kept = [one for one in usable if one not in gone]
            votes = sparsemax(cached.scores[row, kept]) @ cached.values[kept]
            said = (votes * 0.95 + 0.05 / 3).log()
            others = said[torch.arange(3) != answer]
            if int(votes.argmax()) != answer:
                hits[gone] = int(votes.argmax()), float(said[answer] - others.max())
        if hits:
            return size, hits
    return None, {}


def test_the_smallest_set_is_the_smallest_of_all_sets(cached):
    found = find_smallest_evidence(cached, largest=6, most_sets=10_000)
    sizes = []
    for row, one in enumerate(found):
        size, hits = list_every_set(cached, row, 6)
        sizes.append(size)
        assert one.becomes == hits[one.places][0]
        assert hits[one.places][1] == pytest.approx(min(margin for _, margin in hits.values()))
        assert one.searched == size
    assert len(set(sizes)) > 1, "the case is degenerate"


def test_a_search_says_how_far_it_went(cached):
    whole = find_smallest_evidence(cached, largest=6, most_sets=10_000)
    hardest = max(range(3), key=lambda row: len(whole[row].places))
    size = len(whole[hardest].places)
    assert find_smallest_evidence(cached, largest=size - 1, most_sets=10_000)[hardest] == (
        *(None, -1, size - 1),
    )
    assert find_smallest_evidence(cached, largest=6, most_sets=0)[hardest].searched == 0
    alone = cached._replace(scores=cached.scores.clone())
    alone.scores[hardest, 1:] = -torch.inf
    assert find_smallest_evidence(alone, largest=6, most_sets=100)[hardest] == (None, -1, 0)


# -- smallest sets of words


def count_ones(sentences):
    """A classifier of sentences: class 1 where more than some third of the words are the number 5."""
    inside = sentences.numbers != 0
    share = (sentences.numbers == 5).sum(1) / inside.sum(1)
    return torch.stack([1 - share, 1.9 * share], 1).clamp_min(1e-3).log()


def test_words_are_left_out_in_every_way_smaller_sets_first():
    words = torch.tensor([5, 5, 7, 8, 5, 5])
    found = find_smallest_words(count_ones, words, largest=4, batch=4)
    assert (
        found.searched == 4 - 1
    )  # one five among three words is too few, two among four are enough
    assert found.becomes == 0
    assert set(words[list(found.places)].tolist()) == {5}
    assert remove_words_greedily(count_ones, words, largest=6) == found._replace(places=(0, 1, 4))
    assert find_smallest_words(count_ones, words, largest=2).places is None
    assert remove_words_greedily(count_ones, words, largest=2).places is None
    alone = find_smallest_words(count_ones, torch.tensor([5]), largest=3)
    assert alone == ((0,), 0, 1)  # nothing remains but an unknown word


def test_rewards_are_those_of_the_paper():
    gone = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]]).bool()
    lengths = torch.tensor([4, 2, 3])
    found = reward_erasures(gone, lengths, torch.tensor([True, True, True]), 0.1)
    assert_close(found, torch.tensor([1 / 2 - 0.1, 1 - 0.1, 0.0]).double())
    kept = reward_erasures(gone, lengths, torch.tensor([False, False, False]), 0.1)
    assert_close(kept, torch.tensor([-0.1, -0.1, 0.0]).double())


def test_a_policy_learns_which_word_decides():
    """A network that answers 1 where the first of two numbers of any word vector is large."""
    with seeded(0, CPU):
        network = (
            SentenceNetwork("rnn", 6, 2, width=2, hidden=2)
            .eval()
            .requires_grad_(requires_grad=False)
        )
    network.embedding.weight.zero_()
    network.embedding.weight[5, 0] = 9
    for name, value in network.recurrent.named_parameters():
        value.zero_()
        if name.startswith("weight"):
            value.copy_(torch.eye(2) * (1 if name.startswith("weight_ih") else 3))
    network.classifier.weight.copy_(torch.tensor([[-1.0, 0], [1, 0]]))
    network.classifier.bias.copy_(torch.tensor([0.5, -0.5]))
    words = [("d", "a", "b"), ("a", "d", "b"), ("a", "b", "d"), ("b", "a", "d", "a")]
    sentences = number_words(words * 4, {"a": 2, "b": 3, "c": 4, "d": 5})
    assert network(sentences).argmax(1).tolist() == [1] * 16
    policy = ErasurePolicy(2)
    chances = policy(torch.zeros(1, 1, 2))
    assert_close(chances, torch.full((1, 1), 0.2))
    recipe = PolicyRecipe(epochs=20, batch_size=8, rate=0.1, smoothness=0.0)
    rewards = train_policy(policy, network, sentences, recipe=recipe, generator=make_generator(0))
    assert len(rewards) == 20
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.1


def test_the_smallest_of_the_drawn_sets_is_taken():
    words = torch.tensor([5, 7, 8])
    sure = torch.tensor([0.0, 0.0, 0.0])
    assert (
        draw_smallest(count_ones, words, sure, draws=5, generator=make_generator(0)).places is None
    )
    sure[0] = 1.0
    pick = torch.tensor([5, 5, 7, 8])
    found = draw_smallest(
        count_ones, pick, torch.tensor([0.6, 0.6, 0.3, 0.3]), draws=60, generator=make_generator(0)
    )
    assert found.becomes == 0
    assert len(found.places) == find_smallest_words(count_ones, pick, largest=4).searched


def test_ways_to_search_are_compared_with_the_smallest():
    sets = {"exact": [[1], [], [2, 3]], "greedy": [[1], [4], [1, 2, 3]]}
    sets |= {"policy": [[], [], []], "random": [[3], [], [0, 1]]}
    found = compare_sets(sets)
    assert found["exact"] == (2 / 3, 1.5, 1)
    assert found["greedy"] == (1, pytest.approx(5 / 3), 0.5)
    assert found["policy"] == (0, None, 0)
    assert found["random"] == (2 / 3, 1.5, 1)
    assert compare_sizes([0, 2], [1, 0]) == 0.0


# -- words


def test_words_that_mislead_are_listed_once_with_the_most_harmful_first():
    asked = Sentences((("a", "b"), ("b", "c", "a")), torch.tensor([0, 1]), ("x", "y"))
    shares = torch.tensor([[-0.2, 0.5, torch.nan], [-0.1, -0.9, -0.3]])
    found = list_harmful(shares, asked)
    assert [(one["word"], one["label"]) for one in found] == [("c", "y"), ("a", "y"), ("b", "y")]
    assert average_words({"a": (1.0, 2.0), "b": (3.0, 6.0)}, {"a", "b"}) == (2.0, 4.0)
    assert average_words({}, ()) == (0.0, 0.0)


def test_the_page_marks_what_is_left_out():
    sets = {"sentences": [["a", "dull", "film"], ["no"]], "exact": [[1], []], "policy": [[], [0]]}
    (table,) = show_word_sets(sets).shown
    (row,) = table.rows
    assert (row.name, [cell.text for cell in row.cells]) == ("a DULL film", ["1", "none"])
    assert "No sentence changes" in show_word_sets({**sets, "exact": [[], []]}).sentences[0]
    top = [("dull", 1234.5), ("the", 0.123)]
    assert [show_word(top, place) for place in range(3)] == ["dull (1,234)", "the (0.12)", ""]


def test_lstms_must_both_give_more_than_the_plain_network():
    found = {
        kind: {"telling": [value, 0]} for kind, value in (("rnn", 1), ("lstm", 2), ("bi-lstm", 3))
    }
    assert judge_words(found)
    found["lstm"]["telling"][0] = 1
    assert not judge_words(found)
