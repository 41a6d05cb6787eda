"""Everything that a report shows of images, gathered from a model."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from whence.attribution.attribute import attribute
from whence.attribution.score_kinds import ScoreKind
from whence.attribution.target import TargetLike
from whence.bounds import BATCH_SIZE
from whence.evidence.explain import explain
from whence.evidence.removal import find_removals
from whence.memory.bank import Bank
from whence.models.about import MODEL
from whence.models.classifier import Classifier
from whence.records.answers import Evidence, Explanation, Removal
from whence.records.explained import Answer, Origin, Stored
from whence.records.picture import to_uint8
from whence.records.relevance import Relevance

NO_PIXELS = (
    "The memory was saved without its images (no pixels), so stored images are named but not "
    "shown, and there is no attribution."
)


def explain_images(
    model: Classifier,
    images: Tensor,
    names: Sequence[str],
    truths: Sequence[int | None],
    *,
    draws: int = 20,
    memory_size: int | None = None,
    seed: int = 0,
    method: str | None = "integrated_gradients",
    options: Mapping[str, Any] | None = None,
    target: TargetLike = None,
    score: ScoreKind | None = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[Answer, ...]:
    """Explain images and collect all that a report shows of them.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        names: what each image is called.
        truths: true classes, None where they are not known.
        draws: random memories to answer again with; 0 for none.
        memory_size: images in each of them; None is 100, or the whole bank where it holds fewer.
        seed: of these draws.
        method: of attribution, a name from ``whence.attribution.METHODS``; None for no relevance.
            It is left out, too, where the bank has no pixels.
        options: of the method; None for its defaults.
        target: what the method explains, as for ``whence.attribute``.
        score: what that is of, likewise.
        batch_size: images computed at once; changes memory use, not the result.

    Returns:
        One answer per image.

    Raises:
        ValueError: if the lengths differ, there is no image, or a number or name does not fit.
        RuntimeError: if the model has no bank that fits it.
    """
    if not len(images) == len(names) == len(truths):
        raise ValueError(
            f"names and truths must have one entry per image ({len(images)}), "
            f"got {len(names)} and {len(truths)}."
        )
    explanations = explain(
        model, images, draws=draws, memory_size=memory_size, seed=seed, batch_size=batch_size
    )
    removals: Sequence[Removal | None] = [None] * len(images)
    if model.has_memory:
        removals = find_removals(model, images, batch_size=batch_size)
    relevance: Sequence[Relevance | None] = [None] * len(images)
    if method is not None and not lacks_pixels(model):
        used = options or {}
        whole = attribute(model, images, method, target, score=score, batch_size=batch_size, **used)
        relevance = [whole.take(row) for row in range(len(images))]
    places = {} if model.bank is None else find_places(model.bank)
    return tuple(
        Answer(
            name=name,
            image=to_uint8(image),
            truth=truth,
            explanation=explanation,
            stored=collect_stored(model.bank, places, explanation, removal),
            relevance=of_pixels,
            removal=removal,
        )
        for name, image, truth, explanation, removal, of_pixels in zip(
            names, images, truths, explanations, removals, relevance, strict=True
        )
    )


def lacks_pixels(model: Classifier) -> bool:
    """Say whether a model's memory was kept without its images."""
    return model.bank is not None and model.bank.images is None


def find_places(bank: Bank) -> dict[int, int]:
    """Map dataset indices to places in the bank."""
    return {index: place for place, index in enumerate(bank.indices.tolist())}


def collect_stored(
    bank: Bank | None, places: dict[int, int], explanation: Explanation, removal: Removal | None
) -> dict[int, Stored]:
    """Take from the bank every image that an explanation or a removal names."""
    if bank is None:
        return {}
    near: tuple[Evidence, ...] = () if explanation.near_miss is None else (explanation.near_miss,)
    named = [item.index for item in (*explanation.evidence, *explanation.nearest, *near)]
    if removal is not None:
        named += [*removal.removed, *(removal.smallest or ())]
    return {index: take_stored(bank, places[index]) for index in named}


def take_stored(bank: Bank, place: int) -> Stored:
    """Take one image from the bank."""
    label = int(bank.labels[place])
    return Stored(
        label=None if label < 0 else label,
        predicted=int(bank.predicted[place]),
        source=None if bank.sources is None else bank.sources[place],
        image=None if bank.images is None else to_uint8(bank.images[place]),
    )


def describe_origin(
    folder: Path, about: dict[str, Any], model: Classifier, settings: Sequence[tuple[str, str]] = ()
) -> Origin:
    """Collect what answers were computed from.

    Args:
        folder: the run folder.
        about: the content of its ``whence.json``.
        model: the model that was loaded from it.
        settings: names and values of what the explanation itself was made with.
    """
    run = about["run"]
    facts = [("run", folder.resolve().name)]
    for name, key in (
        ("data", "dataset"),
        ("training images", "train_images"),
        ("seed", "seed"),
        ("hash of the training data", "train_fingerprint"),
    ):
        value = run.get(key)
        if isinstance(value, str | int):
            facts.append((name, f"{value:,}" if name == "training images" else str(value)))
    facts += [("model", f"{about['variant']}, encoder {model.kind.title}")]
    facts += [("hash of the model", about["sha256"][MODEL])]
    if model.bank is not None:
        facts += [("memory", f"{len(model.bank):,} stored images")]
        facts += [("hash of the memory", hash_memory(model.bank))]
    facts += settings
    used = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    facts += [("trained with", used), ("explained with", f"whence {version('whence')}")]
    notes = (NO_PIXELS,) if lacks_pixels(model) else ()
    return Origin(folder.resolve().name, model.has_memory, tuple(facts), notes)


def hash_memory(bank: Bank) -> str:
    """Hash with SHA-256 which images a memory holds, in their order."""
    return hashlib.sha256("\n".join(bank.hashes).encode()).hexdigest()
