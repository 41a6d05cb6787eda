"""The plan of a training: what it consists of besides its recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from whence.bounds import check_number
from whence.kinds import check_fields
from whence.messages import quote
from whence.training.distributed import Team, check_shares
from whence.training.recipes import Recipe, check_recipe


@dataclass(frozen=True)
class Plan:
    """What a training consists of besides its recipe.

    Attributes:
        epochs: how often every image is seen.
        memory_size: M, images drawn into the memory at every step.
        seed: of the batches, the memories, the augmentation and dropout.
        self_attention: let a batch image that is also in the memory attend to itself, as the
            authors' code does.
        freeze_encoder: keep the encoder as it is, encode every image once, train the head alone.
        bfloat16: run the encoder and the classifier in bfloat16; attention stays float32.
        balance: a name from ``BALANCES``, by what classes of unequal size count alike.
    """

    epochs: int
    memory_size: int = 100
    seed: int = 0
    self_attention: bool = False
    freeze_encoder: bool = False
    bfloat16: bool = False
    balance: str = "none"


BALANCES: Mapping[str, str] = MappingProxyType(
    {
        "none": "every image counts alike",
        "loss": "images of rare classes weigh more in the loss",
        "sampling": "batches are drawn with as many images of every class",
        "memory": "memories are drawn with as many images of every class, and votes of large "
        "classes count less",
    }
)
"""Ways to let classes of unequal size count alike, and what each of them does."""


EPOCHS_AT_ONCE = 80
"""Epochs of votes that are trained on all images at once."""

LEAST_EPOCHS = 40


def enough_epochs(total: int, recipe: Recipe) -> int:
    """Choose how often to see each of N images: 40 times, more often where that is few steps.

    >>> enough_epochs(1000, Recipe()), enough_epochs(60, Recipe())
    (115, 800)
    """
    steps = max(1, total // max(1, min(recipe.batch_size, total)))
    return max(LEAST_EPOCHS, -(-recipe.least_steps // steps))


def usual_plan(total: int, recipe: Recipe) -> Plan:
    """Plan a training of N images when nothing else is asked for, as the command does."""
    return Plan(enough_epochs(total, recipe), memory_size=min(100, total))


def check_plan(total: int, recipe: Recipe, plan: Plan, has_memory: bool, team: Team) -> None:
    """Refuse a training that cannot start.

    Raises:
        TypeError: if a value of the recipe or the plan is of another kind than its field.
        ValueError: if there are no images, or fewer than the memory needs or can be divided, or
            images are to change whose features are encoded once.
    """
    if total == 0:
        raise ValueError("train must hold at least one image, got none.")
    check_fields(plan)
    check_number("epochs", plan.epochs)
    check_number("seed", plan.seed)
    check_recipe(recipe)
    check_balance(plan.balance, has_memory)
    if plan.freeze_encoder and recipe.augmentation != "none":
        raise ValueError(
            f"augmentation must be none where the encoder is frozen, because every image is "
            f"encoded once, got {quote(recipe.augmentation)}; leave one of them out."
        )
    if recipe.mixing is not None and plan.freeze_encoder:
        raise ValueError(
            f"mixing must be left out where the encoder is frozen, because every image is encoded "
            f"once, got {quote(recipe.mixing)}."
        )
    if recipe.sharpness_radius > 0 and team.size > 1:
        raise ValueError(
            f"sharpness_radius must be 0 where {team.size} processes train one model, "
            f"got {recipe.sharpness_radius:g}."
        )
    if has_memory and not 1 <= plan.memory_size <= total:
        raise ValueError(
            f"memory_size must be in 1 to {total}, the number of training images, "
            f"got {plan.memory_size}."
        )
    if has_memory and plan.memory_size == 1 and not plan.self_attention:
        raise ValueError(
            "memory_size must be at least 2, because an image may not attend to itself, got 1."
        )
    batch_size = min(recipe.batch_size, total)
    check_shares(batch_size, plan.memory_size if has_memory else None, team)


def check_balance(balance: str, has_memory: bool) -> None:
    """Refuse an unknown way to balance classes, and a balanced memory where there is none.

    Raises:
        ValueError: naming what there is.
    """
    if balance not in BALANCES:
        raise ValueError(f"Unknown balance {quote(balance)}. Choose from: {', '.join(BALANCES)}.")
    if balance == "memory" and not has_memory:
        raise ValueError(
            "balance must be none, loss or sampling for a standard model, which has no memory, "
            "got 'memory'."
        )
