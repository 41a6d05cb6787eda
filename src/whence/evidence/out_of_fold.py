"""Answers for training images of a frozen encoder by votes that were trained without them."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.fingerprint import content_hashes
from whence.evidence.answers import Memory, answer, signals_of
from whence.evidence.held_out import divide_evenly
from whence.evidence.known import is_known
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.images import ImageSet
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.progress import EpochReport
from whence.training.recipes import Recipe

THIRDS = 3

ENOUGH = 1000
"""Answers after which no other third is asked: they fix a probability to one or two hundredths."""


class Judged(NamedTuple):
    """Answers for images that were not trained on."""

    doubts: Tensor  # (n, S), a column for each signal of the model
    wrong: Tensor  # (n,) bool


class Encoded(NamedTuple):
    """Images and their features by a frozen encoder."""

    images: ImageSet
    features: Tensor  # (n, D)

    def take(self, places: Tensor) -> "Encoded":
        """Return those at places `(m,)`."""
        return Encoded(
            self.images.take(places.cpu()), self.features[places.to(self.features.device)]
        )


def answer_out_of_fold(
    model: Classifier,
    train: Encoded,
    validation: Encoded | None,
    *,
    recipe: Recipe,
    plan: Plan,
    groups: Tensor | None = None,
    counts: Tensor | None = None,
    batch_size: int = BATCH_SIZE,
) -> Judged | None:
    """Answer for each third of the training images by votes trained on the other two.

    Stored images are answered for by keys that were fitted to them, which says nothing of new ones;
    these answers do, and there are more of them than validation images. Of many images one or two
    thirds are enough.

    Args:
        model: votes of a frozen encoder, trained, with its threshold; it is left as it is.
        train: N images that it was trained on.
        validation: images that choose how many stored images count; None or no images keeps some.
        recipe: of its training.
        plan: of its training.
        groups: `(N,)` numbers; images of a group are in the same third. None divides each class.
        counts: `(N,)` how much each training image counts.
        batch_size: answers computed at once.

    Returns:
        None where a third holds all images of a class, or every image is a copy of one in another
        third. Copies of images that were trained on are left out, and a third that no image outside
        of it teaches, because those outside count nothing.
    """
    if groups is None:
        folds = divide_evenly(train.images.labels, THIRDS)
    else:
        folds = groups.unique(return_inverse=True)[1] % THIRDS
    parts = list(list_folds(folds, train.images.labels, len(model.class_names)))
    if len(parts) < THIRDS:
        return None
    doubts, wrong = [], []
    for stays, asked in parts:
        if counts is not None and not bool(counts[stays].any()):
            continue
        kept, out = train.take(stays), train.take(asked)
        learner = copy.deepcopy(model)
        fit(
            learner,
            kept.images,
            recipe=recipe,
            plan=replace(plan, memory_size=min(plan.memory_size, len(stays))),
            features=kept.features,
            validation=None if validation is None else validation.images,
            validation_features=None if validation is None else validation.features,
            counts=None if counts is None else counts[stays],
            on_epoch=stay_silent,
        )
        learner.remember(kept.images, features=kept.features)
        learner.decision = model.decision
        stored = learner.fitting_bank().places
        known = is_known(content_hashes(out.images.images), {"memory": stored})
        fresh = [place for place, one in enumerate(known) if not one]
        if not fresh:
            continue
        new = out.take(torch.tensor(fresh))
        found = judge_answers(learner, new, batch_size=batch_size)
        doubts.append(found.doubts)
        wrong.append(found.wrong)
        if sum(map(len, wrong)) >= ENOUGH:
            break
    return Judged(torch.cat(doubts), torch.cat(wrong)) if wrong else None


def list_folds(folds: Tensor, labels: Tensor, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """List, for each fold `(N,)`, the places of the others and its own.

    A fold without which a class has fewer than two images is left out.
    """
    for fold in range(THIRDS):
        stays, asked = ((folds != fold).nonzero()[:, 0], (folds == fold).nonzero()[:, 0])
        if len(asked) and int(labels[stays].bincount(minlength=classes).min()) > 1:
            yield stays, asked


def stay_silent(report: EpochReport) -> None:
    """Show no progress."""


def judge_answers(model: Classifier, asked: Encoded, *, batch_size: int) -> Judged:
    """Answer for encoded images with the bank of a model, and look which are wrong."""
    with evaluating(model):
        queries = model.head.embed(asked.features)
        labels = asked.images.labels.to(queries.device)
        memory, names = Memory.of(model), signals_of(model)
        found = answer(model, queries, labels, memory, signals=names, batch_size=batch_size)
    return Judged(found.doubts, found.predicted != labels)
