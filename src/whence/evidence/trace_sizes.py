"""Measure memories of several sizes and selections."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.evidence.answers import Memory, answer
from whence.evidence.choose_stored import Selection
from whence.evidence.design_memory import encode_known, order_memory
from whence.evidence.edit import with_bank
from whence.evidence.evaluate import describe_evidence
from whence.kinds import check_arguments
from whence.metrics.classes import measure_classes
from whence.models.as_image_set import LabelledImages
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.class_measures import mean_recall
from whence.records.memory_sizes import MemorySize
from whence.shapes import check_batch_size
from whence.training.labelled import Labelled


def measure_memory(
    model: Classifier, asked: Labelled, *, selection: str, batch_size: int = BATCH_SIZE
) -> MemorySize:
    """Measure the answers of a model to images that were encoded before.

    Args:
        model: in eval mode, with the memory to be measured.
        asked: features `(N, E)` and true classes of the images.
        selection: how the memory was chosen.
        batch_size: answers computed at once.
    """
    with evaluating(model):
        memory = Memory.of(model)
        found = answer(model, asked.features, asked.labels, memory, batch_size=batch_size)
    hits = found.predicted == asked.labels
    evidence = describe_evidence(found, asked.labels, memory)
    classes = measure_classes(found.predicted, asked.labels, model.class_names)
    return MemorySize(
        selection,
        len(memory.features),
        float(hits.double().mean()),
        mean_recall(classes),
        evidence.explanation_accuracy,
        cast("float", evidence.purity),
    )


def check_memories(
    model: Classifier,
    sizes: Sequence[int],
    *,
    pin: Selection | None = None,
    ban: Selection | None = None,
    groups: Sequence[object] | Tensor | None = None,
    name: str = "sizes",
) -> None:
    """Refuse sizes, pins, bans and groups that do not fit, before anything is encoded.

    Arguments and errors as for ``design_memory``; ``name`` is what messages call the sizes.
    """
    if not len(sizes):
        raise ValueError(f"{name} must hold at least one size, got an empty list.")
    for size in {min(sizes), max(sizes)}:  # a draw of as many of each class costs nothing
        order_memory(model, size, by="balanced", pin=pin, ban=ban, groups=groups, name=name)


@check_arguments
def trace_sizes(
    model: Classifier,
    images: LabelledImages | Labelled,
    sizes: Sequence[int],
    *,
    by: Sequence[str],
    validation: LabelledImages | Labelled | None = None,
    pin: Selection | None = None,
    ban: Selection | None = None,
    groups: Sequence[object] | Tensor | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> tuple[MemorySize, ...]:
    """Measure memories of several sizes and selections, and the whole one, on labelled images.

    Args:
        model: in eval mode, with a bank.
        images: that are measured; no selection sees them. A ``Labelled`` holds their features,
            as the head compares them.
        sizes: of the memories.
        by: names from ``SELECTIONS``.
        validation: for the selections that ask, as for ``design_memory``.
        pin: as for ``design_memory``.
        ban: as for ``design_memory``.
        groups: as for ``design_memory``.
        seed: of what is drawn.
        batch_size: images encoded at once; changes memory use, not the result.

    Returns:
        The whole memory first, then each selection with its sizes, rising.

    Raises:
        ValueError: as in ``design_memory``, before anything is encoded.
    """
    check_batch_size(batch_size)
    for size in sizes:
        check_number("sizes", size)
    check_memories(model, sizes, pin=pin, ban=ban, groups=groups)
    bank = model.fitting_bank()
    asked = encode_known(model, images, batch_size)
    known = (
        None
        if validation is None
        else encode_known(model, validation, batch_size, name="validation")
    )
    rising = sorted(set(sizes))
    found = [measure_memory(model, asked, selection="all", batch_size=batch_size)]
    for name in by:
        order = order_memory(
            model, rising[-1], by=name, validation=known, pin=pin, ban=ban, groups=groups, seed=seed
        )
        for size in rising:
            smaller = with_bank(model, bank.take(order[:size].sort().values), bank)
            found.append(measure_memory(smaller, asked, selection=name, batch_size=batch_size))
    return tuple(found)
