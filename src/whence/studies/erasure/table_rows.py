"""The table of the study: a row for each thing that is left out, and what the columns are."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from whence.report.numbers import percent
from whence.studies.erasure.dimensions import LAYERS, judge_dropout, judge_replacement
from whence.studies.erasure.figures import CASE_TITLES, TITLES_OF_NETWORKS
from whence.studies.erasure.words import compare_sets
from whence.studies.parts.findings import Entry


def judge_words(found: Mapping[str, Any]) -> bool:
    """Say whether both LSTMs give telling words more importance than the plain RNN does."""
    plain = found["rnn"]["telling"][0]
    return bool(found["lstm"]["telling"][0] > plain and found["bi-lstm"]["telling"][0] > plain)


def list_features(found: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """List the dimensions of every kind of features, and the units of the layers above."""
    return [
        row
        for name in found[0]["features"]
        for row in list_dimensions(name, [one["features"][name] for one in found])
    ]


def list_dimensions(name: str, own: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """List the four ways to train on one kind of features, and the layers of the first."""
    rows: list[tuple[Entry, ...]] = [
        (
            f"one of the {name}",
            title,
            mean(mean(one[case]["accuracy"].values()) for one in own),
            mean(one[case]["top_share"] for one in own),
            mean(one[case]["ginis"][0] for one in own),
            *[None] * 3,
        )
        for case, title in CASE_TITLES.items()
    ]
    for place, layer in list(enumerate(LAYERS))[1:]:
        top = mean(max(one["layers"][place]) for one in own)
        gini = mean(one["plain"]["ginis"][place] for one in own)
        rows.append((f"a unit above the {name}", layer, None, top, gini, *[None] * 3))
    return rows


def list_word_rows(found: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """List the importance of telling and of other words for each network."""
    rows: list[tuple[Entry, ...]] = []
    for kind, title in TITLES_OF_NETWORKS.items():
        own = [one["words"][kind] for one in found]
        accuracy = mean(one["accuracy"] for one in own)
        for name, words in (("telling", "a telling word"), ("others", "another word")):
            rows.append((words, title, accuracy, mean(one[name][0] for one in own), *[None] * 4))
    return rows


def list_sets(found: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """List the searches for the smallest sets of words and of stored images."""
    rows: list[tuple[Entry, ...]] = []
    compared = [compare_sets(one["words"]["sets"]) for one in found]
    largest = found[0]["words"]["sets"]["largest"]
    titles = {
        "exact": f"every set of up to {largest}",
        "greedy": "one after another",
        "policy": "drawn by the policy",
        "random": "drawn at random",
    }
    for way, title in titles.items():
        own = [one[way] for one in compared]
        known = [size for _, size, _ in own if size is not None]
        rows.append(
            (
                *("words", title, None, None, None),
                mean(changed for changed, _, _ in own),
                mean(known) if known else None,
                mean(best for *_, best in own),
            )
        )
    if "evidence" not in found[0]:
        return rows
    voted = [one["evidence"] for one in found]
    accuracy = mean(one["accuracy"] for one in voted)
    for name, title in (
        ("sizes", f"every set of up to {voted[0]['largest']}"),
        ("greedy", "one after another"),
    ):
        best = mean(compare_sizes(one["sizes"], one[name]) for one in voted)
        sizes = [size for one in voted for size in one[name] if size]
        changed = mean(size > 0 for one in voted for size in one[name])
        mean_size = mean(sizes) if sizes else None
        rows.append(("stored images", title, accuracy, None, None, changed, mean_size, best))
    return rows


def compare_sizes(exact: Sequence[int], others: Sequence[int]) -> float:
    """Return the share of other sets that are as small as the smallest; 0 where there is none.

    >>> compare_sizes([1, 2, 0], [1, 3, 5])
    0.5
    """
    pairs = [(least, size) for least, size in zip(exact, others, strict=True) if least]
    return mean(least == size for least, size in pairs) if pairs else 0.0


def say_other_features(
    found: Sequence[Mapping[str, Any]], others: Sequence[str]
) -> tuple[str, ...]:
    """Say whether the two claims on dimensions hold of the features that are not judged."""
    sentences = []
    for name in others:
        own = [one["features"][name] for one in found]
        spread, replaced = (
            sum(judge(one) for one in own) for judge in (judge_dropout, judge_replacement)
        )
        sentences.append(
            f"With {name}, beside which the claim is not judged, dropout spreads importance in "
            f"{spread} of {len(own)} seeds, and a removed one is replaced at the same accuracy in "
            f"{replaced}."
        )
    return tuple(sentences)


def explain_table(found: Sequence[Mapping[str, Any]], judged: str) -> tuple[str, ...]:
    """Say what the columns are, and what no row says."""
    nats = ", ".join(
        f"{mean(one['words'][kind]['telling'][1] for one in found):.2f} ({title})"
        for kind, title in TITLES_OF_NETWORKS.items()
    )
    own = [one["features"][judged] for one in found]
    after = [one["one removed"] for one in own]
    share, before = (mean(one[name] for one in after) for name in ("top_share", "before"))
    sentences = [
        "Importance of a dimension or unit is the largest share of all that one has, mean over "
        "tasks; of a word by which share of itself the loss grows without it, which is large where "
        "the loss was small.",
        "Gini is 0 where importance is spread evenly and near 1 where one has all of it.",
        f"In nats, not as a share, the loss grows without a telling word by {nats}.",
        f"The dimension that is largest once the first is removed has {percent(share)} of the "
        f"importance, before {percent(before)}.",
    ]
    first, last = (
        mean(one["words"]["sets"]["rewards"][place] for one in found) for place in (0, -1)
    )
    sentences.append(
        f"The reward of a single draw of the policy grows in training from {first:.2f} to "
        f"{last:.2f}. Its row is of the smallest set among many draws, as is that of draws at "
        "random with the same number of words on average."
    )
    if "frequency" in own[0]:
        one, two = (mean(each["frequency"][place] for each in own) for place in (0, 1))
        sentences.append(
            "The size of the largest dimension goes with how frequent a word is with a squared "
            f"correlation of {one:.2f}, that of the second of {two:.2f} (paper: .55 and .27)."
        )
    return tuple(sentences)
