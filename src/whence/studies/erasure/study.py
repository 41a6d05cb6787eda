"""The study: dimensions, words and stored images are left out, and answers looked at again."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from whence.seeds import make_numpy_generator
from whence.studies.erasure.dimensions import (
    erase_dimensions,
    judge_dropout,
    judge_replacement,
)
from whence.studies.erasure.evidence import erase_evidence
from whence.studies.erasure.figures import TITLES_OF_NETWORKS, draw_erasure
from whence.studies.erasure.own_run import erase_in_run
from whence.studies.erasure.page import show_erased_words, show_evidence_sets
from whence.studies.erasure.policy import PolicyRecipe
from whence.studies.erasure.table_rows import (
    explain_table,
    judge_words,
    list_features,
    list_sets,
    list_word_rows,
    say_other_features,
)
from whence.studies.erasure.tasks import FeatureTasks, describe_images, describe_words
from whence.studies.erasure.words import WordSizes, erase_words, read_both
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.sentences.film_templates import write_reviews
from whence.studies.parts.sentences.fingerprint_sentences import fingerprint_sentences
from whence.studies.parts.sentences.table_of_sentences import divide_sentences, read_sentences
from whence.studies.parts.sentences.templates import Sentences
from whence.studies.parts.subject import identify_data, is_run, load_subject

ERASURE_SEEDS = 3


class ErasureSizes(NamedTuple):
    """How large the study is."""

    images: int = 1000
    steps: int = 100
    sentences: tuple[int, int] = (1200, 200)
    words: WordSizes = WordSizes(
        epochs=8, searched=20, longest=16, largest=3, draws=64, policy=PolicyRecipe()
    )
    stored: int = 50
    asked: int = 100
    largest: int = 5
    most_sets: int = 20_000
    vote_epochs: int = 80


SIZES_OF_ERASURE = ErasureSizes()
FULL_ERASURE = ErasureSizes(
    images=10_000,
    steps=600,
    sentences=(8500, 2200),
    words=WordSizes(epochs=12, searched=200, longest=25, largest=4, draws=256),
    asked=500,
    largest=6,
    most_sets=200_000,
)
"""About as many sentences as the treebank of film reviews that the paper took has."""


class ErasedThings(NamedTuple):
    """What is left out: features with their tasks, sentences, and images that vote."""

    features: Callable[[int], Mapping[str, FeatureTasks]]  # of a seed, by name
    sentences: tuple[Sentences, Sentences]
    evidence: Callable[[int], dict[str, Any]] | None
    about: dict[str, Any]
    images: Any


def erasure(request: StudyRequest) -> Findings:
    """Leave out dimensions, words and stored images; of a run, a table of sentences, or images."""
    if is_run(request.subject):
        return erase_in_run(request)
    sizes = FULL_ERASURE if request.full else SIZES_OF_ERASURE
    return study_erasure(request, sizes)


def study_erasure(request: StudyRequest, sizes: ErasureSizes) -> Findings:
    """Do the study, with the sentences of a table where one is named, else with images."""
    things = gather_things(request, sizes)
    seeds = request.list_seeds(ERASURE_SEEDS)
    made_with = {"seeds": name_seeds(seeds), **things.about, "device": request.device}
    kept = KeptParts(request.out, "erasure", {**made_with, "sizes": sizes})
    words = read_both(*things.sentences)
    found = []
    for seed in seeds:
        features = things.features(seed)
        parts = {
            **{
                name.replace(" ", "-"): partial(
                    erase_dimensions, one, sizes.steps, seed, request.device
                )
                for name, one in features.items()
            },
            "words": partial(erase_words, words, sizes.words, seed, request.device),
        }
        if things.evidence is not None:
            parts["evidence"] = partial(things.evidence, seed)
        done = {name: kept.do(f"{name}-{seed}", one) for name, one in parts.items()}
        of_features = {name: done.pop(name.replace(" ", "-")) for name in features}
        found.append({**done, "features": of_features})
    return report_erasure(found, things, made_with)


def gather_things(request: StudyRequest, sizes: ErasureSizes) -> ErasedThings:
    """Load what is asked about: a table of sentences, or images beside sentences from templates."""
    if request.subject is not None and is_text(request.subject):
        known, asked = divide_sentences(read_sentences(request.subject), seed=0)
        vectors = {"word vectors": describe_words(known)}
        both = known.take_first(sizes.sentences[0]), asked.take_first(sizes.sentences[1])
        about = {
            "data_fingerprint": fingerprint_sentences((known, asked)),
            "sentences": len(both[0].words),
        }
        return ErasedThings(lambda _: vectors, both, None, about, None)
    images = load_subject(request)
    both = write_reviews(sizes.sentences, make_numpy_generator(0))
    about = {
        **identify_data(images),
        "images_with_features": min(sizes.images, len(images.train)),
        "sentences": len(both[0].words),
    }

    def evidence(seed: int) -> dict[str, Any]:
        return erase_evidence(
            images,
            stored=sizes.stored,
            asked=sizes.asked,
            largest=sizes.largest,
            most_sets=sizes.most_sets,
            epochs=sizes.vote_epochs,
            seed=seed,
            device=request.device,
        )

    def features(seed: int) -> Mapping[str, FeatureTasks]:
        return describe_images(images.train, sizes.images, seed=seed)

    return ErasedThings(features, both, evidence, about, images)


def is_text(subject: str) -> bool:
    """Say whether a subject is a table of sentences, by its ending."""
    return Path(subject).suffix.lower() in (".tsv", ".txt")


def report_erasure(
    found: Sequence[Mapping[str, Any]], things: ErasedThings, made_with: Mapping[str, Any]
) -> Findings:
    """Lay out what all seeds found, and judge the three claims."""
    judged, *others = found[0]["features"]
    own = [one["features"][judged] for one in found]
    claims = {
        f"dropout spreads importance over {judged}": [judge_dropout(one) for one in own],
        "a removed one is replaced at the same accuracy": [judge_replacement(one) for one in own],
        "LSTMs give telling words more importance than the plain RNN": [
            judge_words(one["words"]) for one in found
        ],
    }
    held = "; ".join(f"{name} in {sum(some)} of {len(some)} seeds" for name, some in claims.items())
    first = found[0]
    sections = show_erased_words(first["words"], TITLES_OF_NETWORKS)
    if "evidence" in first:
        sections += show_evidence_sets(first["evidence"], things.images)
    return Findings(
        columns=(
            *("left out", "case", "accuracy", "importance", "Gini"),
            *("answers changed", "mean size of a set", "as small as can be"),
        ),
        rows=(*list_features(found), *list_word_rows(found), *list_sets(found)),
        holds=all(all(some) for some in claims.values()),
        verdict=f"{held[0].upper()}{held[1:]}.",
        made_with=made_with,
        sentences=(*explain_table(found, judged), *say_other_features(found, others)),
        figures=draw_erasure(first, judged),
        sections=sections,
    )
