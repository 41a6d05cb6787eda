"""A smaller memory: which stored images stay, and what is lost."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.data.group_draw import list_groups
from whence.evidence.answers import Memory, read_memory, rows_at_once
from whence.evidence.choose_stored import Selection, choose, others
from whence.evidence.edit import with_bank
from whence.kinds import check_arguments
from whence.memory.attention import at_least_float32
from whence.memory.bank import Bank
from whence.memory.cosine import to_unit_length
from whence.memory.heads import MemoryHead
from whence.memory.similarity import find_similarity
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.sound import check_given_features
from whence.models.using import encode_all
from whence.records.labels import list_names
from whence.seeds import make_generator
from whence.selections import SELECTIONS
from whence.selections.selection import SelectionMethod, StoredCandidates
from whence.shapes import check_batch_size
from whence.training.labelled import Labelled


@check_arguments
def design_memory(
    model: Classifier,
    memory_size: int,
    *,
    by: str = "herding",
    validation: LabelledImages | Labelled | None = None,
    pin: Selection | None = None,
    ban: Selection | None = None,
    groups: Sequence[object] | Tensor | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Classifier:
    """Make a model that keeps ``memory_size`` of its stored images; nothing is trained again.

    The selection of the memory's samples is what La Rosa et al. (2021), section 5, leave open.

    Args:
        model: in eval mode, with a bank whose labels are known.
        memory_size: stored images that stay.
        by: a name from ``SELECTIONS``.
        validation: labelled images that the memory is to serve, for the selections that ask:
            "support", "shapley" and "validation". Never those that are measured afterwards.
            A ``Labelled`` holds features of them, as the head compares them.
        pin: stored images that stay in any case, chosen as in :func:`whence.edit`.
        ban: stored images that go in any case.
        groups: `(M,)` what group each stored image is of, by number or name: as many stay of each
            group of each class as of any other. For "balanced" and "herding".
        seed: of what is drawn.
        batch_size: images encoded at once; changes memory use, not the result.

    Returns:
        A model with the smaller memory, made as :func:`whence.edit` makes one; the order of the
        stored images is kept.

    Raises:
        ValueError: if the selection is unknown or asks for validation images, the size does not
            fit, an image is pinned and banned, or a stored image has no label.
        RuntimeError: if the model has no bank that fits it.
    """
    check_batch_size(batch_size)
    bank = model.fitting_bank()
    asked = None
    if validation is not None and cast("SelectionMethod", SELECTIONS.find(by)).asks:
        asked = encode_known(model, validation, batch_size, name="validation")
    order = order_memory(
        model, memory_size, by=by, validation=asked, pin=pin, ban=ban, groups=groups, seed=seed
    )
    pool = model.pool if model.pool is not None else bank
    return with_bank(model, bank.take(order.sort().values), pool)


def encode_known(
    model: Classifier, images: LabelledImages | Labelled, batch_size: int, *, name: str = "images"
) -> Labelled:
    """Encode labelled images once, for a selection or for measurements, unless they are encoded.

    Raises:
        ValueError: if there are none, or features do not fit; messages call them by ``name``.
    """
    if isinstance(images, Labelled):
        total, width = len(images.labels), model.head.width
        check_given_features(name, images.features, total=total, width=width)
        return images
    known = as_image_set(images, model, name=name)
    if len(known) == 0:
        raise ValueError(f"{name} must hold at least one image, got none.")
    features = encode_all(model, known.images, batch_size=batch_size)
    return Labelled(features, known.labels.to(features.device))


def order_memory(
    model: Classifier,
    memory_size: int,
    *,
    by: str,
    validation: Labelled | None = None,
    pin: Selection | None = None,
    ban: Selection | None = None,
    groups: Sequence[object] | Tensor | None = None,
    seed: int = 0,
    name: str = "memory_size",
) -> Tensor:
    """List the places `(size,)` of the stored images to keep, the one to keep first at the front.

    Its first m, from the number of classes and pinned images on, are a memory of m images.

    Args and errors as for ``design_memory``; ``validation`` is encoded, and messages call the size
    by ``name``.
    """
    selection = cast("SelectionMethod", SELECTIONS.find(by))
    bank, names = model.fitting_bank(), model.class_names
    check_number("memory_size", memory_size, shown=name)
    if selection.asks and (validation is None or len(validation.labels) == 0):
        raise ValueError(f"Selection {by} needs validation images, got none.")
    if bool((bank.labels < 0).any()):
        raise ValueError("A selection needs the label of every stored image; some have none.")
    pinned = bank.labels.new_empty(0) if pin is None else choose(bank, pin, names, "pin")
    banned = bank.labels.new_empty(0) if ban is None else choose(bank, ban, names, "ban")
    both = pinned[torch.isin(pinned, banned)]
    if len(both):
        image = bank.stored(both[:1])[0]
        raise ValueError(
            f"pin and ban must choose different images, both choose {image.source or image.index}."
        )
    allowed = others(bank, banned)
    check_memory_size(memory_size, bank, allowed, pinned, names, name)
    parts = bank.labels if groups is None else divide_classes(bank, groups, by, selection)
    least = len(parts[allowed].unique())
    if groups is not None and memory_size < least:
        raise ValueError(
            f"{name} must be at least {least}, one image of every group of every class, "
            f"got {memory_size}."
        )
    with torch.no_grad():
        candidates = lay_out_candidates(
            model, bank, parts, allowed, pinned, selection, validation, seed
        )
        order = selection.order(candidates, memory_size)
    first = candidates.pinned
    order = torch.cat([first, order[~torch.isin(order, first)]])[:memory_size]
    return allowed[order]


def check_memory_size(
    memory_size: int,
    bank: Bank,
    allowed: Tensor,
    pinned: Tensor,
    names: Sequence[str],
    name: str,
) -> None:
    """Refuse a size that the images do not fit, or that leaves a class without one.

    Raises:
        ValueError: saying which.
    """
    classes = bank.labels.unique()
    lost = classes[~torch.isin(classes, bank.labels[allowed])].tolist()
    if lost:
        raise ValueError(
            f"ban must leave a stored image of every class, none of "
            f"{list_names([names[one] for one in lost])} is left."
        )
    missing = int((~torch.isin(classes, bank.labels[pinned])).sum())
    least = len(pinned) + missing
    if memory_size < least:
        what = f"{len(classes)} classes"
        if len(pinned):
            what += f" and {len(pinned)} pinned images"
        raise ValueError(
            f"{name} must be at least {least}, so that {what} have a stored image, "
            f"got {memory_size}."
        )
    if memory_size > len(allowed):
        raise ValueError(
            f"{name} must be at most {len(allowed)}, what there is, got {memory_size}."
        )


def divide_classes(
    bank: Bank, groups: Sequence[object] | Tensor, by: str, selection: SelectionMethod
) -> Tensor:
    """Number each group of each class, `(M,)`.

    Raises:
        ValueError: if the selection does not tell groups apart, or they do not fit the memory.
    """
    if not selection.divides:
        able = [name for name in SELECTIONS if cast("SelectionMethod", SELECTIONS[name]).divides]
        raise ValueError(f"Selection {by} keeps no groups apart; choose from: {', '.join(able)}.")
    pairs = list(zip(bank.labels.tolist(), list_groups(groups, len(bank)), strict=True))
    numbers = {pair: number for number, pair in enumerate(sorted(set(pairs)))}
    return torch.tensor([numbers[pair] for pair in pairs], device=bank.labels.device)


def lay_out_candidates(
    model: Classifier,
    bank: Bank,
    parts: Tensor,
    allowed: Tensor,
    pinned: Tensor,
    selection: SelectionMethod,
    validation: Labelled | None,
    seed: int,
) -> StoredCandidates:
    """Lay the allowed stored images and the queries out as a selection takes them."""
    head, queries = model.memory_head, bank.features[:0]
    truth, usage = bank.labels[:0], bank.features.new_empty(0)
    if selection.asks and validation is not None:
        queries, truth = validation
        usage = measure_usage(head, queries, Memory.of(model))[allowed]
    points, asked = (to_points(head, one) for one in (bank.features, queries))
    length = points.square().sum(1).mean().sqrt().clamp_min(torch.finfo(points.dtype).tiny)
    return StoredCandidates(
        points[allowed] / length,
        bank.labels[allowed],
        parts[allowed],
        asked / length,
        truth,
        usage,
        torch.isin(allowed, pinned).nonzero().squeeze(1),
        make_generator(seed),
    )


def to_points(head: MemoryHead, features: Tensor) -> Tensor:
    """Lay features `(n, E)` out such that the more alike two are, the nearer they are."""
    points, similarity = at_least_float32(features), find_similarity(head.similarity)
    return points if similarity.scale is None else to_unit_length(points)


def measure_usage(head: MemoryHead, queries: Tensor, memory: Memory) -> Tensor:
    """Compute the mean weight that queries `(V, E)` give each stored image, `(M,)` float64."""
    total = len(memory.features)
    usage = queries.new_zeros(total, dtype=torch.float64)
    for part in queries.split(rows_at_once(BATCH_SIZE, total)):
        read, places, _ = read_memory(head, part, memory)
        usage.scatter_add_(0, places.flatten(), read.weights.double().flatten())
    return usage / len(queries)
