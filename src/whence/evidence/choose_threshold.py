"""Choose from which probability on a class is the answer, on validation images."""

from collections.abc import Sequence

import torch

from whence.bounds import BATCH_SIZE, check_number
from whence.evidence.answers import Memory, answer
from whence.messages import quote
from whence.metrics.threshold import cost_threshold, recall_threshold
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.using import encode_all
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.records.labels import list_names


class NoThresholdError(ValueError):
    """The images do not allow what was asked for."""


def choose_threshold(
    model: Classifier,
    images: LabelledImages,
    class_name: str,
    *,
    recall: float | None = None,
    cost: float | None = None,
    batch_size: int = BATCH_SIZE,
    features: torch.Tensor | None = None,
) -> Decision:
    """Choose from which probability on a class is the answer, whatever the others have.

    Set ``model.decision`` to the result. Use images that the model was not trained on, and others
    to measure it: the recall on images that it was chosen on flatters.

    Args:
        model: with a bank, unless it is a standard model.
        images: validation images, labelled: an ``ImageSet``, (X, y), or a data set of
            (image, label) such as torchvision's ``ImageFolder``.
        class_name: that is not to be missed.
        recall: wanted, in (0, 1]: the highest threshold that finds so many of its images.
        cost: of missing an image of the class, in times the cost of the reverse; in place of a
            recall.
        batch_size: images encoded at once; changes memory use, not the result.
        features: `(N, D)` the images encoded by this model, if that was done already.

    Raises:
        ValueError: if the class is unknown, or not one of recall and cost is given, or no image is
            of the class, or too many of its images have no probability of it at all.
        RuntimeError: if the model has no bank that fits it.
    """
    check_class("class_name", class_name, model.class_names)
    if (recall is None) == (cost is None):
        raise ValueError("choose_threshold takes a recall or a cost, give one of them.")
    check_wanted(recall, cost)
    held_out = as_image_set(images, model)
    place = model.class_names.index(class_name)
    of_class = held_out.labels == place
    check_there_are(class_name, len(held_out), int(of_class.sum()))
    with evaluating(model):
        memory = Memory.of(model) if model.has_memory else None
        if features is None:
            features = encode_all(model, held_out.images, batch_size=batch_size)
        labels = held_out.labels.to(features.device)
        found = answer(model, features, labels, memory, batch_size=batch_size)
        shares = model.head.probabilities(found.logits)[:, place].cpu()
    if cost is not None:
        threshold = cost_threshold(shares, of_class, cost)
    else:
        least = recall_threshold(shares, of_class, recall or 1)
        if least is None:
            votes = model.has_memory and model.memory_head.reads_labels
            raise NoThresholdError(
                say_unreachable(class_name, recall or 1, shares[of_class], votes=votes)
            )
        threshold = least
    answered = shares.double() >= threshold
    return Decision(
        place=place,
        threshold=threshold,
        images=len(shares),
        validation=ClassMeasures(
            class_name,
            images=int(of_class.sum()),
            right=int((answered & of_class).sum()),
            answers=int(answered.sum()),
        ),
        target_recall=recall,
        cost=cost,
    )


def check_class(name: str, class_name: str, class_names: Sequence[str]) -> None:
    """Refuse a name that is no class.

    Args:
        name: of the argument or option.
        class_name: that was given.
        class_names: that there are.
    """
    if class_name not in class_names:
        raise ValueError(
            f"{name} must name a class, got {quote(class_name)}; "
            f"there are {list_names(class_names)}."
        )


def check_wanted(recall: float | None, cost: float | None) -> None:
    """Refuse a recall outside (0, 1], and a cost that is not above 0."""
    for name, value in (("recall", recall), ("cost", cost)):
        if value is not None:
            check_number(name, value)


def check_there_are(class_name: str, total: int, of_class: int) -> None:
    """Refuse to choose a threshold on no image, or on none of the class.

    Raises:
        NoThresholdError: saying what there is.
    """
    if of_class == 0:
        there = "none at all" if total == 0 else f"none among {total:,}"
        raise NoThresholdError(
            f"A threshold for {quote(class_name)} is chosen on validation images of it, there are "
            f"{there}; use more (--validation-examples)."
        )


def say_unreachable(class_name: str, recall: float, shares: torch.Tensor, *, votes: bool) -> str:
    """Say that a recall cannot be reached, and which one can.

    Args:
        class_name: that is to be found.
        recall: wanted.
        shares: `(n,)` probability of the class for its own validation images.
        votes: the head gives no probability to a class that no stored image votes for.
    """
    way_out = "; a head with a softmax can (--variant memory-wrap)" if votes else ""
    without, total = int((shares == 0).sum()), len(shares)
    return (
        f"A recall of {recall:.4g} cannot be reached for {quote(class_name)}: {without:,} of "
        f"{total:,} validation images of it get no probability of it at all; the highest is "
        f"{(total - without) / total:.4g}{way_out}."
    )
