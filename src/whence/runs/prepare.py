"""From settings to what a training needs: images, split, model, recipe and plan."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from whence.bounds import check_numbers
from whence.data.fingerprint import fingerprint
from whence.encoders import ALL_DEPTHS
from whence.encoders.adopt import kind_of
from whence.encoders.at_layers import network_of
from whence.encoders.load_weights import Weights, load_weights, read_weights
from whence.models.classifier import Classifier
from whence.models.wrap import wrap
from whence.records.images import Dataset, ImageSet
from whence.runs.before import describe_corrections, measure_before
from whence.runs.class_counts import check_every_class, check_validated
from whence.runs.divide import divide
from whence.runs.images import check_frozen, choose_encoder
from whence.runs.marks import hash_marks, take_counts
from whence.runs.mirroring import may_mirror
from whence.runs.normalisation import Normalisation, choose_normalisation
from whence.runs.precision import choose_bfloat16
from whence.runs.recipe_and_plan import choose_plan, choose_recipe
from whence.runs.settings import Settings
from whence.seeds import seed_global
from whence.training.plan import Plan
from whence.training.recipes import Recipe


@dataclass(frozen=True)
class Parts:
    """Everything one run starts from.

    Attributes:
        train, validation, test: the images.
        indices: `(N,)` places of the training images in the dataset's training set.
        validation_indices: `(n,)` places of the validation images there.
        model: with fresh or pretrained parameters, on the CPU.
        recipe, plan: how it is trained.
        counts: `(N,)` how much each training image counts, 1 on average; None counts all alike.
        groups: `(N,)` numbers of the groups of the training images, where they are known.
        corrections: which labels were corrected before; says nothing that the images and their
            marks in ``identity`` do not decide.
        before: accuracies on the test images of the run whose labels were corrected, where known.
        identity: JSON that identifies data and settings as resolved.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    indices: Tensor
    validation_indices: Tensor
    model: Classifier
    recipe: Recipe
    plan: Plan
    identity: dict[str, object]
    counts: Tensor | None = None
    groups: Tensor | None = None
    corrections: dict[str, object] | None = None
    before: dict[str, object] | None = None


def prepare(settings: Settings, dataset: Dataset, *, device: str = "cpu") -> Parts:
    """Split the data, build the model and fill in every setting that was left open.

    Args:
        settings: what was asked for.
        dataset: the images that the settings name.
        device: where the run will train; decides the precision when the settings leave it open.

    Raises:
        ValueError: if the settings and the data do not go together.
    """
    check_numbers(asdict(settings).items())
    check_frozen(settings)
    parts = divide(dataset, settings)
    train, validation = dataset.train.take(parts.train), dataset.train.take(parts.validation)
    check_every_class(train)
    check_validated(settings, validation)
    weights = weights_for(settings, train)
    prepared = None if weights is None else weights.prepared
    normalisation = choose_normalisation(settings, train, prepared)
    model, record = build_model(settings, train, normalisation, weights)
    recipe = choose_recipe(settings, mirror=may_mirror(settings, dataset, parts))
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
        "marks": hash_marks(dataset.marks),
        "seed": settings.seed,
        "weights": record,
        "normalisation": asdict(normalisation),
    }
    return Parts(
        train=train,
        validation=validation,
        test=dataset.test,
        indices=parts.train,
        validation_indices=parts.validation,
        model=model,
        recipe=recipe,
        plan=plan,
        identity=identity,
        counts=take_counts(dataset.marks, parts.train),
        groups=None if dataset.marks.groups is None else dataset.marks.groups[parts.train],
        corrections=describe_corrections(settings, train.class_names),
        before=measure_before(settings, dataset.test, device=device),
    )


def weights_for(settings: Settings, train: ImageSet, *, download: bool = True) -> Weights | None:
    """Read the weights that settings name for images like these; None if they name none.

    Args:
        settings: of the run.
        train: images whose shape decides.
        download: fetch published weights that are not in a cache.
    """
    if settings.weights is None:
        return None
    channels, height, width = train.images.shape[1:]
    kind = kind_of(choose_encoder(settings, (height, width)))
    return read_weights(kind, settings.weights, (channels, height, width), download=download)


def build_model(
    settings: Settings, train: ImageSet, normalisation: Normalisation, weights: Weights | None
) -> tuple[Classifier, str | None]:
    """Build the model from the seed alone, whatever the global random state is.

    Returns:
        The model, and the record of its weights; None without weights.
    """
    channels, height, width = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        seed_global(settings.seed)
        model = wrap(
            choose_encoder(settings, (height, width)),
            train.class_names,
            variant=settings.head,
            image_shape=(channels, height, width),
            mean=normalisation.mean,
            std=normalisation.std,
            layers=(ALL_DEPTHS,) if settings.chooses_layers else settings.named_layers,
            similarity=settings.similarity,
            classifier=settings.classifier,
        )
    if weights is None:
        return model, None
    return model, load_weights(network_of(model.encoder), weights)
