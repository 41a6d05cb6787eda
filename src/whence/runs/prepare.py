"""From settings to what a training needs: images, split, model, recipe and plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from whence.data import DATASETS
from whence.data.fingerprint import fingerprint
from whence.data.load import load_dataset
from whence.data.pixel_values import measure_pixels
from whence.data.split import split
from whence.encoders.adopt import kind_of
from whence.encoders.libraries import LIBRARIES
from whence.encoders.load_weights import load_weights
from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.records.images import Dataset, ImageSet
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.training.plan import Plan
from whence.training.recipes import RECIPES, Recipe

TEST_SEED = 0
"""Draws the test images of a folder without ``test/``: the same for all runs on it."""

LEAST_STEPS = 800
LEAST_EPOCHS = 40
SMALL_CNN_LIMIT = 64
SLOWER_IN_BFLOAT16 = ("efficientnet_b0", "shufflenet_v2")
"""Measured on AVX-512 BF16, forward and backward: 2.2 and 1.4 times slower than float32."""


@dataclass(frozen=True)
class Published:
    """What the paper sets for one dataset (La Rosa et al. 2021, A.1)."""

    epochs: int
    augmentation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


PUBLISHED = {
    "svhn": Published(40, "none", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": Published(300, "flip", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cinic10": Published(
        300,
        "flip",
        (0.47889522, 0.47227842, 0.43047404),
        (0.24205776, 0.23828046, 0.25874835),
    ),
}


@dataclass(frozen=True)
class Parts:
    """Everything one run starts from.

    Attributes:
        train, validation, test: the images.
        indices: `(N,)` places of the training images in the dataset's training set.
        model: with fresh or pretrained parameters, on the CPU.
        recipe, plan: how it is trained.
        identity: JSON that identifies data and settings as resolved.
        notes: sentences for the user.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    indices: Tensor
    model: Classifier
    recipe: Recipe
    plan: Plan
    identity: dict[str, object]
    notes: tuple[str, ...]


def is_foreign(encoder: str | None) -> bool:
    """Say whether an encoder comes from torchvision or timm."""
    return encoder is not None and ":" in encoder


def load_data(settings: Settings, where: Where = AS_SETTINGS_SAY) -> Dataset:
    """Load the images that settings name, in the size and channels that the encoder takes.

    Args:
        settings: of a run.
        where: the images are, and may be downloaded to.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if they are not in order.
    """
    foreign, named = is_foreign(settings.encoder), settings.data in DATASETS
    load = partial(
        load_dataset,
        settings.data if named or where.root is None else where.root,
        size=settings.size,
        channels=3 if foreign else None,
        default_large_size=224 if foreign else 64,
        seed=TEST_SEED,
    )
    return load_or_download(load, where, known=settings.data_root)


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


def key_of_images(settings: Settings) -> tuple[object, ...]:
    """Return what is equal where ``load_data`` loads the same images."""
    return settings.data, settings.data_root, settings.size, is_foreign(settings.encoder)


def prepare(settings: Settings, dataset: Dataset, *, device: str = "cpu") -> Parts:
    """Split the data, build the model and fill in every setting that was left open.

    Args:
        settings: what was asked for.
        dataset: the images that the settings name.
        device: where the run will train; decides the precision when the settings leave it open.

    Raises:
        ValueError: if the settings and the data do not go together.
    """
    check_numbers(settings)
    parts = split(
        dataset.train.labels,
        seed=settings.seed,
        train_examples=settings.train_examples,
        validation_examples=settings.validation_examples,
    )
    train, validation = dataset.train.take(parts.train), dataset.train.take(parts.validation)
    if len(train) < 2:
        raise ValueError("train_examples must be at least 2, got 1.")
    mean, std = choose_normalisation(settings, train)
    model, weights = build_model(settings, train, mean, std)
    recipe = choose_recipe(settings)
    plan = choose_plan(
        settings,
        recipe,
        len(train),
        model.has_memory,
        bfloat16=choose_bfloat16(settings.precision, model, device),
    )
    identity: dict[str, object] = {
        "dataset": dataset.name,
        "train_fingerprint": fingerprint(dataset.train),
        "test_fingerprint": fingerprint(dataset.test),
        "train_images": len(train),
        "validation_images": len(validation),
        "test_images": len(dataset.test),
        "seed": settings.seed,
        "weights": weights,
    }
    return Parts(
        train=train,
        validation=validation,
        test=dataset.test,
        indices=parts.train,
        model=model,
        recipe=recipe,
        plan=plan,
        identity=identity,
        notes=dataset.notes,
    )


def check_numbers(settings: Settings) -> None:
    """Refuse numbers that would be found out only after the training, or not at all."""
    if not 0 <= settings.seed < 2**63:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {settings.seed}.")
    if settings.draw_batch < 1:
        raise ValueError(f"draw_batch must be at least 1, got {settings.draw_batch}.")


def choose_normalisation(
    settings: Settings, train: ImageSet
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Take the mean and deviation that were given, or that the weights or the paper name.

    Otherwise they are those of the training images.
    """
    published = PUBLISHED.get(settings.data)
    channels = train.images.shape[1]
    if settings.mean is not None or settings.std is not None:
        if settings.mean is None or settings.std is None:
            raise ValueError("mean and std must be given together, got one of them.")
        return settings.mean, settings.std
    if settings.weights == "default" and is_foreign(settings.encoder):
        kind = kind_of(str(settings.encoder))
        prepared = LIBRARIES[kind.family].prepared(kind.name)
        return prepared.mean, prepared.std
    if published is not None and channels == len(published.mean):
        return published.mean, published.std
    return measure_pixels(train.images)


def build_model(
    settings: Settings, train: ImageSet, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Classifier, object]:
    """Build the model from the seed alone, whatever the global random state is."""
    channels, height, width = train.images.shape[1:]
    encoder = settings.encoder
    if encoder is None:
        encoder = "small_cnn" if max(height, width) <= SMALL_CNN_LIMIT else "resnet18"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = wrap(
            encoder,
            train.class_names,
            settings.variant,
            (channels, height, width),
            mean,
            std,
            similarity=settings.similarity,
            classifier=settings.classifier,
        )
    if settings.weights is None:
        if settings.freeze_encoder:
            raise ValueError(
                "freeze_encoder needs weights, a frozen random encoder learns nothing; "
                "add --weights default or --weights FILE."
            )
        return model, None
    return model, load_weights(
        model.encoder, model.kind, settings.weights, image_shape=model.image_shape
    )


def choose_recipe(settings: Settings) -> Recipe:
    """Start from the named recipe and apply the settings that were given."""
    name: str | None = settings.recipe
    if name is None:
        name = "vit" if settings.encoder == "vit" else "paper"
        name = "finetune" if settings.weights is not None else name
    recipe = RECIPES[name]
    published = PUBLISHED.get(settings.data)
    if published is not None:
        recipe = replace(recipe, augmentation=published.augmentation)
    names = (
        "batch_size",
        "optimizer",
        "learning_rate",
        "momentum",
        "nesterov",
        "weight_decay",
        "schedule",
        "milestones",
        "augmentation",
        "label_smoothing",
    )
    given = {name: getattr(settings, name) for name in names}
    recipe = replace(recipe, **{name: v for name, v in given.items() if v is not None})
    for name, low in (("batch_size", 2), ("learning_rate", 0), ("weight_decay", 0)):
        if getattr(recipe, name) < low:
            raise ValueError(f"{name} must be at least {low}, got {getattr(recipe, name)}.")
    for name in ("momentum", "label_smoothing"):
        if not 0 <= getattr(recipe, name) < 1:
            raise ValueError(f"{name} must be in [0, 1), got {getattr(recipe, name)}.")
    return recipe


def choose_plan(
    settings: Settings, recipe: Recipe, total: int, has_memory: bool, *, bfloat16: bool = False
) -> Plan:
    """Fix epochs and memory size."""
    published = PUBLISHED.get(settings.data)
    epochs = settings.epochs
    if epochs is None and published is not None:
        epochs = published.epochs
    if epochs is None:
        steps = total // min(recipe.batch_size, total)
        epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS // steps))
    memory_size = settings.memory_size
    if memory_size is None:
        memory_size = min(100, total)
    elif has_memory and memory_size > total:
        raise ValueError(
            f"memory_size must be at most {total}, the number of training images, "
            f"got {memory_size}."
        )
    return Plan(
        epochs=epochs,
        memory_size=memory_size,
        seed=settings.seed,
        self_attention=settings.compat == "authors",
        freeze_encoder=settings.freeze_encoder,
        bfloat16=bfloat16,
    )


def choose_bfloat16(precision: str, model: Classifier, device: str) -> bool:
    """Decide whether to train in bfloat16; "auto" does where it was seen to be faster."""
    if precision != "auto":
        return precision == "bfloat16"
    on_gpu = torch.device(device).type == "cuda"
    return has_bfloat16_units(device) and (on_gpu or gains_from_bfloat16(model))


def gains_from_bfloat16(model: Classifier) -> bool:
    """Say whether a network trains faster in bfloat16 on a CPU that has it.

    Depthwise convolutions do not, as a rule; of ours, MobileNet-v2 does all the same.
    """
    if model.kind.family == "whence":
        return model.kind.name not in SLOWER_IN_BFLOAT16
    convolutions = (m for m in model.encoder.modules() if isinstance(m, nn.Conv2d))
    return all(convolution.groups == 1 for convolution in convolutions)


def has_bfloat16_units(device: str = "cpu") -> bool:
    """Say whether a GPU, or the CPU (AMX or AVX-512 BF16), multiplies bfloat16 in hardware."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
