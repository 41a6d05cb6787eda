"""Runs in worker processes, here or on other machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.cli.plain_text import escape
from whence.cluster.run_tasks import train_all
from whence.cluster.worker import Task
from whence.runs.folder import check_folders


def train_tasks(
    tasks: Sequence[Task], folder: Path, options: Namespace, device: str | None
) -> dict[str, dict[str, Any]]:
    """Train runs side by side.

    Args:
        tasks: the runs.
        folder: that holds them.
        options: of the command.
        device: where each worker trains.

    Returns:
        What was measured, by folder; the runs that failed were named, and are not there.
    """
    check_folders(folder, {task.folder: task.settings for task in tasks}, resume=options.resume)
    outcomes = train_all(
        tasks,
        folder,
        scheduler=options.scheduler,
        workers=options.workers,
        device=device,
        clean=escape,
    )
    return {
        str(task.folder): outcome.metrics
        for task, outcome in zip(tasks, outcomes, strict=True)
        if outcome.metrics is not None
    }
