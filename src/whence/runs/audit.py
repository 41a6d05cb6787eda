"""The audit loop: suspicious labels as a table, corrections applied to a finished run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whence.data.corrections import (
    AUDIT_COLUMNS,
    Correction,
    corrections_to_json,
    read_corrections,
)
from whence.data.names import compose
from whence.evidence.choose_stored import One
from whence.evidence.edit import edit
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.records.measures import NearStored, Suspicion
from whence.records.overview import Corrected
from whence.runs.before import (
    BOTH_ACCURACIES,
    CORRECTIONS,
    LISTED_IN_RECORD,
    name_origin,
)
from whence.runs.other_memory import (
    MEMORY,
    check_new,
    say_calibration_lost,
    write_with_memory,
)
from whence.runs.rows_of_answers import write_rows
from whence.runs.shares_now import read_shares
from whence.runs.where import AS_SETTINGS_SAY, Where


def write_audit(
    path: Path,
    suspicious: Sequence[Suspicion],
    nearest: Mapping[int, Sequence[NearStored]],
    class_names: Sequence[str],
    run: Path,
) -> None:
    """Write suspicious labels as a table that a person fills in.

    Args:
        path: of the CSV file.
        suspicious: at least one, most suspicious first.
        nearest: the most similar stored images of each, by its index.
        class_names: K names.
        run: that the images are stored in, which the table names.
    """
    rows, origin = [], name_origin(run, path)
    for one in suspicious:
        names = (one.source or "", one.index, class_names[one.label], class_names[one.resembles])
        near = "; ".join(name_near(other, class_names) for other in nearest.get(one.index, ()))
        entries = (*names, round(one.score, 3), "", near, origin)
        rows.append(dict(zip(AUDIT_COLUMNS, map(str, entries), strict=True)))
    write_rows(path, rows)


def name_near(one: NearStored, class_names: Sequence[str]) -> str:
    """Name a similar stored image, its label and its similarity."""
    label = "no label" if one.label is None else class_names[one.label]
    return f"{one.source or f'image {one.index}'} ({label}, {one.similarity:.2f})"


def edit_run(
    run: Path,
    table: Path,
    out: Path,
    *,
    device: str,
    batch_size: int,
    where: Where = AS_SETTINGS_SAY,
) -> dict[str, Any]:
    """Apply corrections to the memory of a finished run, without training, as a run of its own.

    The new run is calibrated and measured again, on the same images.

    Args:
        run: the run folder.
        table: of corrections.
        out: the new folder.
        device: where to compute.
        batch_size: images encoded at once.
        where: the run's images are.

    Returns:
        JSON: what was corrected, accuracy before and after, and notes.

    Raises:
        FileExistsError: if there is something at ``out``.
        FileNotFoundError: if there is no such run or table, or the run's images are gone.
        ValueError: if a correction names no stored image, or nothing is corrected.
    """
    check_new(out)
    model = load_to_answer(run, device)
    corrections = read_corrections(table, model.class_names)
    edited = correct_memory(model, corrections, str(table))
    made = corrections_to_json(corrections, str(table), listed=LISTED_IN_RECORD)
    shares = read_shares(run, model, where=where, batch_size=batch_size)
    made_of = {CORRECTIONS: {**made, "before": shares}}
    after = write_with_memory(edited, run, out, made_of, where=where, batch_size=batch_size)
    test = after.get("test", {})
    return {
        **made,
        "before": shares,
        "after": {name: test.get(name) for name in shares},
        "notes": list(say_calibration_lost(model, edited)),
    }


def correct_memory(model: Classifier, corrections: Sequence[Correction], where: str) -> Classifier:
    """Make a model whose stored images have the corrected labels, and lack those taken out.

    Raises:
        ValueError: if a correction names no stored image, or one with another label, or nothing is
            corrected.
    """
    if not model.has_memory:
        raise ValueError("A standard model has no memory to correct; train again, with the labels.")
    bank = model.fitting_bank()
    names = model.class_names
    by_source = {} if bank.sources is None else {compose(s): k for k, s in enumerate(bank.sources)}
    by_index = {index: place for place, index in enumerate(bank.indices.tolist())}
    relabel: dict[One, int | str] = {}
    remove: list[int] = []
    for one in corrections:
        place = by_source.get(compose(one.file)) if one.file else by_index.get(one.index or 0)
        if place is None:
            raise ValueError(
                f"{where} corrects {one.name}, which is not in the memory (row {one.row}); is it a "
                "table of another run?"
            )
        label, index = int(bank.labels[place]), int(bank.indices[place])
        if names[label] not in (one.label, one.corrected):
            raise ValueError(
                f"{where} says that {one.name} has the label {one.label}, it has {names[label]}; "
                f"was it made for other labels? (row {one.row})"
            )
        if one.corrected is None:
            remove.append(index)
        elif one.corrected != names[label]:
            relabel[index] = one.corrected
    if not relabel and not remove:
        raise ValueError(
            f"{where} corrects nothing: write a class, or remove, into its column corrected_label."
        )
    found = edit(model, relabel=relabel) if relabel else model
    return edit(found, remove=remove) if remove else found


def read_corrected(run: Mapping[str, Any], after: tuple[float, float] | None) -> Corrected | None:
    """Read from a run's record what was corrected before it; None where nothing was.

    Args:
        run: what ``whence.json`` says of it.
        after: accuracy and balanced accuracy now, where they are of the run's own test images.
    """
    found = (run.get(MEMORY) or {}).get(CORRECTIONS) or run.get(CORRECTIONS)  # the later ones
    if not isinstance(found, Mapping):
        return None
    before = found.get("before") or {}
    shares = [before.get(name) for name in BOTH_ACCURACIES]
    known = [share for share in shares if isinstance(share, float)]
    return Corrected(
        table=str(found.get("table", "")),
        relabelled=int(found.get("relabelled", 0)),
        removed=int(found.get("removed", 0)),
        confirmed=int(found.get("confirmed", 0)),
        changed=tuple(
            (str(one["image"]), str(one["label"]), one["corrected"])
            for one in found.get("changed", ())
        ),
        before=(known[0], known[1]) if len(known) == len(shares) else None,
        after=after,
    )
