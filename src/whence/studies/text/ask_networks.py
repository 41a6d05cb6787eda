"""One seed of the study: four classifiers of the same sentences, and what they answer from."""

import itertools
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.studies.parts.sentences.erase import erase_each_word, losses_of
from whence.studies.parts.sentences.networks import (
    SENTENCE_READERS,
    AnswerVectors,
    SentenceNetwork,
    answer_sentences,
    learn_sentences,
    look_words_up,
    network_answer,
)
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import Numbered, count_vocabulary, number_words
from whence.studies.parts.sentences.word_weights import fit_word_weights
from whence.studies.text.attribute_words import attribute_words
from whence.studies.text.sentence_votes import store_sentences
from whence.studies.text.yardsticks import (
    expect_by_chance,
    judge_top_words,
    mark_carriers,
    mark_speakers,
    share_carriers,
)
from whence.training.loop import seeded

LEAST_OCCURRENCES = 2
"""Words that are rarer are unknown."""

EVIDENCE_SHOWN = 3
VOTES_NAME = "votes on Bi-LSTM"


class TextSizes(NamedTuple):
    """How large the study is."""

    epochs: int
    vote_epochs: int
    explained: int  # sentences
    shown: int  # sentences whose words and evidence are kept for figures and the page


class AskedSentences(NamedTuple):
    """Sentences to learn from and to be asked about, as words and as numbers."""

    known: Sentences
    asked: Sentences
    known_numbers: Numbered
    asked_numbers: Numbered
    words: int


def number_both(known: Sentences, asked: Sentences) -> AskedSentences:
    """Number the words of both, by the vocabulary of those to learn from."""
    vocabulary = count_vocabulary(known.words, least=LEAST_OCCURRENCES)
    numbers = [number_words(one.words, vocabulary) for one in (known, asked)]
    return AskedSentences(known, asked, numbers[0], numbers[1], len(vocabulary) + 2)


def ask_networks(
    sentences: AskedSentences, sizes: TextSizes, seed: int, device: str = "cpu"
) -> dict[str, Any]:
    """Train the four classifiers and explain their answers; only what JSON can hold.

    Args:
        sentences: to learn from and to be asked about.
        sizes: of the training, and of what is explained and kept.
        seed: of weights, order and dropout.
        device: of the classifiers.

    Returns:
        "measures" of each classifier, "evidence" of the votes, "examples" of the first seed, and
        "words": the relevance of each explained word, for the list of the strongest.
    """
    networks = learn_every_network(sentences, sizes.epochs, seed, device)
    votes = store_sentences(
        networks["bi-lstm"],
        sentences.known_numbers,
        sentences.known.labels,
        epochs=sizes.vote_epochs,
        seed=seed,
    )
    linear = None
    if sentences.asked.carriers is None:
        linear = fit_word_weights(sentences.known_numbers, sentences.known.labels, sentences.words)
    measure = partial(
        measure_words_of, sentences=sentences, explained=sizes.explained, linear=linear
    )
    measured = {}
    for kind, network in networks.items():
        answer = network_answer(network)
        said = answer_sentences(answer, network.embedding, sentences.asked_numbers).exp()
        measured[SENTENCE_READERS[kind].title] = measure(network, answer, said)
    weights = votes.weigh_sentences(sentences.asked_numbers)
    shares = votes.count_votes(weights)
    measured[VOTES_NAME] = measure(votes.network, votes.vote_softly, shares)
    found: dict[str, Any] = {
        "measures": {name: one.numbers for name, one in measured.items()},
        "voters": float((weights > 0).sum(1).double().median()),
        "examples": keep_examples(sentences, measured, weights, sizes.shown),
        "words": list_word_relevance(sentences, measured["Bi-LSTM"]),
    }
    if sentences.asked.carriers is not None:
        found["shared"] = share_carriers(weights, sentences.asked, sentences.known)
    return found


def learn_every_network(
    sentences: AskedSentences, epochs: int, seed: int, device: str
) -> dict[str, SentenceNetwork]:
    """Train a network of every kind, all from the same seed."""
    networks = {}
    for kind in SENTENCE_READERS:
        with seeded(seed, torch.device(device)) as randomness:
            networks[kind] = learn_sentences(
                kind,
                sentences.known_numbers,
                sentences.known.labels,
                words=sentences.words,
                classes=len(sentences.known.class_names),
                epochs=epochs,
                generator=randomness.generator,
                device=device,
            )
    return networks


class MeasuredAnswers(NamedTuple):
    """Numbers of one classifier, and what they were made of."""

    numbers: dict[str, float]
    answers: Tensor  # (B,) of the explained sentences
    probabilities: Tensor  # (B,)
    relevance: Tensor  # (B, T)


def measure_words_of(
    network: SentenceNetwork,
    answer: AnswerVectors,
    said: Tensor,
    sentences: AskedSentences,
    explained: int,
    linear: Tensor | None,
) -> MeasuredAnswers:
    """Measure how often a classifier is right, and which words its answers come from.

    Args:
        network: whose word vectors are read.
        answer: from these on, as it is explained.
        said: `(N, K)` probabilities of all that are asked.
        sentences: those that are asked.
        explained: how many of them are explained.
        linear: weights of words where it is not known which carry the class.
    """
    numbered, labels = sentences.asked_numbers, sentences.asked.labels
    answers = said.argmax(1)
    rows = torch.arange(min(explained, len(labels)))
    some = numbered.take_rows(rows)
    vectors = look_words_up(network.embedding, some.numbers)
    found = attribute_words(answer, vectors, some.lengths, answers[: len(rows)])
    marks = mark_expected(sentences, some, answers[: len(rows)], linear)
    without = losses_of(erase_each_word(answer, vectors, some.lengths), answers[: len(rows)])
    top = said.gather(1, answers[:, None]).squeeze(1)[: len(rows)]
    numbers = {
        "accuracy": float((answers == labels).double().mean()),
        "gradients": judge_top_words(found.relevance, marks, some.lengths),
        "erasure": judge_top_words(without.nan_to_num(-1), marks, some.lengths),
        "chance": expect_by_chance(marks, some.lengths),
        "missed": float(found.missed.mean()),
    }
    return MeasuredAnswers(numbers, answers[: len(rows)], top, found.relevance)


def mark_expected(
    sentences: AskedSentences, some: Numbered, answers: Tensor, linear: Tensor | None
) -> Tensor:
    """Mark the words `(B, T)` that an answer should come from.

    Those that carry the class, where the sentences say which these are, and else those that speak
    for the answer where words are counted.
    """
    carriers = sentences.asked.carriers
    if carriers is not None:
        return mark_carriers(carriers[: len(answers)], some.numbers.shape[1])
    if linear is None:
        raise ValueError("linear must be given for sentences that do not say what carries a class.")
    return mark_speakers(linear, some, answers)


def keep_examples(
    sentences: AskedSentences,
    measured: dict[str, MeasuredAnswers],
    weights: Tensor,
    shown: int,
) -> list[dict[str, Any]]:
    """Keep some sentences with the relevance of their words, and the evidence of their votes."""
    names, known = sentences.asked.class_names, sentences.known
    kept = []
    for place in choose_sentences(
        sentences.asked.labels[: len(measured[VOTES_NAME].answers)], shown
    ):
        words = sentences.asked.words[place]
        order = weights[place].argsort(descending=True, stable=True)[:EVIDENCE_SHOWN].tolist()
        kept.append(
            {
                "words": list(words),
                "label": names[int(sentences.asked.labels[place])],
                "answers": {
                    name: {
                        "answer": names[int(one.answers[place])],
                        "probability": float(one.probabilities[place]),
                        "relevance": one.relevance[place, : len(words)].tolist(),
                    }
                    for name, one in measured.items()
                },
                "voters": int((weights[place] > 0).sum()),
                "evidence": [
                    {
                        "words": list(known.words[one]),
                        "label": names[int(known.labels[one])],
                        "weight": float(weights[place, one]),
                    }
                    for one in order
                    if weights[place, one] > 0
                ],
            }
        )
    return kept


def choose_sentences(labels: Tensor, shown: int) -> list[int]:
    """Choose sentences to be shown: the first ones of every class, class by class in turn.

    >>> choose_sentences(torch.tensor([0, 0, 0, 1, 1]), 3)
    [0, 3, 1]
    """
    of_class = [(labels == one).nonzero().squeeze(1).tolist() for one in labels.unique()]
    turns = [place for turn in itertools.zip_longest(*of_class) for place in turn]
    return [place for place in turns if place is not None][:shown]


def list_word_relevance(
    sentences: AskedSentences, measured: MeasuredAnswers
) -> dict[str, dict[str, list[float]]]:
    """List the relevance of every word, in each sentence that is answered with a class."""
    found: dict[str, dict[str, list[float]]] = {one: {} for one in sentences.asked.class_names}
    for place, answer in enumerate(measured.answers.tolist()):
        of_class = found[sentences.asked.class_names[answer]]
        values = measured.relevance[place].tolist()
        for word, value in zip(sentences.asked.words[place], values, strict=False):
            of_class.setdefault(word, []).append(value)
    return found
