"""Simple classifiers beside a trained head: how good the same features are without it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.metrics.classes import measure_classes
from whence.records.class_measures import mean_recall
from whence.runs.prepare import Parts
from whence.training.labelled import Labelled
from whence.training.probe import Probe, fit_probe

NEIGHBOURS = 10
"""Nearest training images that a neighbours' answer counts."""

ROWS = 1024
"""Images whose neighbours are looked for at once."""


class Beside(NamedTuple):
    """What was fitted to the features of a frozen encoder beside the head."""

    probe: Probe
    train: Labelled


def fit_beside(parts: Parts, features: Mapping[str, Tensor]) -> Beside | None:
    """Fit a linear probe to the features of a run; None where its encoder is trained.

    Args:
        parts: of the run.
        features: `(n, D)` by the name of the part; empty where the encoder is trained.
    """
    if "train" not in features:
        return None
    device = features["train"].device
    train = Labelled(features["train"], parts.train.labels.to(device))
    asked = None
    if len(parts.validation) > 0:
        asked = Labelled(features["validation"], parts.validation.labels.to(device))
    classes = len(parts.train.class_names)
    return Beside(fit_probe(train, asked, classes, seed=parts.plan.seed), train)


def measure_beside(beside: Beside, asked: Labelled, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Measure a linear probe and the nearest neighbours on images with true classes.

    Returns:
        JSON: accuracy and balanced accuracy of each, fractions.
    """
    answers = {
        "linear_probe": beside.probe.log_probabilities(asked.features).argmax(1),
        "nearest_neighbours": ask_neighbours(beside.train, asked.features, len(class_names)),
    }
    return {
        name: {
            "accuracy": float((found == asked.labels).double().mean()),
            "balanced_accuracy": balance(found, asked.labels, class_names),
        }
        for name, found in answers.items()
    }


def balance(found: Tensor, labels: Tensor, class_names: tuple[str, ...]) -> float:
    """Compute the mean recall of the classes that have images."""
    return mean_recall(measure_classes(found.cpu(), labels.cpu(), class_names))


def ask_neighbours(
    train: Labelled, features: Tensor, classes: int, *, themselves: bool = False
) -> Tensor:
    """Answer with the label that most of the ten nearest training images carry, `(V,)`.

    Images are compared by the cosine of their features less the mean (Wang et al. 2019,
    arXiv:1911.04623).

    Args:
        train: N images.
        features: `(V, D)` of the images that are asked for.
        classes: K.
        themselves: these are the training images, in their order, each answered by all others.
    """
    mean = train.features.mean(0)
    stored = F.normalize(train.features - mean, dim=1)
    votes = F.one_hot(train.labels, classes).to(torch.int64)
    found = []
    for first in range(0, len(features), ROWS):
        cosines = F.normalize(features[first : first + ROWS] - mean, dim=1) @ stored.T
        if themselves:
            rows = torch.arange(len(cosines), device=cosines.device)
            cosines[rows, first + rows] = -torch.inf
        nearest = cosines.topk(min(NEIGHBOURS, len(stored) - themselves)).indices
        found.append(votes[nearest].sum(1).argmax(1))
    return torch.cat(found)


def say_beside(
    accuracy: float, beside: Mapping[str, Any], has_memory: bool, *, decided: bool = False
) -> str:
    """Say how a head's accuracy stands beside that of the simple classifiers.

    Args:
        accuracy: of the head, a fraction.
        beside: JSON of ``measure_beside``.
        has_memory: the head shows its evidence.
        decided: a class of the head is answered from a threshold on, so that it is not to be as
            accurate as it can.
    """
    probe, nearest = (beside[name]["accuracy"] for name in ("linear_probe", "nearest_neighbours"))
    simple = (
        f"On the same features a linear probe has {probe:.2%} right, the ten nearest images "
        f"{nearest:.2%}"
    )
    if decided:
        return f"{simple}, both by the highest probability, without a threshold."
    points = 100 * (accuracy - max(probe, nearest))
    amount = f"{abs(points):.2f} points" if round(points, 2) else "nothing"
    verb = "gains" if points > 0 else "costs"
    subject = "showing the evidence" if has_memory else "this head"
    return f"{simple}: {subject} {verb} {amount}."
