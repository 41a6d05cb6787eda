"""An edited memory kept: as a named memory of the run, or its edits as a table."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whence.data.corrections import AUDIT_COLUMNS, REMOVE
from whence.memory.bank import Bank
from whence.models.classifier import Classifier
from whence.runs.other_memory import check_new, say_calibration_lost, write_with_memory
from whence.runs.rows_of_answers import rows_to_csv
from whence.runs.where import BANKS
from whence.viewer.changes import EditedMemory
from whence.viewer.viewed_run import ViewedRun

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of a memory: the name of a folder, on every system."""


def save_memory(
    run: ViewedRun,
    edited: Classifier,
    standing: EditedMemory,
    steps: Sequence[str],
    name: str,
    *,
    batch_size: int,
) -> dict[str, Any]:
    """Keep an edited memory as a run of its own below the run, calibrated and measured anew.

    Args:
        run: that is viewed.
        edited: its model with the memory.
        standing: what the steps come to.
        steps: in words, which the new run keeps.
        name: of the memory.
        batch_size: images encoded at once.

    Raises:
        FileExistsError: if the name is taken.
        ValueError: if there is nothing to save, the name is none, or another run stands there now.
    """
    if standing.is_empty:
        raise ValueError("The memory is as it was saved; change something first.")
    if not NAME.fullmatch(name):
        raise ValueError(
            "The name of a memory has letters, digits, dots, dashes and underscores, at most 64."
        )
    if run.replaced:
        raise ValueError("The run folder was replaced since the viewer started; start it again.")
    out = run.folder / BANKS / name
    if out.exists():
        raise FileExistsError(f"A memory is called {name} already; choose another name.")
    check_new(out)
    made = {"edited": {"steps": list(steps), "removed": sorted(standing.removed)}}
    made["edited"]["labels"] = {str(index): label for index, label in standing.labels.items()}
    metrics = write_with_memory(
        edited, run.folder, out, made, where=run.where, batch_size=batch_size
    )
    test = metrics.get("test", {})
    return {
        "name": name,
        "folder": str(Path(BANKS) / name),
        "accuracy": test.get("accuracy"),
        "notes": list(say_calibration_lost(run.model, edited)),
    }


def write_edits(bank: Bank, standing: EditedMemory, names: Sequence[str]) -> str:
    """Write edits as the table that ``whence edit --corrections`` and ``whence train`` take.

    Images that were added are not in it: they have no file that a run knows.

    Raises:
        ValueError: if there is nothing to write.
    """
    if not standing.removed and not standing.labels:
        raise ValueError("No stored image was left out or relabelled, so there is no table yet.")
    remove = REMOVE[1] if REMOVE[0] in names else REMOVE[0]
    places = {index: place for place, index in enumerate(bank.indices.tolist())}
    rows = []
    for index in sorted(standing.removed | standing.labels.keys()):
        place = places[index]
        label = int(bank.labels[place])
        entries = dict.fromkeys(AUDIT_COLUMNS, "")
        entries["file"] = "" if bank.sources is None else bank.sources[place]
        entries["index"] = str(index)
        entries["label"] = "" if label < 0 else names[label]
        entries["corrected_label"] = remove if index in standing.removed else standing.labels[index]
        rows.append(entries)
    return rows_to_csv(rows)
