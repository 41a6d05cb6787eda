"""Editing the memory: another bank from the features that are there, nothing encoded again."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.evidence.choose_stored import One, Selection, choose, others
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.left_out import predict_left_out
from whence.models.using import encode_frozen
from whence.records.labels import check_every_label, list_names, read_class_names, read_labels
from whence.shapes import check_batch_size


@check_arguments
def edit(
    model: Classifier,
    *,
    remove: Selection | None = None,
    keep: Selection | None = None,
    swap: Mapping[One, Selection] | None = None,
    relabel: Mapping[One, int | str] | None = None,
    add: LabelledImages | None = None,
    new_classes: Sequence[str] = (),
    batch_size: int = BATCH_SIZE,
) -> Classifier:
    """Make a model with another memory; it predicts exactly as if it had stored only that.

    Images are chosen by dataset index (int), by label (a class name, str), by file as evidence
    shows it ("cat/3.png", str) or a pattern of files ("cat/*", str), by an ``Evidence`` record, by
    a predicate on ``StoredImage`` records, or by several of these in a list. A text that is a class
    name is no file. ``keep`` is applied first, then ``remove``, ``swap``, ``relabel`` and ``add``.

    Args:
        model: with a bank.
        remove: the images to take out.
        keep: the only images to leave in.
        swap: ``{out: in}``: the images chosen by ``out`` go, those chosen by ``in`` come, out of
            all that the model has remembered, also those that an earlier edit took out; all at
            once, so that ``{3: 7, 7: 3}`` changes nothing. An image that is in the memory already
            is then there twice, and shares its weight with itself.
        relabel: ``{images: label}``, the label by index or by name. Votes answer by it; other
            heads only show it.
        add: labelled images, which are encoded: an ``ImageSet``, (X, y), or a data set of (image,
            label). Their indices follow the largest one that the model has remembered; where
            stored images have files and these have none, they are called "added/INDEX". The own
            class of each is predicted from all other images of the new memory.
        new_classes: names of classes that the model was not trained for, of which ``add`` brings
            images. Votes alone take them, with a warning: their keys were learned without, so the
            features themselves have a share in all scores from then on, and the stored images are
            encoded once more.
        batch_size: images encoded at once; changes memory use, not the result.

    Returns:
        A new model in the same mode that shares encoder and head with the old one. The own classes
        of the stored images stay what they were; an error probability is no longer given, because
        it was calibrated with the other memory.

    Raises:
        ValueError: if the model has no memory, nothing is asked for, a choice names no stored
            image, a label no class, or nothing would be left.
        RuntimeError: if the bank does not fit the model.
    """
    check_batch_size(batch_size)
    check_edits(model, (remove, keep, swap or None, relabel or None, add), new=bool(new_classes))
    bank = model.fitting_bank()
    pool = model.pool if model.pool is not None else bank
    if new_classes:
        model, bank, pool = with_new_classes(model, bank, pool, new_classes, batch_size=batch_size)
    names = model.class_names
    if keep is not None:
        bank = bank.take(choose(bank, keep, names, "keep"))
    if remove is not None:
        bank = drop(bank, choose(bank, remove, names, "remove"), "remove")
    if swap:
        bank = swap_images(bank, pool, swap, names)
    if relabel:
        bank = change_labels(bank, relabel, names)
    if add is not None:
        added = encode_added(model, bank, pool, add, batch_size=batch_size)
        bank, pool = join(bank, added), join(pool, added)
    if new_classes:
        check_every_label("add", bank.labels, names)
    return with_bank(model, bank, pool)


def check_edits(model: Classifier, asked: Sequence[object], *, new: bool) -> None:
    """Refuse an edit of nothing.

    Args:
        model: that is edited.
        asked: what is asked for, None where nothing is; last the images that come.
        new: whether new classes come.

    Raises:
        ValueError: if the model has no memory, or nothing is asked for, or new classes come without
            images.
    """
    if not model.has_memory:
        raise ValueError("A standard model has no memory to edit; edit takes one with a bank.")
    if new and asked[-1] is None:
        raise ValueError("new_classes must come with images of them; give these as add.")
    if all(one is None for one in asked):
        raise ValueError(
            "edit must be told what to remove, keep, swap, relabel or add, got nothing."
        )


def with_new_classes(
    model: Classifier, bank: Bank, pool: Bank, new: Sequence[str], *, batch_size: int
) -> tuple[Classifier, Bank, Bank]:
    """Make a model of more classes, whose new ones have no stored image yet.

    Args:
        model: whose head takes new classes.
        bank: of the model.
        pool: all that it has remembered.
        new: names of the classes.
        batch_size: images encoded at once.

    Returns:
        The model, and bank and pool as its head compares them: stored images are encoded again.

    Raises:
        ValueError: if the head takes none, a name is there already, or the pixels of the stored
            images were not kept.
    """
    names = read_class_names([*model.class_names, *new])
    known = encode_plainly(model, pool, batch_size=batch_size)
    grown = copy.copy(model)
    grown.head = model.head.with_classes(len(names), known, pool.labels)
    grown.class_names = names
    warnings.warn(
        f"The keys of this model were learned without {list_names(new)}; measure its answers "
        "before you rely on them.",
        stacklevel=4,
    )
    with torch.no_grad():
        whole = replace(pool, features=grown.head.embed(known))
        if bank is pool:
            return grown, whole, whole
        known = encode_plainly(model, bank, batch_size=batch_size)
        return grown, replace(bank, features=grown.head.embed(known)), whole


def encode_plainly(model: Classifier, bank: Bank, *, batch_size: int) -> Tensor:
    """Encode the stored images of a bank once more, `(M, D)`, before any head.

    Raises:
        ValueError: if their pixels were not kept.
    """
    if bank.images is None:
        raise ValueError(
            "New classes need the pixels of the stored images, which are encoded again, and this "
            "model was saved without; remember the images once more."
        )
    return encode_frozen(model, bank.images, batch_size=batch_size)


def with_bank(model: Classifier, bank: Bank, pool: Bank) -> Classifier:
    """Make a model that shares encoder and head with another one and reads another bank.

    Args:
        model: the other one.
        bank: of the new one, encoded by it.
        pool: all that it has remembered.
    """
    edited = copy.copy(model)
    edited.attach(bank)
    edited.pool = pool
    return edited


def swap_images(
    bank: Bank, pool: Bank, swap: Mapping[One, Selection], names: tuple[str, ...]
) -> Bank:
    """Let the images chosen by the keys go, and those of ``pool`` chosen by the values come."""
    going = [choose(bank, out, names, "swap") for out in swap]
    coming = [choose(pool, new, names, "swap") for new in swap.values()]
    return join(bank.take(others(bank, torch.cat(going))), pool.take(torch.cat(coming)))


def change_labels(bank: Bank, relabel: Mapping[One, int | str], names: tuple[str, ...]) -> Bank:
    """Give the images of each choice another label.

    Raises:
        ValueError: if a choice names no image, or a label no class.
    """
    labels = bank.labels.clone()
    for one, label in relabel.items():
        places = choose(bank, one, names, "relabel")
        labels[places] = read_labels([label], names, 1).to(labels.device)
    return replace(bank, labels=labels)


@torch.no_grad()
def encode_added(
    model: Classifier, bank: Bank, pool: Bank, images: LabelledImages, *, batch_size: int
) -> Bank:
    """Encode images that come to a memory, and predict their own classes from all the others.

    Args:
        model: in eval mode.
        bank: that they come to.
        pool: all that the model has remembered, which their indices follow.
        images: labelled.
        batch_size: images encoded at once.
    """
    given = as_image_set(images, model, name="add")
    if len(given) == 0:
        raise ValueError("add must hold at least one image, got none.")
    first = 1 + max(int(pool.indices.max()), int(bank.indices.max()))
    indices, sources = list(range(first, first + len(given))), given.sources
    if sources is None and bank.sources is not None:
        sources = tuple(f"added/{index}" for index in indices)
    added = model.encode_bank(given.images, given.labels, indices, sources, batch_size=batch_size)
    whole = join(bank, added)
    own = predict_left_out(
        model.memory_head,
        whole.features,
        whole.groups,
        labels=whole.labels,
        rows=torch.arange(len(bank), len(whole), device=whole.labels.device),
        batch_size=batch_size,
    )
    return replace(added, predicted=own)


def drop(bank: Bank, places: Tensor, argument: str) -> Bank:
    """Take the images at ``places`` `(n,)` out of a bank.

    Raises:
        ValueError: if nothing would be left.
    """
    left = others(bank, places)
    if len(left) == 0:
        raise ValueError(
            f"{argument} must leave at least one stored image, it takes out all {len(bank)}."
        )
    return bank.take(left)


def join(first: Bank, second: Bank) -> Bank:
    """Put two banks of the same model together."""
    images = None
    if first.images is not None and second.images is not None:
        images = torch.cat([first.images, second.images])
    sources = None
    if first.sources is not None and second.sources is not None:
        sources = first.sources + second.sources
    return Bank(
        features=torch.cat([first.features, second.features]),
        indices=torch.cat([first.indices, second.indices]),
        labels=torch.cat([first.labels, second.labels]),
        predicted=torch.cat([first.predicted, second.predicted]),
        hashes=first.hashes + second.hashes,
        images=images,
        sources=sources,
    )
