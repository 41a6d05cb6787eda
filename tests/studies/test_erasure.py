"""The study of erasure: importance of units and words, and smallest sets against every other set."""

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torch.testing import assert_close

from tests.helpers.bad_input import write_images
from whence.cli import main
from whence.data.load import load_dataset
from whence.evidence.reread import Cached, answer_without, cache, read_whole
from whence.memory.attention import score
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes
from whence.models.load import load_to_answer
from whence.records.images import Dataset
from whence.seeds import make_generator
from whence.studies.erasure.dense import (
    DenseNetwork,
    erase_units,
    measure_gini,
    share_out,
    train_dense,
)
from whence.studies.erasure.dimensions import (
    erase_dimensions,
    judge_dropout,
    judge_replacement,
    squared_correlation,
    train_case,
)
from whence.studies.erasure.evidence import erase_evidence, order_voters
from whence.studies.erasure.own_run import (
    choose_asked,
    count_half,
    erase_encoder,
    erase_stored,
    say_dimensions,
    say_sets_of_run,
)
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
from whence.studies.erasure.study import ErasureSizes, study_erasure
from whence.studies.erasure.table_rows import compare_sizes, judge_words
from whence.studies.erasure.tasks import (
    NEAR_WORDS,
    FeatureTasks,
    count_neighbours,
    describe_images,
    describe_words,
    divide_rows,
    find_word_classes,
    scale_alike,
)
from whence.studies.erasure.words import WordSizes, average_words, compare_sets, list_harmful
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.sentences.networks import SentenceNetwork
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import number_words
from whence.training.loop import seeded

CPU = torch.device("cpu")
TINY_WORDS = WordSizes(1, 3, 12, 2, 4, PolicyRecipe(epochs=1))
TINY = ErasureSizes(40, 3, (60, 12), TINY_WORDS, stored=20, asked=6, largest=2, vote_epochs=3)


# -- units of a dense network


def test_units_are_erased_one_at_a_time():
    with seeded(0, CPU):
        network = DenseNetwork(5, 3, hidden=4).eval()
    features = torch.rand(7, 5, generator=make_generator(1))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    found = erase_units(network, features, labels, rows=3)

    def losses_without(layer, unit):
        units = features
        for place, linear in enumerate(network.layers):
            units = units if place == 0 else units.tanh()
            if place == layer:
                units = units.clone()
                units[:, unit] = 0
            units = linear(units)
        return torch.nn.functional.cross_entropy(units.double(), labels, reduction="none").detach()

    before = losses_without(-1, 0)
    for layer, width in enumerate((5, 4, 4)):
        assert found[layer].relative.shape == (width,)
        for unit in range(width):
            without = losses_without(layer, unit)
            assert_close(found[layer].nats[unit], (without - before).mean(), rtol=1e-4, atol=1e-6)
            shares = ((without - before) / before).mean()
            assert_close(found[layer].relative[unit], shares, rtol=1e-4, atol=1e-5)


def test_a_dense_network_learns_and_its_dropout_is_of_every_layer():
    features = torch.rand(60, 3, generator=make_generator(0))
    labels = (features[:, 1] > 0.5).long()
    with seeded(0, CPU):
        network = DenseNetwork(3, 2, hidden=6)
        train_dense(network, features, labels, steps=200)
    assert (network(features).argmax(1) == labels).double().mean() > 0.95
    assert not network.training
    dropped = DenseNetwork(3, 2, hidden=6, dropout=1.0).train()
    assert_close(dropped(features), dropped.layers[2].bias.expand(60, 2))


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [0.0, 0.0, 5.0, 1.0], [1.0, -4.0, 2.0]])
def test_gini_is_the_mean_difference_of_all_pairs(values):
    kept = [max(0.0, value) for value in values]
    pairs = np.mean([abs(one - other) for one in kept for other in kept])
    assert measure_gini(torch.tensor(values)) == pytest.approx(pairs / (2 * np.mean(kept)))
    assert measure_gini(torch.zeros(3)) == 0


def test_shares_are_of_what_harms():
    found = share_out([torch.tensor([3.0, -1.0, 1.0]), torch.tensor([0.0, 0.0, 2.0])])
    assert_close(found, torch.tensor([[0.75, 0, 0.25], [0, 0, 1]]))


# -- features and their tasks


def test_features_of_images_and_what_is_to_be_told_from_them():
    images = load_dataset("digits").train
    found = describe_images(images, 60, seed=0)
    assert [*found] == ["learned features", "principal components"]
    for one in found.values():
        assert one.features.shape == (60, 50)
        assert float(one.features.square().mean()) == pytest.approx(1, abs=1e-4)
    chosen = torch.randperm(len(images), generator=make_generator(0))[:60]
    pixels = images.images[chosen, 0].double() / 255
    tasks = found["learned features"].tasks
    assert torch.equal(tasks["class"], images.labels[chosen])
    for name, values in (
        ("brightness", pixels.sum((1, 2))),
        ("place across", (pixels.sum(1) @ torch.arange(8.0).double()) / pixels.sum((1, 2))),
        ("place down", (pixels.sum(2) @ torch.arange(8.0).double()) / pixels.sum((1, 2))),
    ):
        assert tasks[name].bincount().tolist() == [15] * 4
        assert float(values[tasks[name] == 0].max()) < float(values[tasks[name] == 3].min())
    principal = found["principal components"].features.double()
    centred = (pixels.flatten(1) - pixels.flatten(1).mean(0)).numpy()
    sizes = np.linalg.svd(centred, compute_uv=False)[:50]
    expected = torch.from_numpy(sizes / sizes[0])
    assert_close(principal.norm(dim=0) / principal[:, 0].norm(), expected, rtol=1e-3, atol=1e-3)


def test_words_that_stand_near_each_other_are_counted():
    sentence = ("a", "b", "x", "x", "x", "x", "a")
    found = count_neighbours([sentence, ("a", "c")], {"a": 0, "b": 1, "c": 2}).toarray()
    assert NEAR_WORDS == 5
    assert found.tolist() == [[0, 2, 1], [2, 0, 0], [1, 0, 0]]


def test_words_have_vectors_and_tasks(tmp_path):
    draw = np.random.default_rng(0)
    words = [
        f"{a}{b}{c}"
        for a in "bcdfghm"
        for b in "eiou"
        for c in ("ring", "led", "fly", "p", "t", "k", "m", "l")
    ]
    shares = np.arange(1, 225) ** -0.5
    rows = [tuple(draw.choice(words, 12, p=shares / shares.sum())) for _ in range(400)]
    labels = torch.tensor([int(words.index(row[0]) % 2) for row in rows])
    sentences = Sentences(tuple(rows), labels, ("even", "odd"))
    found = describe_words(sentences)
    counts = Counter(word for row in rows for word in row)
    known = sorted(word for word, count in counts.items() if count >= 5)
    assert found.features.shape == (len(known), 50)
    assert_close(
        found.frequency.exp(), torch.tensor([float(counts[one]) for one in known]).double()
    )
    assert found.tasks["ending"].tolist() == [
        1 if one.endswith("ing") else 2 if one.endswith("ed") else 3 if one.endswith("ly") else 0
        for one in known
    ]
    number = {word: place for place, word in enumerate(known)}
    prefers = find_word_classes(sentences, number)
    for word in known[:5]:
        inside = torch.tensor([word in row for row in rows])
        shares = [float(inside[labels == one].double().mean()) for one in (0, 1)]
        assert int(prefers[number[word]]) == int(shares[1] > shares[0])
    with pytest.raises(ValueError, match="must hold at least 200 words that occur 5 times"):
        describe_words(sentences.take_first(3))


def test_rows_are_divided_and_scaled_alike():
    known, asked = divide_rows(20, seed=1)
    assert sorted([*known.tolist(), *asked.tolist()]) == [*range(20)]
    assert len(asked) == 5
    assert_close(scale_alike(np.array([[3.0, -4.0], [0.0, 5.0]])).norm(), torch.tensor(2.0))


# -- dimensions


def make_tasks(copies):
    """Features of which the first tells the class, as do its copies."""
    features = torch.randn(160, 4 + copies, generator=make_generator(0))
    labels = (features[:, 0] > 0).long()
    features[:, 0] *= 4
    features[:, 4:] = features[:, :1] / 2
    return FeatureTasks(features, {"sign": labels})


def test_a_removed_dimension_is_replaced_where_another_says_the_same():
    told = erase_dimensions(make_tasks(1), 60, 0)
    assert told["removed"] == [0, 4]
    assert told["one removed"]["accuracy"]["sign"] > 0.9
    assert told["one removed"]["top_share"] > told["one removed"]["before"]
    assert judge_replacement(told)
    lost = erase_dimensions(make_tasks(0), 60, 0)
    assert lost["removed"][0] == 0
    assert lost["one removed"]["accuracy"]["sign"] < 0.8
    assert not judge_replacement(lost)
    assert "frequency" not in told


def test_what_is_removed_has_no_importance_and_dropout_is_judged_by_the_features():
    case = train_case(make_tasks(1), 20, 0, removed=(0,))
    assert float(case.shares[0, 0]) == 0
    assert_close(case.shares.sum(1), torch.ones(1).double())
    found = {"plain": {"ginis": [0.5, 0, 1]}, "dropout": {"ginis": [0.4, 1, 1]}}
    assert judge_dropout(found)
    assert not judge_dropout({"plain": found["dropout"], "dropout": found["plain"]})


def test_the_squared_correlation_is_scipys():
    one, other = torch.rand(2, 9, generator=make_generator(0))
    expected = pearsonr(one.numpy(), other.numpy()).statistic ** 2
    assert squared_correlation(one, other) == pytest.approx(expected, rel=1e-4)


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


# -- the whole study


@pytest.fixture(scope="module")
def small_digits():
    images = load_dataset("digits")
    return Dataset("digits", images.train.take(range(120)), images.test.take(range(30)))


def test_evidence_of_images_is_searched_both_ways(small_digits):
    found = erase_evidence(
        small_digits, stored=20, asked=8, largest=3, most_sets=5000, epochs=20, seed=0
    )
    assert len(found["sizes"]) == len(found["greedy"]) == 8
    for least, size in zip(found["sizes"], found["greedy"], strict=True):
        assert least == 0 or 0 < least <= size
        assert least or size == 0 or size > 3
    for one in found["examples"]:
        gone = [voter["image"] for voter in one["voters"] if voter["gone"]]
        assert gone
        assert one["becomes"] != one["answer"]
    assert order_voters(torch.tensor([0.5, 0.5, 0.0]), (2,)) == [2, 0, 1]


def test_the_whole_study_is_kept_and_read_again(tmp_path, monkeypatch, small_digits):
    monkeypatch.setattr("whence.studies.erasure.study.load_subject", lambda _: small_digits)
    request = StudyRequest(seeds=1, out=tmp_path)
    found = study_erasure(request, TINY)
    assert [row[0] for row in found.rows].count("stored images") == 2
    assert isinstance(found.holds, bool)
    assert [figure.name for figure in found.figures] == [
        "dimensions",
        "layers",
        "words",
        "evidence",
    ]
    assert found.made_with["images"] == "digits"
    for name in ("erase_dimensions", "erase_words", "erase_evidence"):
        monkeypatch.setattr(f"whence.studies.erasure.study.{name}", lambda *_, **__: 1 / 0)
    assert study_erasure(request, TINY) == found
    with pytest.raises(ZeroDivisionError):
        study_erasure(replace(request, seeds=2), TINY)


def test_a_table_of_sentences_is_asked_about(tmp_path):
    draw = np.random.default_rng(0)
    stems = [f"{a}{b}{c}" for a in "bcdfgh" for b in "aeiou" for c in "lmnprst"]
    rows = []
    for number in range(260):
        words = draw.choice(stems, 14).tolist()
        rows.append(f"{'good' if words[0][0] < 'e' else 'bad'}\t{' '.join(words)} {number % 3}")
    table = tmp_path / "films.tsv"
    table.write_text("\n".join(rows))
    found = study_erasure(StudyRequest(subject=str(table), seeds=1), TINY)
    assert not any(row[0] == "stored images" for row in found.rows)
    assert [figure.name for figure in found.figures] == ["dimensions", "layers", "words"]
    assert any("how frequent a word is" in one for one in found.sentences)
    assert "word vectors" in found.verdict


# -- a user's own run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("erasure")
    write_images(folder / "photos", "ab", count=10)
    return folder


@pytest.fixture(scope="module", params=["votes", "memory-wrap", "standard"])
def run(request, photos):
    folder = photos / request.param
    command = ["train", str(photos / "photos"), "--device", "cpu", "--epochs", "2", "--out"]
    assert main([*command, str(folder), "--variant", request.param, "--memory-size", "6"]) == 0
    return folder


def test_dimensions_of_a_run_are_left_out_in_images_and_in_the_memory(run, photos):
    model = load_to_answer(run, "cpu")
    images = load_dataset(str(photos / "photos")).test
    found = erase_encoder(model, images)
    assert len(found["importance"]) == model.features
    pixels = images.images
    answers = model.head.decide(model(pixels)) if model.has_memory else model(pixels).argmax(1)
    dimension = int(np.argmax(found["importance"]))
    weight = torch.ones(model.features)
    weight[dimension] = 0
    before = torch.nn.functional.cross_entropy(
        model(pixels).double(), images.labels, reduction="none"
    )
    encoder = model.encoder
    model.encoder = torch.nn.Sequential(encoder, Scale(weight)).eval()
    if model.has_memory:
        model.remember(model.bank.images, model.bank.labels)
    logits = model(pixels)
    without = torch.nn.functional.cross_entropy(logits.double(), images.labels, reduction="none")
    grown = float(((without - before) / before).mean().detach())
    assert found["importance"][dimension] == pytest.approx(grown, rel=0.05, abs=0.01)
    changed = (model.head.decide(logits) != answers).double().mean()
    assert found["changed"][dimension] == float(changed)
    assert found["half"] <= model.features


class Scale(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, features):
        return features * self.weight


def test_a_verdict_on_a_run_is_in_plain_words(run, tmp_path, capsys):
    assert main(["study", "erasure", str(run), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "dimensions of the encoder" in printed
    found = json.loads((tmp_path / "erasure.json").read_text())
    assert found["holds"] is None
    assert {path.name for path in (tmp_path / "erasure-parts").iterdir()} == {
        "dimensions.json",
        "evidence.json",
    }
    if run.name == "standard":
        assert "a standard model has no stored images" in printed
        return
    assert "of the answers would be others without one stored image" in printed
    model = load_to_answer(run, "cpu")
    images = choose_asked(load_dataset(str(run.parent / "photos")).test, None)
    sizes = erase_stored(model, images)["sizes"]
    own = cache(model, images.images, batch_size=8)
    answers = read_whole(own).answers
    alone = 0
    for row in range(len(images)):
        usable = own.scores[row].isfinite().nonzero()
        logits = answer_without(own, torch.full((len(usable),), row), usable, batch_size=64)
        alone += bool((own.head.decide(logits) != answers[row]).any())
    assert alone == sum(size == 1 for size in sizes)
    row = next(row for row in found["rows"] if row["left out"] == "at most 1 stored image")
    assert row["answers changed"] == alone / len(images)


def test_a_network_that_hangs_on_one_dimension_is_told_from_one_that_does_not():
    one = {"importance": [9.0] + [0.1] * 19, "changed": [0.25] + [0.0] * 19, "half": 1}
    assert "at most 25.0% of the answers change; what matters rests on few" in say_dimensions(one)
    many = {"importance": [1.0] * 20, "changed": [0.1] * 20, "half": 10}
    assert "is spread over many of them: half of the importance is in 10" in say_dimensions(many)
    assert say_dimensions({**many, "changed": [0.0] * 20}).startswith("No answer hangs on a single")
    said = say_sets_of_run([1, 2, 0, 5], 8, 4)
    assert said.startswith("12.5% of the answers would be others without one stored image")
    assert said.endswith("37.5% without at most three (for 50.0% not every set was tried).")


def test_half_of_the_importance_is_counted_from_the_largest():
    assert count_half(torch.tensor([-9.0, 2.0, 1.0, 1.0])) == 1
    assert count_half(torch.tensor([1.0, 1.0, 1.0])) == 2


def test_seeds_of_a_run_are_refused(run, capsys):
    assert main(["study", "erasure", str(run), "--seeds", "2"]) == 2
    assert "A run is as it is, whatever the seed; leave out --seeds." in capsys.readouterr().err
