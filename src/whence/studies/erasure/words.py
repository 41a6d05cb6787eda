"""Importance of words for the answers of three networks, and the smallest sets of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.studies.erasure.policy import (
    ErasurePolicy,
    PolicyRecipe,
    draw_smallest,
    read_states,
    train_policy,
)
from whence.studies.erasure.smallest_sets import (
    SmallestSet,
    find_smallest_words,
    remove_words_greedily,
)
from whence.studies.parts.sentences.erase import erase_each_word, grow_losses, losses_of
from whence.studies.parts.sentences.networks import (
    SENTENCE_READERS,
    SentenceNetwork,
    answer_sentences,
    learn_sentences,
    look_words_up,
    network_answer,
)
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.sentences.vocabulary import Numbered, count_vocabulary, number_words
from whence.studies.parts.sentences.word_weights import fit_word_weights
from whence.training.loop import seeded

TELLING_WORDS = 40
"""Of a table of sentences: so many words with the largest weights where words are counted."""

LEAST_COUNT, LISTED_WORDS = 2, 8

WAYS = ("exact", "greedy", "policy", "random")
"""To look for the smallest set of words."""


class WordSizes(NamedTuple):
    """How large the part on words is."""

    epochs: int
    searched: int  # sentences whose smallest sets are looked for
    longest: int  # words of such a sentence, at most
    largest: int  # size at which the exact search ends
    draws: int
    policy: PolicyRecipe = PolicyRecipe()


class ReadSentences(NamedTuple):
    """Sentences to learn from and to be asked about, as numbers, and the words that tell."""

    known: Numbered
    known_labels: Tensor
    asked: Sentences
    numbers: Numbered
    telling: frozenset[str]
    words: int


def read_both(known: Sentences, asked: Sentences) -> ReadSentences:
    """Number the words, and find those that tell: as templates say, or of the largest weights."""
    vocabulary = count_vocabulary(known.words, least=LEAST_COUNT)
    numbers = number_words(known.words, vocabulary)
    total = len(vocabulary) + 2
    if known.carriers is not None:
        telling = {
            word
            for words, some in zip(known.words, known.carriers, strict=True)
            for word, carries in zip(words, some, strict=True)
            if carries
        }
    else:
        weights = fit_word_weights(numbers, known.labels, total).abs().amax(1)
        strongest = set(weights.argsort(descending=True)[:TELLING_WORDS].tolist())
        telling = {word for word, number in vocabulary.items() if number in strongest}
    return ReadSentences(
        numbers,
        known.labels,
        asked,
        number_words(asked.words, vocabulary),
        frozenset(telling),
        total,
    )


def erase_words(
    sentences: ReadSentences, sizes: WordSizes, seed: int, device: str = "cpu"
) -> dict[str, Any]:
    """Train three networks, on a device, and erase their words; only what JSON can hold."""
    found: dict[str, Any] = {}
    for kind in SENTENCE_READERS:
        with seeded(seed, torch.device(device)) as randomness:
            network = learn_sentences(
                kind,
                sentences.known,
                sentences.known_labels,
                words=sentences.words,
                classes=len(sentences.asked.class_names),
                epochs=sizes.epochs,
                generator=randomness.generator,
                device=device,
            )
            found[kind] = weigh_words(network, sentences)
            if kind == "bi-lstm":
                found["sets"] = search_sets(network, sentences, sizes, randomness.generator)
    return found


def weigh_words(network: SentenceNetwork, sentences: ReadSentences) -> dict[str, Any]:
    """Find the importance of words in the sentences that are asked about, by their true classes.

    Returns:
        "accuracy", the mean importance of "telling" words and of the "others", as shares and in
        "nats", the "top" words and those whose removal helps most, "harmful", and how the words of
        some sentences count, "sentences".
    """
    answer = network_answer(network)
    labels = sentences.asked.labels
    said = answer_sentences(answer, network.embedding, sentences.numbers)
    losses = losses_of(said, labels)  # (N,)
    vectors = look_words_up(network.embedding, sentences.numbers.numbers)
    without = losses_of(
        erase_each_word(answer, vectors, sentences.numbers.lengths), labels
    )  # (N, T)
    shares, nats = grow_losses(losses[:, None], without), without - losses[:, None]
    of_words: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for row, words in enumerate(sentences.asked.words):
        for word, share, nat in zip(words, shares[row].tolist(), nats[row].tolist(), strict=False):
            of_words[word].append((share, nat))
    means = {
        word: (mean(share for share, _ in some), mean(nat for _, nat in some))
        for word, some in of_words.items()
    }
    order = sorted(means, key=lambda word: -means[word][0])
    return {
        "accuracy": float((said.argmax(1) == labels).double().mean()),
        "telling": average_words(means, means.keys() & sentences.telling),
        "others": average_words(means, means.keys() - sentences.telling),
        "top": [(word, means[word][0]) for word in order[:LISTED_WORDS]],
        "harmful": list_harmful(shares, sentences.asked),
        "sentences": [
            {"words": list(words), "nats": nats[row, : len(words)].tolist()}
            for row, words in enumerate(sentences.asked.words[:LISTED_WORDS])
        ],
    }


def average_words(
    means: Mapping[str, tuple[float, float]], chosen: Collection[str]
) -> tuple[float, float]:
    """Average the importance of chosen words, as a share and in nats; 0 where there are none."""
    some = [means[word] for word in chosen]
    if not some:
        return 0.0, 0.0
    return mean(share for share, _ in some), mean(nat for _, nat in some)


def list_harmful(shares: Tensor, asked: Sentences) -> list[dict[str, Any]]:
    """List the words whose removal helps most, each once, with their sentences."""
    order = shares.nan_to_num(torch.inf).flatten().argsort()
    seen: set[str] = set()
    found: list[dict[str, Any]] = []
    for place in order.tolist():
        row, column = divmod(place, shares.shape[1])
        value = float(shares[row, column])
        if len(found) == LISTED_WORDS or not value < 0:
            break
        word = asked.words[row][column]
        if word not in seen:
            seen.add(word)
            label = asked.class_names[int(asked.labels[row])]
            found.append(
                {"word": word, "share": value, "label": label, "words": list(asked.words[row])}
            )
    return found


def search_sets(
    network: SentenceNetwork,
    sentences: ReadSentences,
    sizes: WordSizes,
    generator: torch.Generator,
) -> dict[str, Any]:
    """Look for the smallest sets of words without which answers change, in four ways.

    The policy learns on the sentences that the network learned from, and is asked about others.
    """
    answer = network_answer(network)

    def answer_words(some: Numbered) -> Tensor:
        return answer_sentences(answer, network.embedding, some)

    policy = ErasurePolicy(network.summary_width).to(network.classifier.weight.device)
    rewards = train_policy(
        policy, network, sentences.known, recipe=sizes.policy, generator=generator
    )
    found: dict[str, list[SmallestSet]] = {way: [] for way in WAYS}
    short = choose_short(sentences.numbers.lengths, sizes)
    for row in short.tolist():
        some = sentences.numbers.take_rows(torch.tensor([row]))
        words = some.numbers[0]
        with torch.no_grad():
            chances = policy(read_states(network, some))[0].cpu()
        even = torch.full_like(chances, float(chances.mean()))
        found["exact"].append(find_smallest_words(answer_words, words, largest=sizes.largest))
        found["greedy"].append(remove_words_greedily(answer_words, words, largest=sizes.longest))
        for way, some_chances in (("policy", chances), ("random", even)):
            found[way].append(
                draw_smallest(
                    answer_words, words, some_chances, draws=sizes.draws, generator=generator
                )
            )
    return {
        "rewards": rewards,
        "sentences": [list(sentences.asked.words[row]) for row in short.tolist()],
        "largest": sizes.largest,
        **{way: [list(one.places or ()) for one in some] for way, some in found.items()},
    }


def choose_short(lengths: Tensor, sizes: WordSizes) -> Tensor:
    """Choose the sentences whose sets are looked for: the first short ones, or else the shortest.

    >>> choose_short(torch.tensor([9, 3, 4]), WordSizes(1, 2, 4, 2, 4)).tolist()
    [1, 2]
    >>> choose_short(torch.tensor([9, 7, 8]), WordSizes(1, 2, 4, 2, 4)).tolist()
    [1, 2]
    """
    short = (lengths <= sizes.longest).nonzero().squeeze(1)
    order = short if len(short) else lengths.argsort(stable=True)
    return order[: sizes.searched]


def compare_sets(sets: dict[str, Any]) -> dict[str, tuple[float, float | None, float]]:
    """Compare four ways: share of answers changed, mean size, share that is as small as can be.

    The last is among the answers for which the exact search found a set.
    """
    exact = [len(one) for one in sets["exact"]]
    found = {}
    for way in WAYS:
        counts = [len(one) for one in sets[way]]
        hits = [count for count in counts if count]
        best = [count == least for count, least in zip(counts, exact, strict=True) if least]
        found[way] = (
            mean(count > 0 for count in counts),
            mean(hits) if hits else None,
            mean(best) if best else 0.0,
        )
    return found


def count_set_sizes(sizes: Sequence[int], largest: int) -> list[int]:
    """Count how many sets have each size from 1 on, and how many were not found, last.

    >>> count_set_sizes([1, 0, 2, 1], 2)
    [2, 1, 1]
    """
    return [*(list(sizes).count(size) for size in range(1, largest + 1)), list(sizes).count(0)]
