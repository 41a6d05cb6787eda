"""From settings to the recipe and the plan of a training."""

from dataclasses import asdict, replace

from whence.bounds import check_number, check_numbers
from whence.runs.published import PUBLISHED
from whence.runs.settings import Settings
from whence.training.plan import Plan, enough_epochs
from whence.training.recipes import RECIPES, Recipe

EPOCHS_AT_ONCE = 80
"""Epochs of votes that are trained on all images at once."""


def choose_recipe(settings: Settings) -> Recipe:
    """Start from the named recipe and apply the settings that were given."""
    name: str | None = settings.recipe
    if name is None:
        name = "vit" if settings.encoder == "vit" else "paper"
        name = "finetune" if settings.weights is not None else name
        name = "at-once" if is_at_once(settings) else name
    recipe = RECIPES[name]
    published = PUBLISHED.get(settings.data)
    if published is not None and not settings.freeze_encoder:
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
    check_numbers(asdict(recipe).items())
    check_number("batch_size", recipe.batch_size, least=2)
    return recipe


def is_at_once(settings: Settings) -> bool:
    """Say whether a head is trained on all images at once: votes of a frozen encoder."""
    return settings.variant == "votes" and settings.freeze_encoder


def choose_plan(
    settings: Settings, recipe: Recipe, total: int, has_memory: bool, *, bfloat16: bool = False
) -> Plan:
    """Fix epochs and memory size."""
    published = PUBLISHED.get(settings.data)
    epochs = settings.epochs
    if epochs is None and is_at_once(settings):
        epochs = EPOCHS_AT_ONCE
    if epochs is None and published is not None:
        epochs = published.epochs
    if epochs is None:
        epochs = enough_epochs(total, recipe.batch_size)
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
