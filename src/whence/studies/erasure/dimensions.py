"""Importance of dimensions: with dropout, and when the largest is removed and all retrained."""

from collections.abc import Mapping
from functools import partial
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.studies.erasure.dense import (
    DenseNetwork,
    UnitImportance,
    erase_units,
    share_out,
    train_dense,
)
from whence.studies.erasure.tasks import FeatureTasks, divide_rows
from whence.studies.parts.gini import measure_gini
from whence.training.loop import seeded

DROPOUT_SHARE = 0.2
"""As in the paper."""

LAYERS = ("features", "hidden layer 1", "hidden layer 2")


class DimensionCase(NamedTuple):
    """What was found for one way to train, all tasks together."""

    accuracy: dict[str, float]
    shares: Tensor  # (tasks, D) of the importance of the features
    ginis: list[float]  # of each layer, mean over tasks
    units: list[Tensor]  # of each layer (tasks, D) shares


def erase_dimensions(
    given: FeatureTasks, steps: int, seed: int, device: str = "cpu"
) -> dict[str, Any]:
    """Train networks for every task in four ways, and erase their units; only what JSON can hold.

    Without dropout; with dropout; with the dimension of the largest share removed and all trained
    again; and with the next one of that network removed as well.
    """
    train = partial(train_case, given, steps, seed, device=device)
    plain = train()
    dropped = train(dropout=DROPOUT_SHARE)
    first = int(plain.shares.mean(0).argmax())
    once = train(removed=(first,))
    second = int(once.shares.mean(0).argmax())
    twice = train(removed=(first, second))
    third = int(twice.shares.mean(0).argmax())
    found: dict[str, Any] = {"removed": [first, second], "tasks": [*given.tasks]}
    for name, case, top in (
        ("plain", plain, first),
        ("dropout", dropped, int(dropped.shares.mean(0).argmax())),
        ("one removed", once, second),
        ("two removed", twice, third),
    ):
        found[name] = {
            "accuracy": case.accuracy,
            "shares": case.shares.tolist(),
            "ginis": case.ginis,
            "top": top,
            "top_share": float(case.shares.mean(0)[top]),
            "before": float(plain.shares.mean(0)[top]),
        }
    found["layers"] = [one.mean(0).tolist() for one in plain.units]
    if given.frequency is not None:
        found["frequency"] = [
            squared_correlation(given.features[:, one].abs(), given.frequency)
            for one in (first, second)
        ]
    return found


def train_case(
    given: FeatureTasks,
    steps: int,
    seed: int,
    *,
    dropout: float = 0.0,
    removed: tuple[int, ...] = (),
    device: str = "cpu",
) -> DimensionCase:
    """Train one network for each task, and erase its units one at a time.

    Args:
        given: features and tasks.
        steps: of each training.
        seed: of the division and of the networks.
        dropout: share of units left out in training.
        removed: dimensions that are 0 throughout.
        device: of the networks.
    """
    features = given.features.to(device, copy=True)
    features[:, list(removed)] = 0
    known, asked = divide_rows(len(features), seed=seed)
    accuracy: dict[str, float] = {}
    found: list[list[UnitImportance]] = []
    for name, own in given.tasks.items():
        labels, classes = own.to(device), int(own.max()) + 1
        with seeded(seed, torch.device(device)):
            network = DenseNetwork(features.shape[1], classes, dropout=dropout).to(device)
            train_dense(network, features[known], labels[known], steps=steps)
        network.requires_grad_(requires_grad=False)
        said = network(features[asked]).argmax(1)
        accuracy[name] = float((said == labels[asked]).double().mean())
        found.append(erase_units(network, features[asked], labels[asked]))
    units = [share_out([one[layer].relative for one in found]) for layer in range(len(LAYERS))]
    ginis = [mean(measure_gini(row) for row in layer) for layer in units]
    return DimensionCase(accuracy, units[0], ginis, units)


def squared_correlation(values: Tensor, others: Tensor) -> float:
    """Compute the squared correlation of values `(N,)` with others."""
    return float(torch.corrcoef(torch.stack([values.double(), others.double()]))[0, 1] ** 2)


def judge_dropout(found: Mapping[str, Any]) -> bool:
    """Say whether importance is spread more evenly over the features with dropout."""
    return bool(found["dropout"]["ginis"][0] < found["plain"]["ginis"][0])


def judge_replacement(found: Mapping[str, Any], *, lost: float = 0.02) -> bool:
    """Say whether another dimension takes over at the same accuracy when the largest is removed.

    The mean accuracy falls by at most ``lost``, and the largest dimension of the new network has a
    larger share than it had before.
    """
    after = found["one removed"]
    before = mean(found["plain"]["accuracy"].values())
    kept = mean(after["accuracy"].values()) >= before - lost
    return bool(kept and after["top_share"] > after["before"])
