"""Sentences of studies: templates, tables, the networks that read them, and words that are erased."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from whence.seeds import make_generator
from whence.studies.parts.sentences.erase import erase_each_word, grow_losses, losses_of
from whence.studies.parts.sentences.film_templates import BLAME, PRAISE, write_reviews
from whence.studies.parts.sentences.networks import (
    SENTENCE_READERS,
    SentenceNetwork,
    SentenceRecipe,
    answer_sentences,
    forget_words,
    network_answer,
    train_sentences,
)
from whence.studies.parts.sentences.questions import list_question_templates, write_questions
from whence.studies.parts.sentences.table_of_sentences import divide_sentences, read_sentences
from whence.studies.parts.sentences.templates import Sentences, fill_evenly, write_sentences
from whence.studies.parts.sentences.vocabulary import (
    UNKNOWN,
    count_vocabulary,
    drop_words,
    number_words,
)
from whence.training.loop import seeded

TEMPLATES = {"a": ("p {x}", "q [{x}]", "r {x}", "s [{x}]"), "b": ("t", "u {x}", "v {x}", "w {x}")}
SLOTS = {"x": ("one", "two words", "three", "four", "five", "six")}


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def make_network(kind, classes=3, words=9, **options):
    with seeded(4, torch.device("cpu")):
        return SentenceNetwork(kind, words, classes, width=4, hidden=5, **options).eval()


SENTENCES = number_words(
    [("a", "b", "c", "a"), ("b",), ("c", "new", "a")], {"a": 2, "b": 3, "c": 4}
)


# -- templates


def test_every_fourth_template_is_kept_for_what_is_asked(draw):
    known, asked = write_sentences(TEMPLATES, SLOTS, (11, 6), draw)
    assert {words[0] for words in known.words} == {"p", "q", "r", "t", "u", "v"}
    assert {words[0] for words in asked.words} == {"s", "w"}
    assert len(set(known.words)) == 11
    assert known.labels.tolist() == [0, 1] * 5 + [0]
    assert known.class_names == ("a", "b")


def test_carriers_are_the_words_in_brackets(draw):
    found = fill_evenly({"a": ("no [{x}] {x}",), "b": ("[yes] no",)}, SLOTS, 2, draw)
    first, second = found.words
    assert second == ("yes", "no")
    assert found.carriers[1] == (True, False)
    marked = " ".join(w for w, carries in zip(first, found.carriers[0], strict=True) if carries)
    assert marked in SLOTS["x"]
    assert len(found.carriers[0]) == len(first)


def test_more_sentences_than_there_are_is_refused(draw):
    with pytest.raises(ValueError, match=r"count must be below the 25 sentences of the templates"):
        fill_evenly({"a": TEMPLATES["a"], "b": ("t",)}, SLOTS, 60, draw)


def test_questions_mark_at_least_one_word_and_share_all_others(draw):
    known, asked = write_questions((240, 80), draw)
    assert all(any(some) for one in (known, asked) for some in one.carriers)
    assert known.class_names == ("number", "name", "date", "yes or no")
    assert not {" ".join(one) for one in known.words} & {" ".join(one) for one in asked.words}
    for templates in list_question_templates().values():
        assert len(templates) == len(set(templates)) == 46
    plain = [set(), set(), set(), set()]
    for words, carry, label in zip(known.words, known.carriers, known.labels, strict=True):
        plain[label] |= {w for w, carries in zip(words, carry, strict=True) if not carries}
    assert {"did", "the", "in", "?"} <= set.intersection(*plain[:3])


def test_reviews_of_both_sides_have_the_same_form(draw):
    known, asked = write_reviews((300, 100), draw)
    for one in (known, asked):
        for words, carry, label in zip(one.words, one.carriers, one.labels.tolist(), strict=True):
            marked = {w for w, carries in zip(words, carry, strict=True) if carries}
            own, other = ((PRAISE, BLAME), (BLAME, PRAISE))[label]
            turned = {"never", "but", "anything"} & set(words)
            assert marked & set(own) or (turned and marked & set(other))
            assert not {*words} - marked & {*PRAISE, *BLAME}


# -- tables


def test_ratings_become_two_classes_and_mild_ones_are_left_out(tmp_path):
    path = tmp_path / "reviews.tsv"
    path.write_text("1\t2.5\tIt's good!\n2\t-0.4\tMeh\n3\t-0.5\tBad\n")
    found = read_sentences(str(path))
    assert found.words == (("it's", "good", "!"), ("bad",))
    assert found.class_names == ("negative", "positive")
    assert found.labels.tolist() == [1, 0]
    assert found.carriers is None


def test_other_labels_are_names_of_classes(tmp_path):
    path = tmp_path / "mail.tsv"
    path.write_text("spam\tBuy now\nham\tSee you\nspam\tBuy\n")
    found = read_sentences(str(path))
    assert found.class_names == ("ham", "spam")
    assert found.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("only one column\n", "line 1, must be label, tab, sentence, got 'only one column'"),
        ("a\tone\nb\t \n", "line 2, must be label, tab, sentence"),
        ("a\tone\na\ttwo\n", r"must hold sentences of at least two classes, got \['a'\]"),
    ],
)
def test_other_tables_are_refused(content, sentence, tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_sentences(str(path))


def test_what_is_no_file_of_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a table of sentences, there is no such"):
        read_sentences(str(tmp_path / "none.tsv"))
    (tmp_path / "bytes.tsv").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.tsv", "."):
        with pytest.raises(ValueError, match="must be a text file of sentences in UTF-8: "):
            read_sentences(str(tmp_path / name))


def test_a_table_is_divided_by_class_and_nothing_is_in_both():
    words = tuple((str(number),) for number in range(50))
    whole = Sentences(words, torch.tensor([0] * 40 + [1] * 10), ("a", "b"))
    known, asked = divide_sentences(whole, seed=3)
    assert sorted(known.words + asked.words) == sorted(words)
    assert asked.labels.bincount().tolist() == [8, 2]
    assert all(
        (int(one[0]) >= 40) == label for one, label in zip(known.words, known.labels, strict=True)
    )
    assert divide_sentences(whole, seed=4)[1].words != asked.words
    with pytest.raises(ValueError, match="must hold at least 10 sentences, got 4"):
        divide_sentences(whole.take_first(4), seed=0)


# -- numbers of words


def test_words_are_numbered_by_frequency_and_rare_ones_are_unknown():
    known = count_vocabulary([("b", "a", "a"), ("c", "b", "a")], least=2)
    assert known == {"a": 2, "b": 3}
    found = number_words([("a", "c"), ("b",)], known)
    assert found.numbers.tolist() == [[2, UNKNOWN], [3, 0]]
    assert found.lengths.tolist() == [2, 1]
    assert found.take_rows(torch.tensor([1])).numbers.tolist() == [[3]]
    with pytest.raises(ValueError, match="every sentence must have at least one word"):
        number_words([("a",), ()], known)


def test_words_that_are_left_out_close_up():
    kept = torch.tensor([[True, False, True], [False, False, False]])
    found = drop_words(torch.tensor([5, 6, 7]), kept)
    assert found.numbers.tolist() == [[5, 7], [UNKNOWN, 0]]
    assert found.lengths.tolist() == [2, 1]


# -- networks


@pytest.mark.parametrize("kind", SENTENCE_READERS)
def test_a_sentence_is_read_as_if_it_stood_alone(kind):
    network = make_network(kind)
    vectors = network.embedding(SENTENCES.numbers)
    states, last = network.read_on(vectors, SENTENCES.lengths)
    for row, length in enumerate(SENTENCES.lengths.tolist()):
        alone, _ = network.recurrent(vectors[row : row + 1, :length])  # (1, t, S)
        assert_close(states[row, :length], alone[0])
        assert not states[row, length:].any()
        half = 5
        ends = [alone[0, -1, :half], alone[0, 0, half:]]  # the way back ends at the first word
        assert_close(last[row], torch.cat(ends))
    assert_close(network(SENTENCES), network.classifier(last))


def test_states_begin_so_that_they_last():
    for kind in SENTENCE_READERS:
        network = make_network(kind)
        for name, weight in network.recurrent.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weight.split(5):
                    assert_close(gate @ gate.T, torch.eye(5), rtol=0, atol=1e-5)
            if name.startswith("bias_ih") and kind != "rnn":
                assert bool((weight[5:10] == 1).all())
                assert not bool((weight[:5] == 1).any())


def test_an_unknown_network_is_refused():
    with pytest.raises(
        ValueError, match=r"Unknown network 'gru'\. Choose from: bi-lstm, lstm, rnn"
    ):
        SentenceNetwork("gru", 5, 2)


@pytest.mark.parametrize("kind", SENTENCE_READERS)
def test_networks_learn_what_the_first_word_says(kind):
    words = [(first, *"abcab"[:length]) for first in "xy" for length in range(1, 6)] * 4
    sentences = number_words(words, count_vocabulary(words))
    labels = torch.tensor([first == "y" for first, *_ in words]).long()
    said = []
    for seed in (0, 0, 1):
        with seeded(seed, torch.device("cpu")) as randomness:
            network = SentenceNetwork(kind, 7, 2, width=6, hidden=8, dropout=0.1)
            recipe = SentenceRecipe(epochs=12, batch_size=8, rate=0.02)
            train_sentences(
                network, sentences, labels, recipe=recipe, generator=randomness.generator
            )
        said.append(
            answer_sentences(network_answer(network), network.embedding, sentences, batch=7)
        )
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])
    assert said[0].dtype == torch.float64
    assert (said[0].argmax(1) == labels).all()


def test_a_share_of_words_is_forgotten_and_no_end():
    many = number_words([("a",) * 400, ("a",) * 100], {"a": 2})
    found = forget_words(many, 0.25, make_generator(0)).numbers
    assert 80 < int((found == UNKNOWN).sum()) < 170
    assert int((found == 0).sum()) == 300


# -- erasure


@pytest.mark.parametrize("kind", SENTENCE_READERS)
def test_words_are_erased_one_at_a_time(kind):
    network = make_network(kind)
    answer = network_answer(network)
    vectors = network.embedding(SENTENCES.numbers)
    found = erase_each_word(answer, vectors, SENTENCES.lengths)
    assert found.shape == (3, 4, 3)
    for row, length in enumerate(SENTENCES.lengths.tolist()):
        assert bool(found[row, length:].isnan().all())
        for place in range(length):
            left = vectors[row : row + 1].clone()
            left[0, place] = 0
            assert_close(
                found[row, place], answer(left, SENTENCES.lengths[row : row + 1])[0].detach()
            )


def test_losses_grow_by_a_share_of_themselves():
    said = torch.log(torch.tensor([[0.5, 0.5], [0.1, 0.9]], dtype=torch.float64))
    without = torch.log(
        torch.tensor([[[0.25, 0.75], [1.0, 0.0]], [[0.1, 0.9], [0.19, 0.81]]]).double()
    )
    labels = torch.tensor([0, 1])
    found = grow_losses(losses_of(said, labels)[:, None], losses_of(without, labels))
    assert_close(found, torch.tensor([[1.0, -1.0], [0.0, 1.0]]).double(), rtol=1e-5, atol=1e-5)


def test_training_moves_sentences_and_labels_to_the_network(monkeypatch):
    """On a device that holds no numbers, and refuses those of another one."""
    monkeypatch.setattr(
        SentenceNetwork,
        "read_on",
        lambda self, vectors, _: (vectors, vectors.repeat(1, 1, 2)[:, 0, : self.summary_width]),
    )
    network = SentenceNetwork("lstm", 5, 3, width=4, hidden=6).to("meta")
    sentences = number_words([("a", "b"), ("b",)], {"a": 2, "b": 3})
    train_sentences(
        network,
        sentences,
        torch.tensor([0, 2]),
        recipe=SentenceRecipe(epochs=1),
        generator=torch.Generator().manual_seed(0),
    )
    left = torch.zeros(2, 2, 4, device="meta")
    with pytest.raises(NotImplementedError, match="no data"):  # only what comes back is read
        erase_each_word(network_answer(network), left, torch.tensor([2, 1]))
