"""The recipe of a training that names none: one choice for the command and for Python."""

from dataclasses import replace

from whence.data.augment import MIRRORED
from whence.data.mirror import compare_mirrored
from whence.messages import quote
from whence.records.images import ImageSet
from whence.training.recipes import RECIPES, Recipe

OUR_RECIPE = "default"
"""The recipe that is ours: where it is taken nothing is the paper's."""


def name_default(*, encoder: str, pretrained: bool, frozen_votes: bool) -> str:
    """Name the recipe that is taken where none is asked for.

    Args:
        encoder: its name; that of a user's module says nothing.
        pretrained: the encoder begins with weights that were learned before.
        frozen_votes: a head of votes is trained on all features of a frozen encoder at once.
    """
    if frozen_votes:
        return "at-once"
    if pretrained:
        return "finetune"
    return "vit" if encoder == "vit" else OUR_RECIPE


def fill_recipe(name: str, train: ImageSet, *, frozen: bool) -> Recipe:
    """Return a recipe by name, for these images: ours mirrors them where that is harmless.

    Args:
        name: from ``RECIPES``.
        train: the training images.
        frozen: every image is encoded once, so that none is changed.

    Raises:
        ValueError: if there is no recipe of that name.
    """
    if name not in RECIPES:
        raise ValueError(f"Unknown recipe {quote(name)}. Choose from: {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if frozen:
        return replace(recipe, augmentation="none")
    if name != OUR_RECIPE:
        return recipe
    may = compare_mirrored(train).may
    return replace(recipe, augmentation=mirrored(recipe.augmentation, may))


def mirrored(augmentation: str, mirror: bool) -> str:
    """Return the augmentation that mirrors, or does not, and is the same otherwise.

    >>> mirrored("shift", True), mirrored("flip", True), mirrored("flip", False)
    ('shift_flip', 'flip', 'none')
    """
    plain = {with_mirror: name for name, with_mirror in MIRRORED.items()}
    without = plain.get(augmentation, augmentation)
    return MIRRORED[without] if mirror else without
