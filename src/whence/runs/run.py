"""One run: train, remember, evaluate, save; resumable at every moment."""

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from whence.data.fingerprint import fingerprint
from whence.models.saved import DONE, read_about
from whence.models.saved_bank import check_sources
from whence.models.sound import check_sound
from whence.records.images import Dataset
from whence.runs.finish import METRICS, finish
from whence.runs.journal import keep_journal
from whence.runs.parse import from_mapping
from whence.runs.prepare import Parts, prepare
from whence.runs.settings import (
    CHECKPOINT_SECONDS,
    Settings,
    first_difference,
    read_toml,
    to_toml,
)
from whence.storage.checkpoint import (
    Checkpoint,
    read_newest_checkpoint,
    remove_checkpoints,
)
from whence.storage.lock import LOCK, hold
from whence.storage.plain_files import read_json
from whence.storage.whole_files import (
    is_leftover,
    remove_leftovers,
    write_whole,
)
from whence.training.distributed import Team
from whence.training.loop import EpochReport, fit
from whence.training.plan import check_plan
from whence.training.progress import NonFiniteLossError

SETTINGS = "settings.toml"
LOWER = "; try a lower learning rate (--learning-rate)"


def run(
    settings: Settings,
    folder: Path,
    dataset: Dataset,
    *,
    resume: bool = False,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    batch_size: int = 128,
    team: Team | None = None,
) -> dict[str, Any]:
    """Train one model and leave a run folder; go on with an unfinished one, skip a finished one.

    The validation images are read after training, the test images once, at the end. The mark of a
    finished run is ``whence.json``, written last.

    Args:
        settings: everything that makes the run.
        folder: made if it is not there; nothing is written if settings and images do not fit.
        dataset: the images that the settings name.
        resume: go on from the newest complete checkpoint, or skip a finished run.
        device: where to train.
        checkpoint_seconds: at least so long between two checkpoints; 0 writes one every step.
        batch_size: images encoded at once when evaluating; does not change the result.
        team: the processes that train this model together, each calling this with the same
            arguments but its own device. Their leader alone reads and writes the folder.

    Returns:
        The content of ``metrics.json``.

    Raises:
        FileExistsError: if the folder is not empty and ``resume`` is not set, or the settings or
            images there are others, or another process is writing to it.
        ValueError: if settings and images do not fit, or the loss becomes NaN.
    """
    team = team or Team()
    if not team.leads:
        return follow(settings, dataset, device, team)
    check_folder(folder, settings, resume=resume)
    parts = None
    if not team.share((folder / DONE).exists()):
        parts = start(settings, dataset, device, team)
    with hold(folder):
        check_folder(folder, settings, resume=resume)  # as nobody else can change it now
        remove_leftovers(folder)
        if parts is None or team.share((folder / DONE).exists()):
            return team.share(skip(folder, dataset))
        write_whole(folder / SETTINGS, to_toml(settings))
        checkpoint = read_newest_checkpoint(folder)
        if checkpoint is not None:
            parts = go_on(parts, checkpoint, folder)
        team.share((checkpoint, parts.plan))
        seconds = train(parts, folder, checkpoint, device, checkpoint_seconds, team)
        metrics = finish(
            parts,
            folder,
            settings,
            identify(parts),
            device=device,
            seconds=seconds,
            batch_size=batch_size,
            processes=team.size,
        )
        return team.share(metrics)


def follow(settings: Settings, dataset: Dataset, device: str, team: Team) -> dict[str, Any]:
    """Do another process's share of ``run``: it trains, and leaves the folder to the leader."""
    finished = team.share(False)
    if not finished:
        parts = start(settings, dataset, device, team)
        finished = team.share(False)
    if not finished:
        checkpoint, plan = team.share((None, parts.plan))
        parts.model.to(device)
        with suppress(NonFiniteLossError):  # the leader says it, and stops
            fit(
                parts.model,
                parts.train,
                recipe=parts.recipe,
                plan=plan,
                resume=checkpoint,
                team=team,
            )
    return team.share({})


def check_folder(folder: Path, settings: Settings, *, resume: bool) -> None:
    """Refuse a folder that holds something else."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if there.exists() and not there.is_dir():
        raise FileExistsError(f"{folder} must be a folder, but {there} is a file.")
    content = list(folder.iterdir()) if folder.exists() else []
    if all(path.name == LOCK or is_leftover(path) for path in content):
        return
    if not resume:
        raise FileExistsError(
            f"{folder} is not empty; choose another --out, or add --resume to go on with its run."
        )
    if not (folder / SETTINGS).exists():
        raise FileExistsError(f"{folder} holds no run that could go on; choose another --out.")
    started = from_mapping(read_toml(folder / SETTINGS), where=str(folder / SETTINGS))
    difference = first_difference(started, settings)
    if difference is not None:
        raise FileExistsError(
            f"{folder} was started with another {difference}; choose another --out."
        )


def start(settings: Settings, dataset: Dataset, device: str, team: Team) -> Parts:
    """Prepare a training and check that it can start and its result be saved."""

    def work() -> Parts:
        parts = prepare(settings, dataset, device=device)
        check_plan(len(parts.train), parts.recipe, parts.plan, parts.model.has_memory, team)
        check_sources("the images", parts.train.sources or ())
        return parts

    parts = team.agree(work)
    team.check_same({**identify(parts), "version_of_torch": torch.__version__})
    return parts


def skip(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Return the numbers of a finished run, which must be of the same images."""
    recorded = read_about(folder)["run"]
    for name, images in (("train", dataset.train), ("test", dataset.test)):
        if recorded.get(f"{name}_fingerprint") != fingerprint(images):
            raise FileExistsError(
                f"{folder} was made with other {name} images; choose another --out."
            )
    remove_checkpoints(folder)
    return read_json(folder / METRICS)


def identify(parts: Parts) -> dict[str, Any]:
    """Lay out as JSON what a training is made of: data, recipe and plan."""
    content = {
        **parts.identity,
        "recipe": asdict(parts.recipe),
        "plan": asdict(parts.plan),
    }
    identity: dict[str, Any] = json.loads(json.dumps(content))  # tuples become lists
    return identity


def go_on(parts: Parts, checkpoint: Checkpoint, folder: Path) -> Parts:
    """Check that a checkpoint is of this very training, and keep its precision.

    The precision that ``auto`` chose must stay the same on another machine as well.

    Raises:
        FileExistsError: naming what differs.
        ValueError: if the checkpoint does not say what it is of.
    """
    recorded, seconds = checkpoint.numbers.get("run"), checkpoint.numbers.get("seconds")
    if not isinstance(recorded, dict) or not isinstance(seconds, float):
        raise ValueError(f"{folder} has a checkpoint that does not say its run; it is damaged.")
    bfloat16 = isinstance(recorded.get("plan"), dict) and recorded["plan"].get("bfloat16") is True
    parts = replace(parts, plan=replace(parts.plan, bfloat16=bfloat16))
    for name, value in identify(parts).items():
        if recorded.get(name) != value:
            what = name.replace("_fingerprint", " images").replace("_", " ")
            raise FileExistsError(f"{folder} was started with other {what}; choose another --out.")
    return parts


def train(
    parts: Parts,
    folder: Path,
    checkpoint: Checkpoint | None,
    device: str,
    checkpoint_seconds: float,
    team: Team,
) -> float:
    """Train the model of a run, from a checkpoint if there is one; returns all seconds spent."""
    parts.model.to(device)
    with keep_journal(
        folder,
        checkpoint,
        epochs=parts.plan.epochs,
        steps=len(parts.train) // min(parts.recipe.batch_size, len(parts.train)),
        identity=identify(parts),
        checkpoint_seconds=checkpoint_seconds,
    ) as journal:

        def on_epoch(report: EpochReport) -> None:
            shown = {"loss": f"{report.loss:.3f}", "accuracy": f"{report.accuracy:.3f}"}
            journal.on_epoch(report.epoch, report, **shown)

        try:
            fit(
                parts.model,
                parts.train,
                recipe=parts.recipe,
                plan=parts.plan,
                resume=checkpoint,
                on_step=journal.on_step,
                on_epoch=on_epoch,
                team=team,
            )
        except NonFiniteLossError as error:
            raise ValueError(str(error)) from error
        seconds = journal.seconds
    check_sound("After the last step the model", parts.model.state_dict(), hint=LOWER)
    return seconds
