"""Choose from which probability on a class is the answer, on validation images."""

from collections.abc import Sequence

from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.evidence.answers import Memory, answer
from whence.evidence.head_start import HALF, choose_head_start, find_leads
from whence.kinds import check_arguments
from whence.memory.votes import Votes
from whence.messages import quote
from whence.metrics.threshold import cost_threshold, recall_threshold
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.using import encode_unless_known
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.records.labels import list_names


class NoThresholdError(ValueError):
    """The images do not allow what was asked for."""


@check_arguments
def choose_threshold(
    model: Classifier,
    images: LabelledImages,
    class_name: str,
    *,
    recall: float | None = None,
    cost: float | None = None,
    batch_size: int = BATCH_SIZE,
    features: Tensor | None = None,
) -> Decision:
    """Choose from which probability on a class is the answer, whatever the others have.

    Of votes, where a class without a voter has no probability at all, the head start is chosen with
    which the class has half of the weight: so much are its stored images counted more similar.

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
        features = encode_unless_known(model, held_out.images, features, batch_size=batch_size)
        if isinstance(model.head, Votes):
            leads = find_leads(
                model.head, features, model.checked_bank(), place, batch_size=batch_size
            )
            head_start = choose_head_start(leads, of_class, recall=recall, cost=cost)
            threshold, answered = HALF, leads.each.double() <= head_start
        else:
            shares = find_shares(model, features, held_out.labels, place, batch_size=batch_size)
            threshold = choose_share(shares, of_class, class_name, recall=recall, cost=cost)
            head_start, answered = 0.0, shares.double() >= threshold
    return Decision(
        place=place,
        threshold=threshold,
        images=len(answered),
        validation=ClassMeasures(
            class_name,
            images=int(of_class.sum()),
            right=int((answered & of_class).sum()),
            answers=int(answered.sum()),
        ),
        target_recall=recall,
        cost=cost,
        head_start=head_start,
    )


def find_shares(
    model: Classifier, features: Tensor, labels: Tensor, place: int, *, batch_size: int
) -> Tensor:
    """Compute the probability `(N,)` of a class for encoded images, on the CPU."""
    memory = Memory.of(model) if model.has_memory else None
    found = answer(model, features, labels.to(features.device), memory, batch_size=batch_size)
    return model.head.probabilities(found.logits)[:, place].cpu()


def choose_share(
    shares: Tensor, of_class: Tensor, class_name: str, *, recall: float | None, cost: float | None
) -> float:
    """Choose from which probability on a class is the answer.

    Args:
        shares: `(N,)` probability of the class.
        of_class: `(N,)` bool, the image is of it.
        class_name: of the class.
        recall: wanted.
        cost: of missing one, in place of a recall.

    Raises:
        NoThresholdError: if the recall cannot be reached.
    """
    if cost is not None:
        return cost_threshold(shares, of_class, cost)
    found = recall_threshold(shares, of_class, recall or 1)
    if found is None:
        raise NoThresholdError(say_unreachable(class_name, recall or 1, shares[of_class]))
    return found


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


def say_unreachable(class_name: str, recall: float, shares: Tensor) -> str:
    """Say that a recall cannot be reached, and which one can.

    Args:
        class_name: that is to be found.
        recall: wanted.
        shares: `(n,)` probability of the class for its own validation images.
    """
    without, total = int((shares == 0).sum()), len(shares)
    return (
        f"A recall of {recall:.4g} cannot be reached for {quote(class_name)}: {without:,} of "
        f"{total:,} validation images of it get no probability of it at all; the highest is "
        f"{(total - without) / total:.4g}."
    )
