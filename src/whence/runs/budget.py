"""A training of a given length in wall time: how many epochs that is, measured once and kept."""

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from whence.bounds import BOUNDS
from whence.runs.duration import read_duration
from whence.runs.folder import CHOSEN_LAYERS, SETTINGS
from whence.runs.kept_features import FEATURES, remove_features
from whence.runs.prepare import Parts
from whence.runs.recipe_and_plan import is_at_once
from whence.runs.settings import Settings
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json
from whence.training.distributed import Team
from whence.training.fit import fit
from whence.training.plan import EPOCHS_AT_ONCE, Plan

PLAN = "plan.json"
"""The file of a run folder that keeps how many epochs its budget was found to be."""

WARM, TIMED = 3, 12
"""Steps that are taken before time counts, and steps whose median is what one takes."""

PLANNED = 0.9
"""Of the budget that is planned for: a machine may be slower later, and checkpoints take time."""


def keep_to_budget(
    settings: Settings, parts: Parts, features: dict[str, Tensor], folder: Path, team: Team
) -> Plan:
    """Plan as many epochs as fit into the budget; once planned, a run keeps to them.

    Args:
        settings: of the run; without a budget its plan stays as it is.
        parts: with the model, on its device.
        features: `(n, D)` of the images by a frozen encoder, by the name of the part.
        folder: of the run.
        team: the processes that train together.

    Raises:
        ValueError: if not one epoch fits.
        SystemExit: in the other processes.
    """
    if settings.budget is None:
        return parts.plan
    kept = team.lead(lambda: read_epochs(folder))
    if kept is not None:
        return replace(parts.plan, epochs=kept)
    seconds = team.share(measure_epoch(parts, features.get("train"), team))
    epochs = count_epochs(settings.budget, seconds)
    if epochs == 0:
        team.lead(lambda: free(folder))
        with team.leader_says(ValueError):
            raise ValueError(
                f"budget must last for one epoch, which takes {math.ceil(seconds / PLANNED):,} s "
                f"here, got {settings.budget}; give more time, or fewer training images "
                "(--train-examples)."
            )
    if is_at_once(settings):
        epochs = min(epochs, EPOCHS_AT_ONCE)
    team.lead(lambda: write_json(folder / PLAN, {"epochs": epochs}))
    return replace(parts.plan, epochs=epochs)


def free(folder: Path) -> None:
    """Leave a folder that a run has begun in free, so that another budget may be tried there."""
    remove_features(folder / FEATURES)
    for name in (CHOSEN_LAYERS, SETTINGS):
        (folder / name).unlink(missing_ok=True)


def read_epochs(folder: Path) -> int | None:
    """Read how many epochs a run was planned to have; None before that.

    Raises:
        ValueError: if the file is damaged.
    """
    if not (folder / PLAN).exists():
        return None
    epochs = read_json(folder / PLAN).get("epochs")
    if type(epochs) is not int or epochs < 1:
        raise ValueError(f"{folder / PLAN} must hold a number of epochs, it is damaged.")
    return epochs


def count_epochs(budget: str, seconds: float) -> int:
    """Count the epochs that a budget pays for, each of so many seconds.

    >>> count_epochs("10s", 2.0), count_epochs("1s", 2.0)
    (4, 0)
    """
    whole = PLANNED * read_duration("budget", budget)
    return int(min(whole / seconds, BOUNDS["epochs"].high))


def measure_epoch(
    parts: Parts, features: Tensor | None, team: Team, clock: Callable[[], float] = time.monotonic
) -> float:
    """Train a copy of the model for a few steps; returns the seconds that an epoch takes.

    Args:
        parts: with the model, on its device, which stays as it is.
        features: `(N, D)` of the training images by a frozen encoder.
        team: the processes that train together.
        clock: tells the time in seconds, and never goes back.
    """
    total = len(parts.train)
    batch_size = min(parts.recipe.batch_size, total)
    few = min(total, max(batch_size * TIMED, parts.plan.memory_size))
    times: list[float] = []

    def tell(_: object) -> None:
        synchronize(parts.model.mean.device)
        times.append(clock())

    fit(
        copy.deepcopy(parts.model),
        parts.train.take(range(few)),
        recipe=parts.recipe,
        plan=replace(parts.plan, epochs=-(-(WARM + TIMED) // (few // batch_size))),
        features=None if features is None else features[:few],
        on_step=tell,
        team=team,
    )
    steps = [after - before for before, after in itertools.pairwise(times)]
    return total // batch_size * statistics.median(steps[WARM:])


def synchronize(device: torch.device) -> None:
    """Wait for what a GPU still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
