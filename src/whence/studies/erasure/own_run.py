"""What the answers of a user's run hang on: dimensions of its encoder, and stored images."""

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from whence.evidence.reread import cache
from whence.messages import count
from whence.models.about import MODEL
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.models.using import encode_frozen
from whence.records.explained import Stored
from whence.records.images import ImageSet
from whence.records.picture import to_uint8
from whence.report.blocks import PageBlock, PageSection, Strip
from whence.report.cards import make_stored_card
from whence.report.numbers import percent
from whence.runs.finished import read_run
from whence.runs.sample_of_run import choose_sample
from whence.seeds import make_generator
from whence.studies.erasure.smallest_sets import find_smallest_evidence
from whence.studies.erasure.words import count_set_sizes
from whence.studies.parts.findings import Entry, Findings
from whence.studies.parts.gini import measure_gini
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.sentences.erase import grow_losses, losses_of
from whence.studies.parts.subject import find_run

ASKED_IMAGES, LARGEST_SET_OF_RUN, MOST_SETS = 200, 3, 20_000
"""Test images that are asked about, at most; the size at which the search for stored images ends,
and how many sets of one size are tried for one image."""

TOP_DIMENSIONS, TOP_STORED = 10, 12


def erase_in_run(request: StudyRequest) -> Findings:
    """Look at a finished run: leave out dimensions of its encoder, and stored images.

    Raises:
        ValueError: if the subject is no run, or is damaged, or seeds are given.
    """
    folder = find_run(request)
    if request.seeds is not None:
        raise ValueError("A run is as it is, whatever the seed; leave out --seeds.")
    about = read_run(folder)
    model = load_to_answer(folder, request.device)
    loaded = choose_sample(folder, about, None, where=request.where)
    images = choose_asked(loaded.sample.images, len(loaded.sample.images) if request.full else None)
    made_with = {
        "run": str(folder),
        "model_sha256": about["sha256"][MODEL],
        "data_fingerprint": loaded.fingerprint,
        "images_asked": len(images),
    }
    kept = KeptParts(request.out, "erasure", made_with)
    dimensions = kept.do("dimensions", partial(erase_encoder, model, images))
    evidence = kept.do("evidence", partial(erase_stored, model, images))
    return report_erased_run(dimensions, evidence, model, made_with)


def choose_asked(images: ImageSet, most: int | None) -> ImageSet:
    """Draw the images that are asked about; ``most`` of None is ``ASKED_IMAGES``."""
    order = torch.randperm(len(images), generator=make_generator(0))
    return images.take(order[: ASKED_IMAGES if most is None else most])


@torch.no_grad()
def erase_encoder(model: Classifier, images: ImageSet) -> dict[str, Any]:
    """Set each dimension of the encoder to 0, in the images and in the stored ones.

    Returns:
        "shares" of the importance of each dimension (mean growth of the loss of the true class,
        those that grow), "changed" answers for each, "gini", or a "reason" why that cannot be.
    """
    stored = None
    if model.has_memory:
        bank = model.checked_bank()
        if bank.images is not None:
            stored = encode_frozen(model, bank.images)
        elif model.head.width == model.features and not model.memory_head.reads_labels:
            stored = bank.features  # such heads compare the encoder's output itself
        else:
            return {"reason": "the memory was saved without pixels, so it cannot be encoded again"}
    features = encode_frozen(model, images.images)
    labels = images.labels.to(features.device)
    whole = answer_features(model, features, stored)
    losses, answers = losses_of(whole.double().log_softmax(1), labels), model.head.decide(whole)
    grown, changed = [], []
    for dimension in range(features.shape[1]):
        logits = answer_features(
            model,
            zero_column(features, dimension),
            None if stored is None else zero_column(stored, dimension),
        )
        without = losses_of(logits.double().log_softmax(1), labels)
        grown.append(float(grow_losses(losses, without).mean()))
        changed.append(float((model.head.decide(logits) != answers).double().mean()))
    importance = torch.tensor(grown, dtype=torch.float64)
    return {
        "importance": grown,
        "changed": changed,
        "gini": measure_gini(importance),
        "half": count_half(importance),
    }


def answer_features(model: Classifier, features: Tensor, stored: Tensor | None) -> Tensor:
    """Compute logits `(B, K)` from the encoder's output for images and for stored ones."""
    queries = model.head.embed(features)
    if stored is None:
        logits: Tensor = model.head(queries)
        return logits
    head = model.memory_head
    return head.logits(queries, head.embed(stored), labels=model.checked_bank().labels)


def zero_column(features: Tensor, column: int) -> Tensor:
    """Return features `(N, D)` with one of them set to 0."""
    found = features.clone()
    found[:, column] = 0
    return found


def count_half(amounts: Tensor) -> int:
    """Count the largest amounts `(n,)` that together are half of all; those below 0 count as 0.

    >>> count_half(torch.tensor([1.0, 6.0, 2.0, 3.0])), count_half(torch.zeros(3))
    (1, 0)
    """
    ordered = amounts.clamp_min(0).sort(descending=True).values
    total = float(ordered.sum())
    return int((ordered.cumsum(0) < total / 2).sum()) + 1 if total > 0 else 0


@torch.no_grad()
def erase_stored(model: Classifier, images: ImageSet) -> dict[str, Any]:
    """Find the smallest sets of stored images that answers hang on, by exact search.

    Returns:
        "sizes" (0 where none was found), how many searches "ended" before the largest size, and
        how often places of the memory are in a set, "places"; a "reason" where there is no memory.
    """
    if not model.has_memory:
        return {"reason": "a standard model has no stored images"}
    cached = cache(model, images.images, batch_size=128)
    found = find_smallest_evidence(cached, largest=LARGEST_SET_OF_RUN, most_sets=MOST_SETS)
    places = Counter(place for one in found for place in one.places or ())
    return {
        "sizes": [0 if one.places is None else len(one.places) for one in found],
        "ended": sum(one.places is None and one.searched < LARGEST_SET_OF_RUN for one in found),
        "places": [list(one) for one in places.most_common(TOP_STORED)],
    }


def report_erased_run(
    dimensions: dict[str, Any],
    evidence: dict[str, Any],
    model: Classifier,
    made_with: dict[str, Any],
) -> Findings:
    """Lay out what was found, with a verdict in plain words."""
    rows: list[tuple[Entry, ...]] = []
    said, sentences = [], []
    if "reason" in dimensions:
        sentences.append(f"Dimensions were not left out: {dimensions['reason']}.")
    else:
        importance, changed = dimensions["importance"], dimensions["changed"]
        order = sorted(range(len(importance)), key=lambda one: -importance[one])
        rows += [
            (f"dimension {one} of the encoder", changed[one], importance[one])
            for one in order[:TOP_DIMENSIONS]
        ]
        said.append(say_dimensions(dimensions))
    if "reason" in evidence:
        sentences.append(f"Stored images were not left out: {evidence['reason']}.")
    else:
        sizes = evidence["sizes"]
        counts = count_set_sizes(sizes, LARGEST_SET_OF_RUN)
        for size in range(1, LARGEST_SET_OF_RUN + 1):
            share = sum(counts[:size]) / len(sizes)
            rows.append((f"at most {count(size, 'stored image')}", share, None))
        said.append(say_sets_of_run(counts, len(sizes), evidence["ended"]))
    return Findings(
        columns=("left out", "answers changed", "mean growth of the loss"),
        rows=tuple(rows),
        holds=None,
        verdict=" ".join(said),
        made_with=made_with,
        sentences=tuple(sentences),
        sections=show_deciding(evidence, model),
    )


def say_dimensions(dimensions: dict[str, Any]) -> str:
    """Say whether answers hang on single dimensions of the encoder, and how many matter."""
    importance, changed = dimensions["importance"], dimensions["changed"]
    total, half, most = len(importance), dimensions["half"], max(changed)
    if most == 0:
        return (
            f"No answer hangs on a single one of the {total} dimensions of the encoder: without "
            "any one of them all stay as they are."
        )
    spread = "rests on few of them" if half <= total / 10 else "is spread over many of them"
    return (
        f"Without a single one of the {total} dimensions of the encoder at most {percent(most)} of "
        f"the answers change; what matters {spread}: half of the importance is in {half}."
    )


def say_sets_of_run(counts: list[int], total: int, ended: int) -> str:
    """Say how many answers hang on how few stored images."""
    shares = [percent(sum(counts[:size]) / total) for size in range(1, LARGEST_SET_OF_RUN + 1)]
    rest = "" if not ended else f" (for {percent(ended / total)} not every set was tried)"
    return (
        f"{shares[0]} of the answers would be others without one stored image, whichever would "
        f"change most; {shares[1]} without at most two and {shares[2]} without at most three{rest}."
    )


def show_deciding(evidence: dict[str, Any], model: Classifier) -> tuple[PageSection, ...]:
    """Show the stored images that most answers hang on."""
    places = evidence.get("places", [])
    if not places:
        return ()
    bank = model.checked_bank()
    chosen = torch.tensor([place for place, _ in places])
    cards = []
    for (place, often), known in zip(places, bank.stored(chosen), strict=True):
        pixels = None if bank.images is None else to_uint8(bank.images[place])
        shown = Stored(known.label, known.predicted, known.source, pixels)
        card = make_stored_card(known.index, shown, model.class_names)
        cards.append(replace(card, lines=(f"in {count(often, 'smallest set')}",)))
    about = (
        "Stored images that stand most often in the smallest set that an answer hangs on: without "
        "that set the answer would be another one.",
    )
    block = PageBlock(sentences=about, shown=(Strip(tuple(cards), 150),))
    return (PageSection("deciding", "Stored images that decide", (block,)),)
