"""Votes that do not see what group an image is of: keys without the directions of the groups."""

import copy
from collections.abc import Sequence
from typing import cast

from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.group_draw import list_groups, number_groups
from whence.evidence.learn_again import check_relearnable
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.memory.keys import link_groups
from whence.memory.votes import Votes
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.sound import check_given_features
from whence.models.using import encode_frozen
from whence.training.labelled import Labelled
from whence.training.plan import Plan
from whence.training.voting import read_votes


@check_arguments
def erase_groups(
    model: Classifier,
    groups: Sequence[object] | Tensor,
    *,
    features: Tensor | None = None,
    validation: LabelledImages | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Classifier:
    """Make votes whose keys do not tell groups of the same class apart; nothing is trained.

    Where most images of a class are of one group (a camera, a colour, a hospital), keys learn the
    group for the class. The new keys are the features themselves without the directions in which
    stored images of one class differ by their group (``find_group_directions``), of more than 128
    numbers the 128 principal directions of what is left.

    Args:
        model: votes, in eval mode, with a bank that holds pixels; it is left as it is.
        groups: the group of each of the M stored images, in their order.
        features: `(M, D)` of the stored images by the encoder, where they are known; None encodes
            them.
        validation: labelled images that choose how many stored images count; None keeps some of
            the stored images for that.
        seed: of what is kept for that.
        batch_size: images encoded at once; changes memory use, not the result.

    Returns:
        A model of its own, with the same stored images.

    Raises:
        ValueError: if the model is none of votes, the pixels of the stored images were not kept, or
            groups do not fit, or no class has images of two of them.
        RuntimeError: if the model has no bank that fits it.
    """
    bank = check_relearnable(model)
    numbers = number_mixed_groups(bank, groups)
    learner = copy.deepcopy(model)
    head = cast("Votes", learner.head)
    images = cast("Tensor", bank.images)
    if features is None:
        features = encode_frozen(learner, images, batch_size=batch_size)
    else:
        check_given_features("features", features, total=len(images), width=model.features)
    stored = Labelled(features.to(bank.labels.device), bank.labels)
    head.compare_within_groups(*stored, numbers)
    learner.decision = None  # it was chosen for the keys before
    asked = None
    if validation is not None and len(known := as_image_set(validation, model, name="validation")):
        known = known.to(str(bank.labels.device))
        asked = Labelled(encode_frozen(learner, known.images, batch_size=batch_size), known.labels)
    read_votes(head, stored, asked, Plan(1, seed=seed))
    return learner.remember(
        images, bank.labels.cpu(), bank.indices.cpu(), bank.sources, features=features
    )


def number_mixed_groups(bank: Bank, groups: Sequence[object] | Tensor) -> Tensor:
    """Number the groups of M stored images from 0 on, `(M,)`.

    Raises:
        ValueError: if they are not M, or no class has images of two groups.
    """
    numbers = number_groups(list_groups(groups, len(bank))).to(bank.labels.device)
    sets = link_groups(bank.labels, numbers)
    if len(sets) == len(sets.unique()):
        raise ValueError(
            "groups are told apart within classes, and no class has stored images of two groups."
        )
    return numbers
