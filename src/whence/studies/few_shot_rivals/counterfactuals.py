"""Counterfactuals that a model read, and those that are searched for, judged alike."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.images import ImageSet
from whence.studies.few_shot_rivals.examples import Explained, choose_in_class
from whence.studies.few_shot_rivals.guided_search import (
    Differentiable,
    Guidance,
    mean_prototypes,
    nearest_prototypes,
    search_with_prototype,
)
from whence.studies.few_shot_rivals.trained import Round
from whence.studies.parts.ask_in_parts import ask_in_parts
from whence.studies.parts.class_autoencoders import Autoencoder, Autoencoders, measure_realism
from whence.studies.parts.real_images import find_distances

READ, BY_CODES, BY_TREES = "read from memory", "CFProto, codes", "CFProto, k-d trees"
COUNTERFACTUAL_KINDS = (READ, BY_CODES, BY_TREES)
"""Where counterfactuals come from: those that the model read, and the two searches."""


SAME_IMAGE = 1e-3
"""Sum of differences of pixels up to which two images are the same one."""


class OtherImages(NamedTuple):
    """Counterfactuals of one kind for n asked images.

    Attributes:
        images: `(n, C, H, W)` in [0, 1].
        found: `(n,)` bool, the model puts them in the wanted class.
    """

    images: Tensor
    found: Tensor


class Known(NamedTuple):
    """What searches and judges know: the training images, float, and their autoencoders."""

    images: Tensor
    labels: Tensor
    autoencoders: Autoencoders
    of_all: Autoencoder


def find_read(asked: Explained) -> Tensor:
    """Find the stored image of highest weight that the model puts in another class; `(B,)`.

    Returns:
        Places in the memory, -1 where no such image has a weight above 0.

    Raises:
        ValueError: for a model without a memory.
    """
    if asked.weights is None:
        raise ValueError("asked must be answers of a model with a memory, got one without.")
    own, answers = asked.stored_logits.argmax(1), asked.logits.argmax(1)
    order = torch.where(asked.weights > 0, -asked.weights, torch.inf)
    return choose_in_class(order, own != answers[:, None])


def make_counterfactuals(
    model: Classifier,
    round_: Round,
    asked: Explained,
    rows: Tensor,
    known: Known,
    guidance: dict[str, Guidance],
) -> dict[str, OtherImages]:
    """Take what the model read, and search for images of the same class, for some asked images.

    Args:
        model: that answers from a memory.
        round_: asked and stored images.
        asked: the answers.
        rows: `(n,)` asked images for which there is one to read.
        known: the training images.
        guidance: of both searches, by kind.
    """
    places = find_read(asked)[rows]
    targets = asked.stored_logits.argmax(1)[places]
    images = to_float(round_.asked.images[rows])
    logits = answer_from(model, round_.stored)
    with torch.no_grad():
        classes = torch.cat([logits(part).argmax(1) for part in known.images.split(256)])
        codes = known.of_all.encoder(known.images)
        means = mean_prototypes(codes, classes, targets)
    trees = nearest_prototypes(images, known.images, classes, targets)
    found = {
        READ: OtherImages(to_float(round_.stored.images[places]), torch.ones_like(rows).bool())
    }
    embeds: dict[str, tuple[Differentiable, Tensor]] = {
        BY_CODES: (known.of_all.encoder, means),
        BY_TREES: (lambda pixels: pixels.flatten(1), trees),
    }
    for kind, (embed, prototypes) in embeds.items():
        made = search_with_prototype(
            images,
            targets,
            prototypes,
            logits=logits,
            embed=embed,
            rebuild=known.of_all,
            guidance=guidance[kind],
        )
        found[kind] = OtherImages(made.images, made.found)
    return found


def leave_out_stored(known: Known, stored: Tensor) -> Known:
    """Leave out the images that are in a memory: what was read from it would be near to itself.

    Args:
        known: the training images.
        stored: `(M, C, H, W)` of the memory, float in [0, 1].
    """
    apart = torch.cdist(known.images.flatten(1), stored.flatten(1), p=1).amin(1)
    others = apart > SAME_IMAGE
    return known._replace(images=known.images[others], labels=known.labels[others])


def answer_from(model: Classifier, stored: ImageSet) -> Differentiable:
    """Return what maps images to logits from a memory that is encoded once, with a gradient."""
    with evaluating(model):
        memory = model.encode(stored.images)
    labels = stored.labels

    def answer(images: Tensor) -> Tensor:
        return model.memory_head.logits(model.encode(images), memory, labels=labels)

    return answer


def judge_counterfactuals(
    made: Tensor, answers: Tensor, targets: Tensor, known: Known, second: Classifier
) -> dict[str, Tensor]:
    """Measure counterfactuals, each with the autoencoders of its own two classes.

    Args:
        made: `(n, C, H, W)` in [0, 1].
        answers: `(n,)` classes of the asked images.
        targets: `(n,)` classes of the counterfactuals.
        known: the training images and their autoencoders.
        second: a classifier that took no part in making them.

    Returns:
        By measure `(n,)`: IM1, IM2, distance to the nearest real images of the class (all lower is
        better), and whether the second classifier puts them in the class.
    """
    classes = torch.stack([answers, targets], 1)
    one, two = measure_realism(known.autoencoders, made, classes)
    real = find_distances(made, targets, known.images, known.labels)
    agreed = ask_in_parts(second, made).argmax(1) == targets
    return {"IM1": one, "IM2": two, "real": real, "second": agreed.to(one.dtype)}
