"""The study of sentences: relevance of words, votes of sentences, and what is said of both."""

import io
import json

import pytest
import torch
from captum.attr import IntegratedGradients
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from whence.cli import main
from whence.memory.sparsemax import sparsemax
from whence.seeds import make_numpy_generator
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.sentences.networks import SentenceNetwork, network_answer
from whence.studies.parts.sentences.questions import write_questions
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import UNKNOWN, Numbered, number_words
from whence.studies.parts.sentences.word_weights import fit_word_weights
from whence.studies.text.ask_networks import VOTES_NAME, TextSizes
from whence.studies.text.attribute_words import attribute_words
from whence.studies.text.page import draw_words, show_sentence_evidence
from whence.studies.text.sentence_votes import store_sentences
from whence.studies.text.study import judge_claim, list_strongest, study_sentences
from whence.studies.text.yardsticks import (
    expect_by_chance,
    judge_top_words,
    mark_carriers,
    mark_speakers,
    share_carriers,
)
from whence.training.loop import seeded

TINY = TextSizes(epochs=1, vote_epochs=2, explained=4, shown=3)
LENGTHS = torch.tensor([3, 1])


@pytest.fixture
def vectors():
    return torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1))


# -- relevance of words


def test_words_of_a_linear_probability_get_what_they_add(vectors):
    weights = torch.tensor([0.1, 0.05, 0.02, 0.08])

    def answer(some, lengths):
        inside = torch.arange(3) < lengths[:, None]
        share = 0.2 + ((some @ weights) * inside).sum(1)
        return torch.stack([1 - share, share], 1).log()

    found = attribute_words(answer, vectors, LENGTHS, torch.tensor([1, 0]))
    expected = vectors @ weights
    assert_close(found.relevance[0], expected[0])
    assert_close(found.relevance[1], torch.tensor([-expected[1, 0], 0, 0]))
    assert_close(found.start, torch.tensor([0.2, 0.8]))
    assert float(found.missed.max()) < 1e-6


def test_words_of_a_recurrent_network_get_what_captum_gives_them(vectors):
    with seeded(0, torch.device("cpu")):
        network = SentenceNetwork("bi-lstm", 5, 3, width=4, hidden=6).eval()
    network.recurrent.weight_ih_l0.data.mul_(4)
    classes = torch.tensor([2, 1])
    found = attribute_words(network_answer(network), vectors, LENGTHS, classes)

    def score(some, lengths):
        return network.classify(some, lengths).softmax(1)

    oracle = IntegratedGradients(score).attribute(
        vectors,
        baselines=torch.zeros_like(vectors),
        target=classes,
        additional_forward_args=(LENGTHS,),
        n_steps=300,
    )
    assert float(oracle.abs().max()) > 0.01
    assert_close(found.relevance, oracle.sum(2).float(), rtol=0.02, atol=1e-4)
    whole = score(vectors, LENGTHS) - score(torch.zeros_like(vectors), LENGTHS)
    change = whole.gather(1, classes[:, None]).squeeze(1)
    missed = (change - found.relevance.sum(1)).abs().detach()
    assert_close(found.missed, missed, rtol=0, atol=1e-6)


# -- votes of sentences


@pytest.fixture(scope="module")
def voting():
    known, _ = write_questions((40, 8), make_numpy_generator(0))
    numbers = number_words(
        known.words, {word: 2 + ord(word[0]) % 20 for some in known.words for word in some}
    )
    with seeded(0, torch.device("cpu")):
        network = SentenceNetwork("lstm", 22, 4, width=5, hidden=7).eval()
    return store_sentences(network, numbers, known.labels, epochs=4, seed=0), numbers


def test_weights_of_sentences_are_those_of_scaled_cosines(voting):
    votes, numbers = voting
    summary = votes.network.summarise(votes.network.embedding(numbers.numbers), numbers.lengths)
    keys = torch.nn.functional.normalize(votes.head.keys(votes.head.level(summary)), dim=1)
    expected = sparsemax(keys @ keys.T * votes.head.sharpness).detach()
    weights = votes.weigh_sentences(numbers)
    assert_close(weights, expected, rtol=1e-3, atol=1e-4)
    counted = votes.count_votes(weights)
    for label in range(4):
        assert_close(counted[:, label], weights[:, votes.labels == label].sum(1))


def test_soft_votes_are_a_softmax_as_in_training(voting):
    votes, numbers = voting
    vectors = votes.network.embedding(numbers.numbers).detach().requires_grad_()
    found = votes.vote_softly(vectors, numbers.lengths)
    keys = torch.nn.functional.normalize(votes.stored, dim=1)
    weights = (keys @ keys.T * votes.head.log_scale.exp()).softmax(1)
    expected = torch.stack([weights[:, votes.labels == one].sum(1) for one in range(4)], 1)
    assert_close(found.exp(), expected, rtol=1e-3, atol=1e-4)
    (slope,) = torch.autograd.grad(found[:, 0].sum(), vectors)
    assert bool(slope.flatten(1).any(1).all())


# -- yardsticks


def test_top_words_are_judged_inside_their_sentence():
    relevance = torch.tensor([[0.3, 0.1, 9.0], [-0.5, -0.2, -0.9]])
    marks = mark_carriers([(True, False), (False, True, False)], 3)
    assert judge_top_words(relevance, marks, torch.tensor([2, 3])) == 1
    assert judge_top_words(-relevance, marks, torch.tensor([2, 3])) == 0
    assert expect_by_chance(marks, torch.tensor([2, 3])) == pytest.approx((1 / 2 + 1 / 3) / 2)


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_words_are_scikit_learns(classes):
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(2, 8, (60, 5), generator=generator)
    labels = numbers.sum(1) % classes
    sentences = Numbered(numbers, torch.full((60,), 5))
    found = fit_word_weights(sentences, labels, 8)
    has = [[word in row for word in range(8)] for row in numbers.tolist()]
    oracle = LogisticRegression(max_iter=1000).fit(has, labels).coef_.T
    assert found.shape == (8, classes)
    assert_close(found[2:, -1], torch.from_numpy(oracle[2:, -1].copy()))
    assert not bool(found[UNKNOWN].any())
    if classes == 2:
        assert_close(found[:, 0], -found[:, 1])
    answers = labels.flip(0)
    marks = mark_speakers(found, sentences, answers)
    for row, answer in enumerate(answers.tolist()):
        for place, word in enumerate(numbers[row].tolist()):
            assert bool(marks[row, place]) == bool(found[word, answer] > 0)


def test_shared_words_count_by_the_weight_of_their_sentences():
    def make(words, labels):
        carriers = tuple((True, *[False] * (len(some) - 1)) for some in words)
        return Sentences(words, torch.tensor(labels), ("a", "b"), carriers)

    stored = make((("who", "did"), ("where", "did"), ("when", "did")), [0, 0, 1])
    asked = make((("who", "when"),), [0])
    weights = torch.tensor([[0.25, 0.75, 0.0]])
    assert share_carriers(weights, asked, stored) == (0.25, 0.5)
    with pytest.raises(ValueError, match="must say which of their words carry"):
        share_carriers(weights, asked._replace(carriers=None), stored)


# -- what is said


def test_the_claim_is_judged_by_the_networks_that_are_able():
    able, weak = {"accuracy": 0.95}, {"accuracy": 0.4}
    assert judge_claim({"x": able, "y": weak}, {"x": 0.51, "y": 0.1})
    assert not judge_claim({"x": able, "y": able}, {"x": 0.51, "y": 0.5})
    assert not judge_claim({"y": weak}, {"y": 0.9})


def test_the_strongest_words_are_those_of_highest_mean_that_were_seen_often():
    words = {"a": {"who": [0.5, 0.3, 0.4], "is": [0.1] * 9, "rare": [9.0]}, "b": {}}
    found = list_strongest([{"words": words}], ("a", "b"))
    assert found.endswith("(Bi-LSTM): a: who, is; b: none seen often enough.")
    rare = {"a": {"who": [0.5, 0.5, 0.5], "once": [9.0]}, "b": {}}  # the same sentence, three times
    found = list_strongest([{"words": rare}] * 3, ("a", "b"))
    assert found.endswith("(Bi-LSTM): a: who; b: none seen often enough.")


def test_the_figure_grows_with_the_lines_and_full_colour_is_the_largest_of_a_sentence():
    own = {"answer": "name", "relevance": [1.0, -0.5], "probability": 0.75}
    one = {"words": ["who", "did"], "label": "name", "answers": {"x": own}}
    long = {**one, "words": ["who"] * 40, "answers": {"x": {**own, "relevance": [0.1] * 40}}}
    pictures = [Image.open(io.BytesIO(draw_words(some, "x"))) for some in ([one], [one, long])]
    assert pictures[1].height == 3 * pictures[0].height  # forty words take two lines
    colours = {colour for _, colour in pictures[0].convert("RGB").getcolors(100_000)}
    red, blue = (178, 24, 43), (33, 102, 172)
    assert tuple(round(255 - 0.85 * (255 - part)) for part in red) in colours
    assert tuple(round(255 - 0.425 * (255 - part)) for part in blue) in colours


def test_networks_are_where_they_were_asked_to_be():
    both = write_questions((60, 12), make_numpy_generator(0))
    with pytest.raises(NotImplementedError, match="meta tensor"):  # which holds no numbers
        study_sentences(both, TINY, StudyRequest(seeds=1, device="meta"))


def test_the_whole_study_of_questions_is_kept_and_read_again(tmp_path, monkeypatch):
    both = write_questions((60, 12), make_numpy_generator(0))
    request = StudyRequest(seeds=1, out=tmp_path)
    found = study_sentences(both, TINY, request)
    assert [row[0] for row in found.rows] == ["Bi-LSTM", "LSTM", "RNN", VOTES_NAME]
    assert all(0 <= number <= 1 for row in found.rows for number in row[1:])
    assert found.made_with["seeds"] == "0"
    assert len(found.sentences) == 3
    assert [figure.name for figure in found.figures] == ["words-bi-lstm", "words-votes-on-bi-lstm"]
    monkeypatch.setattr("whence.studies.text.study.ask_networks", lambda *_: 1 / 0)
    assert study_sentences(both, TINY, request) == found
    part = json.loads((tmp_path / "text-parts" / "seed-0.json").read_text())["found"]
    assert len(part["examples"]) == 3
    (section,) = show_sentence_evidence(part["examples"])
    cards = section.blocks[1].shown[0].cards
    weights = [card.share for card in cards[1:]]
    assert weights == sorted(weights, reverse=True)
    assert 0 < sum(weights) < 1.001


def test_a_table_of_sentences_is_asked_about(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("whence.studies.text.study.TEXT_SIZES", TINY)
    words = {"good": ("warm", "fine", "moving"), "bad": ("dull", "flat", "tired")}
    rows = [
        f"{label}\tA {word} {thing} of {count} people"
        for label, some in words.items()
        for word in some
        for thing in ("film", "plot", "cast")
        for count in (2, 3)
    ]
    table = tmp_path / "films.tsv"
    table.write_text("\n".join(rows))
    assert main(["study", "text", str(table), "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is None
    assert "of sentences that were not learned from, " in found["verdict"].lower()
    assert found["made_with"]["sentences_asked"] == 7
    assert main(["study", "text", str(tmp_path / "none.tsv")]) == 2
    assert "there is no such file" in capsys.readouterr().err
