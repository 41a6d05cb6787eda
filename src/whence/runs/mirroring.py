"""Whether a training mirrors images: the user says, the dataset is known, or the images tell."""

import torch

from whence.data.mirror import MAY_MIRROR, MirrorTest, compare_mirrored
from whence.data.split import Split
from whence.records.images import Dataset
from whence.runs.divide import divide
from whence.runs.recipe_and_plan import name_recipe
from whence.runs.settings import Settings
from whence.training.default_recipe import OUR_RECIPE


def may_mirror(settings: Settings, dataset: Dataset, parts: Split) -> bool:
    """Decide whether training mirrors images.

    Args:
        settings: of a run.
        dataset: the images that they name.
        parts: which of the training images are trained on, and which validated on.
    """
    if settings.mirror is not None:
        return settings.mirror == "yes"
    if settings.data in MAY_MIRROR:
        return MAY_MIRROR[settings.data]
    return not leaves_open(settings) or compare(dataset, parts).may


def leaves_open(settings: Settings) -> bool:
    """Say whether the recipe mirrors images where that is seen to be harmless."""
    said = settings.mirror is not None or settings.augmentation is not None
    return name_recipe(settings) == OUR_RECIPE and not said and not settings.freeze_encoder


def compare(dataset: Dataset, parts: Split) -> MirrorTest:
    """Compare validation images, then training images, with their mirror images."""
    return compare_mirrored(dataset.train.take(torch.cat([parts.validation, parts.train])))


def describe_mirroring(settings: Settings, dataset: Dataset) -> list[str]:
    """Say what the images told, in one sentence; nothing where they are not asked."""
    if not leaves_open(settings) or settings.data in MAY_MIRROR:
        return []
    found = compare(dataset, divide(dataset, settings))
    does, other = ("mirrors", "no") if found.may else ("does not mirror", "yes")
    return [
        f"Training {does} images left to right: of {found.images:,} the nearest other image has "
        f"the same class for {found.right:,}, and for {found.mirrored_right:,} once they are "
        f"mirrored; --mirror {other} decides otherwise."
    ]
