"""One training of a tuning: with which values, how good it is, and when it is given up."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.bounds import BATCH_SIZE
from whence.memory.heads import Head, MemoryHead
from whence.memory.votes import Votes
from whence.models.classifier import Classifier
from whence.models.using import encode_frozen
from whence.records.images import ImageSet
from whence.runs.beside import Beside
from whence.runs.fit_parts import fit_parts
from whence.runs.prepare import Parts
from whence.training.default_recipe import mirrored
from whence.training.labelled import Labelled
from whence.training.progress import DivergedError, EpochReport
from whence.training.voting import compare_as_learned, read_votes

VALIDATED = "accuracy"
"""Under which the accuracy on the validation images is kept."""

FACTORS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"learning_rate": (0.1, 3.0), "weight_decay": (0.1, 10.0)}
)
"""Times the recipe's own, between which other values are tried."""

LOOKS = 5
"""How often in a training it is compared with the others, and given up if it is behind."""

TIE = 1e-3
"""Of the mean log probability of the true class, beside the accuracy: it decides ties."""


@dataclass(frozen=True)
class Tried:
    """What all trainings of a tuning share.

    Attributes:
        parts: of the run, with a model on its device, which stays as it is.
        features: `(n, D)` of a frozen encoder by the name of the part; empty for another.
        beside: what is fitted to them beside the head; None for an encoder that is trained.
    """

    parts: Parts
    features: Mapping[str, Tensor]
    beside: Beside | None


def try_training(
    trial: Any, names: Sequence[str], tried: Tried, is_over: Callable[[], bool]
) -> float:
    """Train with the numbers that a trial suggests; returns how good the validation answers are.

    Args:
        trial: of Optuna.
        names: of the settings that it suggests values of.
        tried: what is trained on.
        is_over: says whether the time is over.

    Raises:
        optuna.TrialPruned: if it is behind others, diverges, or the time is over.
    """
    parts = tried.parts
    given_up: type[Exception] = import_module("optuna").TrialPruned
    recipe = replace(parts.recipe, **{name: suggest(trial, name, parts) for name in names})
    model = copy.deepcopy(parts.model)
    every = max(1, parts.plan.epochs // LOOKS)

    def look(report: EpochReport) -> None:
        if is_over():
            raise given_up
        if report.epoch % every == 0:
            trial.report(measure_midway(model, tried)[1], report.epoch // every)
            if trial.should_prune():
                raise given_up

    try:
        fit_parts(model, recipe, parts, tried.features, tried.beside, on_epoch=look)
    except DivergedError as error:
        raise given_up from error
    accuracy, value = measure_answers(model.head, *encode_both(model, tried))
    trial.set_user_attr(VALIDATED, accuracy)
    return value


def suggest(trial: Any, name: str, parts: Parts) -> Any:
    """Let a trial suggest the value of a setting, near that of the recipe."""
    own = getattr(parts.recipe, name)
    if name == "augmentation":
        choices = {"none"} if parts.plan.freeze_encoder else {"none", own, mirrored(own, False)}
        return trial.suggest_categorical(name, sorted(choices))
    low, high = (factor * own for factor in FACTORS[name])
    return trial.suggest_float(name, low, high, log=True)


def measure_midway(model: Classifier, tried: Tried) -> tuple[float, float]:
    """Measure a model that is in training as if this were the end of it; the head stays as it is.

    Returns:
        As ``measure_answers``.
    """
    stored, asked = encode_both(model, tried)
    head, plan = copy.deepcopy(model.head), tried.parts.plan
    if isinstance(head, Votes) and stored is not None:
        (read_votes if plan.freeze_encoder else compare_as_learned)(head, stored, asked, plan)
    return measure_answers(head, stored, asked)


def encode_both(model: Classifier, tried: Tried) -> tuple[Labelled | None, Labelled]:
    """Encode training and validation images by the encoder as it is; it ends in eval mode.

    Returns:
        Images to store, None for a head without a memory, and images to ask.
    """
    model.eval()

    def encode(name: str, images: ImageSet) -> Labelled:
        known = tried.features.get(name)
        found = encode_frozen(model, images.images) if known is None else known
        return Labelled(found, images.labels.to(found.device))

    stored = encode("train", tried.parts.train) if model.has_memory else None
    return stored, encode("validation", tried.parts.validation)


@torch.no_grad()
def measure_answers(head: Head, stored: Labelled | None, asked: Labelled) -> tuple[float, float]:
    """Answer images, with others stored where the head reads a memory.

    Returns:
        Their accuracy, and what is compared, which knows no ties.
    """
    head.eval()
    if stored is None:
        logits = head(head.embed(asked.features))
    else:
        memory = head.embed(stored.features)
        found = [
            cast("MemoryHead", head).logits(head.embed(some), memory, labels=stored.labels)
            for some in asked.features.split(BATCH_SIZE)
        ]
        logits = torch.cat(found)
    right = float((logits.argmax(1) == asked.labels).double().mean())
    return right, right - TIE * float(F.cross_entropy(logits.float(), asked.labels))
