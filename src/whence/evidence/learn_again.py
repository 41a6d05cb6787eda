"""Votes whose keys are learned again from the stored images that a smaller memory kept."""

import copy
from typing import cast

from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.memory.votes import Votes
from whence.models.as_image_set import LabelledImages
from whence.models.classifier import Classifier
from whence.models.using import encode_frozen
from whence.records.images import ImageSet
from whence.training.fit import fit
from whence.training.plan import EPOCHS_AT_ONCE, Plan


@check_arguments
def learn_again(
    model: Classifier,
    *,
    validation: LabelledImages | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Classifier:
    """Make votes whose keys are learned from the stored images alone; the encoder stays as it is.

    Keys that were learned from many biased images keep the bias, whatever is stored afterwards.
    Learned from a memory that is balanced over groups they lose part of it, in seconds; as the last
    layer of a network does (Kirichenko et al. 2022, arXiv:2204.02937). Of classes that came to the
    memory later the keys know nothing until they are learned again; then they alone are compared.

    Args:
        model: votes, in eval mode, with a bank that holds pixels; it is left as it is.
        validation: labelled images that choose how many stored images count; None keeps some of
            the stored images for that.
        seed: of the training.
        batch_size: images encoded at once; changes memory use, not the result.

    Returns:
        A model of its own, with the same stored images.

    Raises:
        ValueError: if the model is none of votes, or the pixels of the stored images were not kept.
        RuntimeError: if the model has no bank that fits it.
    """
    bank = check_relearnable(model)
    learner = copy.deepcopy(model)
    head = cast("Votes", learner.head)
    head.plain_share, head.even_directions = 0.0, None  # the keys learn all classes now
    images = ImageSet(
        cast("Tensor", bank.images), bank.labels.cpu(), model.class_names, bank.sources
    )
    features = encode_frozen(learner, images.images, batch_size=batch_size)
    size = min(len(images), Plan(1).memory_size)
    plan = Plan(EPOCHS_AT_ONCE, size, seed, freeze_encoder=True)
    fit(learner, images, plan=plan, features=features, validation=validation)
    return learner.remember(
        images.images, images.labels, bank.indices.cpu(), bank.sources, features=features
    )


def check_relearnable(model: Classifier) -> Bank:
    """Return the bank of votes that holds the pixels from which other keys are made.

    Raises:
        ValueError: if the model is none of votes, or the pixels of the stored images were not kept.
        RuntimeError: if the model has no bank that fits it.
    """
    bank = model.fitting_bank()
    if not isinstance(model.head, Votes):
        raise ValueError(
            f"Votes alone take other keys in seconds, this is a head {model.variant}; train it "
            "again."
        )
    if bank.images is None:
        raise ValueError(
            "Keys are made from the pixels of the stored images, and this model was saved "
            "without; train it again."
        )
    return bank
