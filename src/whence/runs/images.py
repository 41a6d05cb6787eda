"""The images that settings name, and what is said before they are trained on."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from whence.bounds import check_numbers
from whence.data import DATASETS
from whence.data.corrections import correct_dataset, read_corrections
from whence.data.load import load_dataset
from whence.encoders import check_encoder
from whence.encoders.adopt import kind_of
from whence.encoders.libraries import LIBRARIES
from whence.encoders.load_weights import Weights, check_fit, read_weights
from whence.memory.heads import find_head
from whence.records.images import Dataset, ImageSet
from whence.runs.before import describe_before, find_before
from whence.runs.class_counts import describe_class_counts
from whence.runs.folds import take_fold
from whence.runs.marks import describe_marks
from whence.runs.mirroring import describe_mirroring
from whence.runs.near_across import describe_near
from whence.runs.normalisation import named
from whence.runs.recipe_and_plan import choose_recipe
from whence.runs.settings import BEST_LAYERS, Settings
from whence.runs.target import read_target
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.training.plan import check_balance

TEST_SEED = 0
"""Draws the test images of a folder without ``test/``: the same for all runs on it."""

LARGE, LARGE_FOREIGN = 64, 224
"""Pixels of a side that large images are brought to, for encoders of ours and of others."""

SMALL_CNN, RESNET, SMALL_CNN_LIMIT = "small_cnn", "resnet18", 64
"""Encoders that are taken when none is named, and the pixels of a side that decide."""


def is_foreign(encoder: str | None) -> bool:
    """Say whether an encoder comes from torchvision or timm."""
    return encoder is not None and ":" in encoder


def load_data(
    settings: Settings, where: Where = AS_SETTINGS_SAY, *, shape: tuple[int, ...] | None = None
) -> Dataset:
    """Load the images that settings name, in the size and channels that the encoder takes.

    Args:
        settings: of a run; where it tests a fold, all others are the training images.
        where: the images are, and may be downloaded to.
        shape: (C, H, W) that images once had, which decides their size when the settings do not.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if they are not in order.
    """
    found = load_undivided(settings, where, shape=shape, whole=settings.fold is not None)
    return found if settings.fold is None else take_fold(found, settings.fold, settings.seed)[0]


def load_undivided(
    settings: Settings,
    where: Where,
    *,
    shape: tuple[int, ...] | None = None,
    whole: bool = False,
) -> Dataset:
    """Load the images that settings name, not divided into folds.

    Arguments as for ``load_data``; ``whole`` draws no test images.
    """
    foreign, named = is_foreign(settings.encoder), settings.data in DATASETS
    size = settings.size
    if size is None and shape is not None and shape[1] == shape[2]:
        size = shape[1]
    load = partial(
        load_dataset,
        settings.data if named or where.root is None else where.root,
        size=size,
        channels=3 if foreign else None,
        default_large_size=large_size(settings),
        seed=TEST_SEED,
        columns=settings.columns,
        whole=whole,
    )
    found = load_or_download(load, where, known=settings.data_root)
    if settings.corrections is None:
        return found
    table = Path(settings.corrections).expanduser()
    corrections = read_corrections(table, found.train.class_names)
    return correct_dataset(found, corrections, str(table))


def load_or_download(load: Callable[..., Dataset], where: Where, *, known: str) -> Dataset:
    """Load from a folder that is only read, or else download into the one that the user named.

    Args:
        load: ``load_dataset`` with the rest of its arguments.
        where: the files are, and may be downloaded to.
        known: where they are if ``where`` does not say.

    Raises:
        FileNotFoundError: if the files are not there.
    """
    try:
        return load(root=Path(known) if where.root is None else where.root, download=False)
    except FileNotFoundError:
        if where.download_to is None:
            raise
    return load(root=where.download_to, download=True)


def large_size(settings: Settings) -> int:
    """Choose the side of large images: with weights, the one that these were trained with."""
    if not is_foreign(settings.encoder):
        return LARGE
    if settings.weights is None:
        return LARGE_FOREIGN
    kind = kind_of(str(settings.encoder))
    size = LIBRARIES[kind.family].prepared(kind.name).size
    return size[0] if size is not None and size[0] == size[1] else LARGE_FOREIGN


def choose_encoder(settings: Settings, size: tuple[int, int]) -> str:
    """Take the encoder that is named, or the one for images of (H, W) pixels."""
    return settings.encoder or (SMALL_CNN if max(size) <= SMALL_CNN_LIMIT else RESNET)


def key_of_images(settings: Settings) -> tuple[object, ...]:
    """Return what is equal where ``load_data`` loads the same images."""
    foreign = is_foreign(settings.encoder)
    divided = None if settings.fold is None else (settings.fold, settings.seed)
    columns = (*settings.columns.items(), divided, settings.corrections)
    return settings.data, settings.data_root, columns, settings.size, foreign, large_size(settings)


def load_to_train(settings: Settings, where: Where = AS_SETTINGS_SAY) -> Dataset:
    """Load the images that settings name, once all is checked that needs no image.

    Args:
        settings: of a run.
        where: the images are, and may be downloaded to.

    Returns:
        The images; their notes also say what the pretrained weights expect of them.

    Raises:
        ValueError: if the settings hold a number that no training takes, an unknown encoder, or
            weights that do not fit it.
        FileNotFoundError: if weights or images are not there.
        ConnectionError: if pretrained weights cannot be downloaded.
        PermissionError: if they cannot be kept in the library's cache.
    """
    weights = check_before_images(settings)
    dataset = load_data(settings, where)
    notes = describe_marks(settings, dataset) + describe_class_counts(settings, dataset)
    notes += describe_mirroring(settings, dataset) + describe_before(settings, dataset)
    if settings.data not in DATASETS:
        notes += describe_near(dataset.train, dataset.test)
    if weights is not None:
        notes += describe_expected(settings, weights, dataset.train)
    return replace(dataset, notes=(*dataset.notes, *notes))


def load_pool(settings: Settings, where: Where = AS_SETTINGS_SAY) -> Dataset:
    """Load the images that settings name, all that are to be divided into folds together.

    Arguments, and what is checked before, as for ``load_to_train``.
    """
    weights = check_before_images(settings)
    dataset = load_undivided(settings, where, whole=True)
    if weights is None:
        return dataset
    notes = describe_expected(settings, weights, dataset.train)
    return replace(dataset, notes=(*dataset.notes, *notes))


def check_before_images(settings: Settings) -> Weights | None:
    """Check all that needs no image, and read the weights; None without weights.

    Raises:
        ValueError: as ``load_to_train``.
        FileNotFoundError: if weights are not there.
    """
    check_numbers(asdict(settings).items())
    choose_recipe(settings)
    read_target(settings.target_recall, settings.cost)
    find_before(settings)
    check_balance(settings.balance, find_head(settings.head).has_memory)
    if settings.encoder is not None:
        check_encoder(settings.encoder)
        kind = kind_of(settings.encoder)
        if kind.family in LIBRARIES:
            LIBRARIES[kind.family].check(kind.name)
    if settings.weights is None:
        check_frozen(settings)
        return None
    return check_weights(settings, settings.weights)


def check_frozen(settings: Settings) -> None:
    """Refuse to freeze an encoder that has no weights, and to keep or choose what does not change.

    Raises:
        ValueError: naming what to add or leave out.
    """
    if settings.layers == BEST_LAYERS and not settings.freeze_encoder:
        raise ValueError(
            "layers best chooses among features that stay as they are; add --freeze-encoder, or "
            "name layers."
        )
    if settings.freeze_encoder and settings.keep_checkpoints is not None:
        raise ValueError(
            "keep_checkpoints is for encoders that learn, a frozen one stays as it is; "
            "leave out --keep-checkpoints or --freeze-encoder."
        )
    if settings.freeze_encoder and settings.weights is None:
        raise ValueError(
            "freeze_encoder needs weights, a frozen random encoder learns nothing; "
            "add --weights default or --weights FILE."
        )


def check_weights(settings: Settings, weights: str) -> Weights:
    """Read the weights that settings name, and compare their names with the encoder's."""
    kind = kind_of(settings.encoder or SMALL_CNN)
    side = settings.size or large_size(settings)
    found = read_weights(kind, weights, (3, side, side))
    if settings.encoder is None:  # the images will decide which it is
        return found
    prefix = check_fit(settings.encoder, found, (3, side, side))
    if not prefix:
        return found
    name = Path(found.place).name
    note = f"{prefix} before the names of the parameters in {name} is left out."
    return replace(found, notes=(*found.notes, note))


def describe_expected(settings: Settings, weights: Weights, train: ImageSet) -> list[str]:
    """Say which weights are taken, to what the images are normalised, and if their size fits.

    Returns:
        Sentences; none on what the settings decide themselves.
    """
    notes, prepared = list(weights.notes), weights.prepared
    if settings.mean is None and settings.normalisation is None:
        found = named(settings, prepared)
        if found is None:
            notes.append(
                f"{weights.source} does not say which mean and deviation it expects: those of the "
                "training images are taken; --mean and --std give others."
            )
        else:
            mean, std = (", ".join(f"{x:.4g}" for x in part) for part in (found.mean, found.std))
            notes.append(
                f"The images are normalised with mean {mean} and deviation {std}, as "
                f"{found.source} says; --normalisation, or --mean and --std, choose others."
            )
    size = tuple(train.images.shape[2:])
    if settings.size is None and prepared and prepared.size not in (None, size):
        height, width = prepared.size
        notes.append(
            f"The images are {size[0]} x {size[1]} pixels, the weights were trained with "
            f"{height} x {width}; --size {height} brings them to that size."
        )
    return notes
