"""Which mean and deviation images are brought to, and whose word it is."""

from dataclasses import dataclass

from whence.data.pixel_values import measure_pixels
from whence.encoders.preparation import Preparation
from whence.messages import quote
from whence.records.images import ImageSet
from whence.runs.published import PUBLISHED
from whence.runs.settings import Settings


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation per channel, in [0, 1] pixel units, and where they come from."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str


def choose_normalisation(
    settings: Settings, train: ImageSet, prepared: Preparation | None
) -> Normalisation:
    """Take what is given, else what the weights expect, else the paper's, else the images'.

    However the weights come, as a file or as a library's default, they expect the same.

    Args:
        settings: what was asked for.
        train: the training images.
        prepared: what the weights expect; None without weights, or where nobody says.

    Raises:
        ValueError: if half of it is given, what is asked for does not exist, or channels differ.
    """
    if settings.mean is not None or settings.std is not None:
        return take_given(settings)
    found = named(settings, prepared)
    if settings.normalisation == "images" or found is None:
        mean, std = measure_pixels(train.images)
        return Normalisation(mean, std, "the training images")
    channels = train.images.shape[1]
    if len(found.mean) != channels:
        raise ValueError(
            f"The normalisation by {found.source} is of {len(found.mean)} channels, the images "
            f"have {channels}; add --normalisation images, or --mean and --std."
        )
    return found


def take_given(settings: Settings) -> Normalisation:
    """Take mean and deviation from the settings, which must give both and nothing else."""
    if settings.mean is None or settings.std is None:
        raise ValueError("mean and std must be given together, got one of them.")
    if settings.normalisation is not None:
        raise ValueError(
            f"normalisation {quote(settings.normalisation)} and mean and std say it twice; "
            "leave one of them out."
        )
    return Normalisation(settings.mean, settings.std, "the settings")


def named(settings: Settings, prepared: Preparation | None) -> Normalisation | None:
    """Find the normalisation that the settings name, or the first that there is.

    Raises:
        ValueError: if there is none of that name.
    """
    published = PUBLISHED.get(settings.data)
    if settings.normalisation == "weights" and prepared is None:
        raise ValueError(
            "normalisation 'weights' needs weights that say what they expect: those of a "
            "torchvision or timm encoder, or of a model that whence saved."
        )
    if settings.normalisation == "paper" and published is None:
        raise ValueError(
            f"normalisation 'paper' needs data of {', '.join(PUBLISHED)}, "
            f"got {quote(settings.data)}."
        )
    if settings.normalisation in (None, "weights") and prepared is not None:
        return Normalisation(prepared.mean, prepared.std, prepared.source)
    if settings.normalisation in (None, "paper") and published is not None:
        return Normalisation(published.mean, published.std, "the paper")
    return None
