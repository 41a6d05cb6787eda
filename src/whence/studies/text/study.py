"""The study: what words and what stored sentences the answers of sentence classifiers come from."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

from whence.report.numbers import percent
from whence.seeds import make_numpy_generator
from whence.studies.parts.findings import Entry, Findings, StudyFigure
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.sentences.fingerprint_sentences import fingerprint_sentences
from whence.studies.parts.sentences.questions import write_questions
from whence.studies.parts.sentences.table_of_sentences import divide_sentences, read_sentences
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.text.ask_networks import VOTES_NAME, TextSizes, ask_networks, number_both
from whence.studies.text.page import draw_words, show_sentence_evidence
from whence.training.plan import EPOCHS_AT_ONCE

QUESTION_COUNTS, FULL_QUESTION_COUNTS = (2000, 400), (17_626, 4_407)
"""Questions to learn from and to be asked; in full as many as WikiTableQuestions has, 22,033."""

LEARNED_SENTENCES, ASKED_SENTENCES = 4000, 800
"""Sentences of a user's table, at most, unless in full."""

TEXT_SEEDS = 3
TEXT_SIZES = TextSizes(epochs=8, vote_epochs=EPOCHS_AT_ONCE, explained=200, shown=10)
FULL_TEXT_SIZES = TEXT_SIZES._replace(explained=1000)
MORE_THAN, ABLE_NETWORKS = 0.5, 0.9
"""More than this share of sentences must have the highest relevance on a carrying word, of every
network that answers at least so many of them right: of others there is little to explain."""

ON_PAGE = 6
"""Sentences that the page shows with their evidence."""

STRONGEST_WORDS, LEAST_SEEN = 6, 3
"""Words listed of each class, and how often a word must have been seen, in each seed, for that."""


def text(request: StudyRequest) -> Findings:
    """Classify questions, or the sentences of a table, and explain the answers by words."""
    sizes = FULL_TEXT_SIZES if request.full else TEXT_SIZES
    generator = make_numpy_generator(0)
    if request.subject is None:
        both = write_questions(FULL_QUESTION_COUNTS if request.full else QUESTION_COUNTS, generator)
    else:
        both = divide_sentences(read_sentences(request.subject), seed=0)
        if not request.full:
            both = both[0].take_first(LEARNED_SENTENCES), both[1].take_first(ASKED_SENTENCES)
    return study_sentences(both, sizes, request)


def study_sentences(
    both: tuple[Sentences, Sentences], sizes: TextSizes, request: StudyRequest
) -> Findings:
    """Do the study with sentences to learn from and others to be asked about."""
    seeds = request.list_seeds(TEXT_SEEDS)
    made_with = {
        "seeds": name_seeds(seeds),
        "sentences_to_learn_from": len(both[0].words),
        "sentences_asked": len(both[1].words),
        "sentences_explained": min(sizes.explained, len(both[1].words)),
        "epochs": sizes.epochs,
        "data_fingerprint": fingerprint_sentences(both),
        "device": request.device,
    }
    sentences = number_both(*both)
    kept = KeptParts(request.out, "text", {**made_with, "sizes": sizes._asdict()})
    found = [
        kept.do(f"seed-{seed}", partial(ask_networks, sentences, sizes, seed, request.device))
        for seed in seeds
    ]
    return report_sentences(found, both[1], made_with)


def report_sentences(
    found: Sequence[Mapping[str, Any]], asked: Sentences, made_with: Mapping[str, Any]
) -> Findings:
    """Lay out what all seeds found."""
    names = list(found[0]["measures"])
    averages = {name: average_seeds([one["measures"][name] for one in found]) for name in names}
    own = asked.carriers is None
    expected = "speaks for the answer in counts of words" if own else "carries the kind"
    rows: list[tuple[Entry, ...]] = [
        (
            name,
            one["accuracy"],
            one["gradients"],
            one["erasure"],
            one["chance"],
            one["missed"],
        )
        for name, one in averages.items()
    ]
    examples = found[0]["examples"]
    lowest = {name: min(one["measures"][name]["gradients"] for one in found) for name in names}
    return Findings(
        columns=(
            "network",
            "accuracy",
            f"top word {expected}: gradients",
            "erasure",
            "by chance",
            "left unexplained",
        ),
        rows=tuple(rows),
        holds=None if own else judge_claim(averages, lowest),
        verdict=say_own(averages, found) if own else say_carriers(averages, lowest),
        made_with=made_with,
        sentences=(list_strongest(found, asked.class_names), *say_voters(found)),
        figures=tuple(
            StudyFigure(
                f"words-{name.lower().replace(' ', '-')}",
                f"{name}: words on red raise the probability of the answer in brackets, on blue "
                "they lower it (Integrated Gradients from word vectors of 0); full colour is the "
                "largest of each sentence.",
                draw_words(examples, name),
            )
            for name in ("Bi-LSTM", VOTES_NAME)
        ),
        sections=show_sentence_evidence(examples[:ON_PAGE]),
    )


def average_seeds(measures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average each number over seeds."""
    return {name: mean(one[name] for one in measures) for name in measures[0]}


def judge_claim(averages: Mapping[str, Mapping[str, float]], lowest: Mapping[str, float]) -> bool:
    """Say whether the claim holds in every seed of the networks that are able, and one is."""
    able = [name for name, one in averages.items() if one["accuracy"] >= ABLE_NETWORKS]
    return bool(able) and all(lowest[name] > MORE_THAN for name in able)


def say_carriers(averages: Mapping[str, Mapping[str, float]], lowest: Mapping[str, float]) -> str:
    """Say how often the word of highest relevance carries the kind of a question."""
    parts = [f"{percent(one['gradients'])} ({name})" for name, one in averages.items()]
    chance = next(iter(averages.values()))["chance"]
    able = min(
        (lowest[name] for name, one in averages.items() if one["accuracy"] >= ABLE_NETWORKS),
        default=None,
    )
    least = (
        "no network answers nine in ten of them right"
        if able is None
        else f"the lowest of any seed of one that answers nine in ten right is {percent(able)}"
    )
    return (
        f"The word with most relevance carries the kind of the question in {', '.join(parts)} of "
        f"the questions, a word drawn at random in {percent(chance)}; {least}."
    )


def say_own(averages: Mapping[str, Mapping[str, float]], found: Sequence[Mapping[str, Any]]) -> str:
    """Say how well the sentences of a user are classified, and from what words."""
    plain, votes = averages["Bi-LSTM"], averages[VOTES_NAME]
    best = max(averages, key=lambda name: averages[name]["accuracy"])
    return (
        f"Of sentences that were not learned from, {best} answers "
        f"{percent(averages[best]['accuracy'])} right, votes {percent(votes['accuracy'])}; the "
        f"word with most relevance for the Bi-LSTM's answer also speaks for it where words are "
        f"only counted in {percent(plain['gradients'])} ({percent(plain['chance'])} by chance)."
    )


def list_strongest(found: Sequence[Mapping[str, Any]], class_names: Sequence[str]) -> str:
    """List the words of highest mean relevance in the Bi-LSTM's answers of each class."""
    lists = []
    for name in class_names:
        values: dict[str, list[float]] = {}
        for one in found:
            for word, some in one["words"][name].items():
                values.setdefault(word, []).extend(some)
        often = {
            word: mean(some)
            for word, some in values.items()
            if len(some) >= LEAST_SEEN * len(found)
        }
        order = sorted(often, key=lambda word: (-often[word], word))[:STRONGEST_WORDS]
        lists.append(f"{name}: {', '.join(order) or 'none seen often enough'}")
    return f"Words with the highest mean relevance (Bi-LSTM): {'; '.join(lists)}."


def say_voters(found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Say how many stored sentences vote, and whether they share the words that carry the kind."""
    voters = mean(one["voters"] for one in found)
    counted = f"Half of the answers of the votes come from at most {voters:.0f} stored sentences."
    if "shared" not in found[0]:
        return (counted,)
    shared, even = (mean(one["shared"][place] for one in found) for place in (0, 1))
    return (
        counted,
        f"{percent(shared)} of their weight is on stored questions that share a carrying word with "
        f"the asked one; if all stored questions of the right kind weighed alike, it would be "
        f"{percent(even)}.",
    )
