"""From settings to the recipe and the plan of a training."""

from dataclasses import replace

from whence.bounds import check_number
from whence.runs.duration import read_duration
from whence.runs.published import PUBLISHED, Published
from whence.runs.settings import Settings
from whence.training.default_recipe import OUR_RECIPE, mirrored, name_default
from whence.training.plan import EPOCHS_AT_ONCE, Plan, enough_epochs
from whence.training.recipes import RECIPES, Recipe, check_recipe


def choose_recipe(settings: Settings, *, mirror: bool = False) -> Recipe:
    """Start from the named recipe and apply the settings that were given.

    Args:
        settings: of a run.
        mirror: whether its images may be mirrored, for recipes that leave that open.

    Raises:
        ValueError: if the settings contradict each other, or hold a number that no training takes.
    """
    check_settings(settings)
    name = name_recipe(settings)
    recipe = RECIPES[name]
    published = find_published(settings)
    if published is not None and not settings.freeze_encoder:
        recipe = replace(recipe, augmentation=published.augmentation)
    if settings.freeze_encoder:
        recipe = replace(recipe, augmentation="none")
    elif settings.mirror is not None or name == OUR_RECIPE:
        recipe = replace(recipe, augmentation=mirrored(recipe.augmentation, mirror))
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
        "mixing",
        "label_smoothing",
        "sharpness_radius",
        "weight_averaging",
    )
    given = {name: getattr(settings, name) for name in names}
    recipe = replace(recipe, **{name: v for name, v in given.items() if v is not None})
    check_recipe(recipe)
    check_number("batch_size", recipe.batch_size, least=2)
    if settings.milestones is not None and recipe.schedule != "steps":
        raise ValueError(
            f"milestones are for schedule steps, this training has {recipe.schedule}; add "
            "--schedule steps, or leave them out."
        )
    return recipe


def check_settings(settings: Settings) -> None:
    """Refuse settings that contradict each other, and a budget that is no time.

    Raises:
        ValueError: naming them.
    """
    if settings.mirror is not None and settings.augmentation is not None:
        raise ValueError(
            f"augmentation {settings.augmentation} says already whether images are mirrored; "
            "leave it or mirror out."
        )
    if settings.budget is not None:
        read_duration("budget", settings.budget)
        if settings.epochs is not None:
            raise ValueError("epochs and budget both say how long to train; leave one out.")


def name_recipe(settings: Settings) -> str:
    """Return the name of the recipe that settings ask for, or leave to us."""
    if settings.recipe is not None:
        return settings.recipe
    return name_default(
        encoder=settings.encoder or "",
        pretrained=settings.weights is not None,
        frozen_votes=is_at_once(settings),
    )


def find_published(settings: Settings) -> Published | None:
    """Return what the paper sets for the images, for recipes that are the paper's."""
    return None if name_recipe(settings) == OUR_RECIPE else PUBLISHED.get(settings.data)


def is_at_once(settings: Settings) -> bool:
    """Say whether a head is trained on all images at once: votes of a frozen encoder."""
    return settings.head == "votes" and settings.freeze_encoder


def choose_plan(
    settings: Settings, recipe: Recipe, total: int, has_memory: bool, *, bfloat16: bool = False
) -> Plan:
    """Fix epochs and memory size."""
    published = find_published(settings)
    epochs = settings.epochs
    if epochs is None and is_at_once(settings):
        epochs = EPOCHS_AT_ONCE
    if epochs is None and published is not None:
        epochs = published.epochs
    if epochs is None:
        epochs = enough_epochs(total, recipe)
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
        balance=settings.balance,
    )
