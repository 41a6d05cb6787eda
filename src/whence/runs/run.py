"""One run: train, remember, evaluate, save; resumable at every moment."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.checks.expectations import Expectations
from whence.data.fingerprint import fingerprint
from whence.models.about import DONE, read_about
from whence.models.saved_bank import check_sources
from whence.models.sound import check_sound
from whence.records.images import Dataset
from whence.runs.beside import Beside, fit_beside
from whence.runs.best_layers import take_best_layers
from whence.runs.budget import keep_to_budget, read_epochs
from whence.runs.check_epochs import EpochChecks
from whence.runs.encode_parts import encode_parts
from whence.runs.finish import finish
from whence.runs.fit_parts import fit_parts
from whence.runs.folder import METRICS, begin_or_go_on, check_folder, check_identity, hold_checked
from whence.runs.folds import Pooled
from whence.runs.journal import LINE_SECONDS, SILENT, keep_journal
from whence.runs.kept_checkpoints import keep_epoch, start_keeping
from whence.runs.kept_features import FEATURES, remove_features
from whence.runs.marks import hash_marks
from whence.runs.prepare import Parts, prepare
from whence.runs.settings import CHECKPOINT_SECONDS, Settings
from whence.storage.checkpoint import Checkpoint, remove_checkpoints
from whence.storage.plain_files import read_json
from whence.training.choose_layers import ChosenLayers
from whence.training.distributed import Team
from whence.training.plan import Plan, check_plan
from whence.training.progress import LOWER, DivergedError, EpochReport
from whence.training.recipes import Recipe


class Begun(NamedTuple):
    """A training that may begin or go on."""

    parts: Parts  # with the model on its device
    checkpoint: Checkpoint | None  # where it goes on
    features: dict[str, Tensor]  # (n, D) of the images of each part by a frozen encoder
    beside: Beside | None  # what is fitted to them beside the head
    layers: ChosenLayers | None  # that were chosen for them


def run(
    settings: Settings,
    folder: Path,
    dataset: Dataset,
    *,
    resume: bool = False,
    device: str = "cpu",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    batch_size: int = BATCH_SIZE,
    line_seconds: float = LINE_SECONDS,
    team: Team | None = None,
    features_folder: Path | None = None,
    pooled: Pooled | None = None,
    expected: Expectations | None = None,
) -> dict[str, Any]:
    """Train one model and leave a run folder; go on with an unfinished one, skip a finished one.

    The validation images are measured after training, the test images once, at the end. The mark
    of a finished run is ``whence.json``, written last.

    Args:
        settings: everything that makes the run.
        folder: made if it is not there; nothing is written if settings and images do not fit.
        dataset: the images that the settings name.
        resume: go on from the newest complete checkpoint, or skip a finished run.
        device: where to train.
        checkpoint_seconds: at least so long between two checkpoints; 0 writes one every step.
        batch_size: images encoded at once when evaluating; does not change the result.
        line_seconds: least time between two lines on how far it is, where stderr is no terminal.
        team: the processes that train this model together, each calling this with the same
            arguments but its own device. Their leader alone reads and writes the folder.
        features_folder: where the features of a frozen encoder are kept for the runs to come; None
            keeps them in the run folder until the run is done.
        pooled: where the dataset is a fold and the others, all images of the folds, which a frozen
            encoder then encodes once.
        expected: what is looked at after every epoch, and kept in ``checks.jsonl``.

    Returns:
        The content of ``metrics.json``.

    Raises:
        FileExistsError: if the folder is not empty and ``resume`` is not set, or the settings or
            images there are others, or another process is writing to it.
        ValueError: if settings and images do not fit, or the loss becomes NaN.
    """
    team = team or Team()
    team.lead(lambda: check_folder(folder, settings, resume=resume))
    prepared = None
    if not team.lead((folder / DONE).exists):
        prepared = start(settings, dataset, device, team)
    checks = None
    if expected is not None and prepared is not None:
        checks = EpochChecks(expected, folder, settings, prepared)
        team.lead(checks.prepare)
    with team.in_lead(hold_checked(folder, settings, resume=resume), None):
        if prepared is None or team.lead((folder / DONE).exists):
            return team.lead(lambda: skip(folder, dataset))
        parts = prepared
        checkpoint, recipe, plan = team.lead(lambda: begin(folder, settings, parts))
        parts = replace(parts, recipe=recipe, plan=plan)
        parts.model.to(device)
        kept = features_folder or folder / FEATURES
        features = encode_parts(parts, dataset, kept, team, pooled, batch_size=batch_size)
        begun = settle(parts, checkpoint, settings, features, folder, team)
        if checks is not None:
            checks.parts = begun.parts
        seconds = train(
            begun,
            folder,
            team,
            checkpoint_seconds=checkpoint_seconds,
            line_seconds=line_seconds,
            keep_every=settings.keep_checkpoints,
            checks=checks if team.leads else None,
        )
        return team.lead(
            lambda: finish(
                begun.parts,
                folder,
                settings,
                identify(begun.parts),
                begun.features,
                begun.beside,
                begun.layers,
                device=device,
                seconds=seconds,
                batch_size=batch_size,
                processes=team.size,
            )
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
    if recorded.get("marks") != hash_marks(dataset.marks):
        raise FileExistsError(
            f"{folder} was made with other groups, weights or validation images; choose another "
            "--out."
        )
    remove_checkpoints(folder)
    remove_features(folder / FEATURES)
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


def begin(folder: Path, settings: Settings, parts: Parts) -> tuple[Checkpoint | None, Recipe, Plan]:
    """Write the settings, and find where the training goes on, and how.

    The precision that ``auto`` chose stays the same on another machine as well, and what a version
    of before did not have is not done from the middle on.

    Returns:
        The newest checkpoint, None without one, and the recipe and the plan that it was made with.

    Raises:
        FileExistsError: if the checkpoint is of another training.
        ValueError: if the checkpoint does not say what it is of.
    """
    checkpoint, recipe, plan = begin_or_go_on(folder, settings), parts.recipe, parts.plan
    if checkpoint is not None:
        recorded = checkpoint.numbers["run"]
        planned = recorded.get("plan")
        bfloat16 = isinstance(planned, dict) and planned.get("bfloat16") is True
        if isinstance(planned, dict):
            planned.setdefault("balance", "none")  # which checkpoints of before do not say
        started = recorded.get("recipe")
        if isinstance(started, dict):
            unknown = {name: one for name, one in asdict(Recipe()).items() if name not in started}
            started.update(unknown)
            asked = {name for name in unknown if getattr(settings, name, None) is not None}
            recipe = replace(recipe, **{n: one for n, one in unknown.items() if n not in asked})
        kept = None if settings.budget is None else read_epochs(folder)
        plan = replace(plan, bfloat16=bfloat16, epochs=kept or plan.epochs)
        check_identity(folder, recorded, identify(replace(parts, recipe=recipe, plan=plan)))
    return checkpoint, recipe, plan


def settle(
    parts: Parts,
    checkpoint: Checkpoint | None,
    settings: Settings,
    features: dict[str, Tensor],
    folder: Path,
    team: Team,
) -> Begun:
    """Settle what depends on the features: layers, the epochs of a budget, what is fitted beside.

    Args:
        parts: with the model on its device.
        checkpoint: where the training goes on; None at its start.
        settings: of the run.
        features: `(n, D)` of the images of each part by a frozen encoder; empty for another.
        folder: of the run.
        team: the processes that train together.
    """
    parts, features, layers = take_best_layers(
        parts, settings, features, folder, team, begun=checkpoint is not None
    )
    parts = replace(parts, plan=keep_to_budget(settings, parts, features, folder, team))
    return Begun(parts, checkpoint, features, fit_beside(parts, features), layers)


def train(
    begun: Begun,
    folder: Path,
    team: Team,
    *,
    checkpoint_seconds: float,
    line_seconds: float,
    keep_every: int | None,
    checks: EpochChecks | None = None,
) -> float:
    """Train the model of a run, from a checkpoint if there is one; returns all seconds spent."""
    parts, checkpoint, features = begun.parts, begun.checkpoint, begun.features
    model, steps = parts.model, count_steps(parts)
    if keep_every is not None and team.leads:
        start_keeping(folder, model, checkpoint, steps)
    if checks is not None:
        done = 0 if checkpoint is None else checkpoint.numbers["step"] // steps
        checks.begin(done, features.get("train"))
    keeping = keep_journal(
        folder,
        checkpoint,
        epochs=parts.plan.epochs,
        steps=steps,
        identity=identify(parts),
        checkpoint_seconds=checkpoint_seconds,
        line_seconds=line_seconds,
    )
    with team.in_lead(keeping, SILENT) as journal:

        def on_epoch(report: EpochReport) -> None:
            shown = {"loss": f"{report.loss:.3f}", "accuracy": f"{report.accuracy:.3f}"}
            journal.on_epoch(report.epoch, report, **shown)
            if keep_every is not None and report.epoch % keep_every == 0 and team.leads:
                keep_epoch(folder, model, report.epoch)
            if checks is not None:
                checks.look(report.epoch)

        with team.leader_says(DivergedError):
            fit_parts(
                model,
                parts.recipe,
                parts,
                features,
                begun.beside,
                on_epoch=on_epoch,
                on_step=journal.on_step,
                resume=checkpoint,
                team=team,
            )
        seconds = journal.seconds
    team.agree(
        lambda: check_sound("After the last step the model", model.state_dict(), hint=f"; {LOWER}")
    )
    return seconds


def count_steps(parts: Parts) -> int:
    """Count the steps of an epoch."""
    return len(parts.train) // min(parts.recipe.batch_size, len(parts.train))
