"""Learning rate, weight decay and augmentation chosen on the validation images, within a time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from filelock import FileLock

from whence.bounds import BATCH_SIZE
from whence.records.images import Dataset
from whence.runs.beside import fit_beside
from whence.runs.best_layers import take_best_layers
from whence.runs.encode_parts import encode_parts
from whence.runs.folder import SETTINGS, TUNING
from whence.runs.kept_features import FEATURES
from whence.runs.parse import from_mapping
from whence.runs.prepare import prepare
from whence.runs.settings import Settings, first_difference, read_toml, to_toml
from whence.runs.trials import VALIDATED, Tried, try_training
from whence.storage.lock import LOCK
from whence.storage.plain_files import read_json
from whence.storage.whole_files import is_leftover, write_json, write_whole
from whence.training.distributed import Team

JOURNAL, TUNED = "journal.log", "tuned.json"
"""Files of the tuning: every training that was tried, and what was chosen."""

OWN = "own"
"""Marks the training with the recipe's own numbers."""

PATIENT = 4
"""Trainings that are finished before any is given up."""

CHOSEN = ("learning_rate", "weight_decay", "augmentation")
"""Settings that are chosen, but for those that are given."""


def place_features(folder: Path) -> Path:
    """Name the folder of the features that the trainings of a tuning share, and those after it."""
    return folder / TUNING / FEATURES


def open_settings(settings: Settings) -> list[str]:
    """List the settings that are to be chosen.

    Raises:
        ValueError: if all are given.
    """
    left = [name for name in CHOSEN if getattr(settings, name) is None]
    if not left:
        raise ValueError(
            "tune has nothing to choose: learning_rate, weight_decay and augmentation are given; "
            "leave one of them out."
        )
    return left


def import_optuna() -> Any:
    """Import the optional package optuna, or say how to get it."""
    try:
        return import_module("optuna")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Tuning needs Optuna; install it with: python -m pip install optuna"
        ) from error


def begin_tuning(folder: Path, settings: Settings, *, resume: bool) -> Settings | None:
    """Look whether a tuning can begin or go on, and find what an earlier one chose.

    Args:
        folder: of the run, or of the runs of several seeds.
        settings: of the run, before tuning.
        resume: go on with what is there.

    Returns:
        The settings with what was chosen; None if the tuning is not finished.

    Raises:
        FileExistsError: if something else is there.
        ValueError: if a file is damaged, or there is no validation image to tune on.
    """
    place = folder / TUNING
    content = list(folder.iterdir()) if folder.exists() else []
    if not resume and any(path.name != LOCK and not is_leftover(path) for path in content):
        raise FileExistsError(
            f"{folder} is not empty; choose another --out, or add --resume to go on with its run."
        )
    if (place / SETTINGS).exists():
        started = from_mapping(read_toml(place / SETTINGS), Settings, where=str(place / SETTINGS))
        difference = first_difference(started, settings)
        if difference is not None:
            raise FileExistsError(
                f"{place} was started with another {difference}; choose another --out."
            )
    elif any(path.suffix == ".toml" or path.name.startswith("seed-") for path in content):
        raise FileExistsError(f"{folder} holds runs that were not tuned; choose another --out.")
    if not (place / TUNED).exists():
        return None
    return apply_tuned(settings, read_json(place / TUNED), place / TUNED)


def apply_tuned(settings: Settings, found: dict[str, Any], path: Path) -> Settings:
    """Put what was chosen into settings.

    Raises:
        ValueError: if the file is damaged.
    """
    names = open_settings(settings)
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path} must give {missing[0]}, it is damaged.")
    chosen = {"data": settings.data, **{name: found[name] for name in names}}
    checked = from_mapping(chosen, Settings, where=str(path))
    given = {name: getattr(checked, name) for name in names}
    mirror = None if "augmentation" in names else settings.mirror  # the augmentation says it
    return replace(settings, mirror=mirror, **given)


def tune(
    settings: Settings,
    dataset: Dataset,
    folder: Path,
    seconds: float,
    *,
    device: str = "cpu",
    number: int = 0,
    say: Callable[[str], None] = lambda sentence: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Try trainings until the time is over; several processes may do so at once.

    The recipe's own numbers are tried first, others by Optuna's sampler (Watanabe 2023,
    arXiv:2304.11127). What is behind the median of the others is given up. All that was tried is
    kept in the folder, and counts when the tuning goes on. A frozen encoder encodes the images once
    for all of them, before the time begins.

    Args:
        settings: of the run.
        dataset: the images that they name.
        folder: of the run, which ``begin_tuning`` did not refuse.
        seconds: that this process takes, those of earlier calls included.
        device: where to train.
        number: of this process among those that tune together.
        say: takes a sentence on every training.
        clock: tells the time in seconds, and never goes back.

    Raises:
        ModuleNotFoundError: if Optuna is not installed.
        ValueError: if there are no validation images.
    """
    import_optuna()
    parts = prepare(settings, dataset, device=device)
    if len(parts.validation) == 0:
        raise ValueError(
            "tune chooses on validation images, there are none; leave it out, or give more with "
            "--validation-examples."
        )
    write_whole(folder / TUNING / SETTINGS, to_toml(settings))
    parts.model.to(device)
    kept = place_features(folder)
    features = encode_parts(parts, dataset, kept, Team(), None, batch_size=BATCH_SIZE)
    parts, features, _ = take_best_layers(parts, settings, features, folder / TUNING, Team())
    tried = Tried(parts, features, fit_beside(parts, features))
    study = open_study(folder, seed=settings.seed + number)
    names = open_settings(settings)
    first = {name: getattr(parts.recipe, name) for name in names}
    if number == 0 and not any(trial.params == first for trial in finished(study)):
        study.enqueue_trial(first, user_attrs={OWN: True})
    before = sum(
        trial.duration.total_seconds()
        for trial in study.get_trials(deepcopy=False)
        if trial.duration is not None and trial.user_attrs.get("process") == number
    )
    deadline = clock() + seconds - before

    def attempt(trial: Any) -> float:
        trial.set_user_attr("process", number)
        return try_training(trial, names, tried, lambda: clock() >= deadline)

    while clock() < deadline:
        study.optimize(attempt, n_trials=1, catch=())
        say(describe_trial(study.get_trials(deepcopy=False)[-1]))


def open_study(folder: Path, *, seed: int) -> Any:
    """Open the journal of a tuning, or begin it; a process that is killed leaves no lock on it."""
    optuna = import_optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = import_module("optuna.storages.journal").JournalFileBackend
    path = folder / TUNING / JOURNAL
    journal = backend(str(path), lock_obj=FileLock(path.with_name(LOCK)))
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(journal),
        study_name="tuning",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed % 2**32),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=PATIENT, n_warmup_steps=1),
    )


def finished(study: Any) -> list[Any]:
    """List the trainings that were brought to their end."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def describe_trial(trial: Any) -> str:
    """Say in one sentence what was tried and what came of it."""
    came = "given up"
    if trial.state.name == "COMPLETE":
        came = f"validation accuracy {trial.user_attrs[VALIDATED]:.1%}"
    return f"training {trial.number + 1}, {write_values(trial.params)}: {came}."


def write_values(params: Mapping[str, float | str]) -> str:
    """Write settings and their values in a row."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:.3g}'}"
        for name, value in params.items()
    )


def end_tuning(settings: Settings, folder: Path, seconds: float) -> tuple[Settings, str]:
    """Choose the best of what was tried, and keep it.

    Args:
        settings: of the run, before tuning.
        folder: of the run.
        seconds: that the tuning took.

    Returns:
        The settings with it, and a sentence.

    Raises:
        ValueError: if the time was too short for one training.
    """
    study = open_study(folder, seed=settings.seed)
    done, count = finished(study), len(study.get_trials(deepcopy=False))
    if not done:
        raise ValueError(
            f"tune must last for one training, {seconds:g} s do not; give more time, or fewer "
            "epochs (--epochs)."
        )
    best = study.best_trial
    found = {**best.params, VALIDATED: best.user_attrs[VALIDATED], "trainings": count}
    write_json(folder / TUNING / TUNED, found)
    own = [f"{one.user_attrs[VALIDATED]:.1%}" for one in done if one.user_attrs.get(OWN)]
    compared = f", the recipe's own {own[0]}" if own else ""
    return (
        apply_tuned(settings, found, folder / TUNING / TUNED),
        f"Of {count} trainings the best on the validation images is that with "
        f"{write_values(best.params)}: accuracy {best.user_attrs[VALIDATED]:.1%}{compared}.",
    )
