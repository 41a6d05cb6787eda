"""A finished run with another memory, as a run of its own: nothing is trained again."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.evidence.calibrate import LEAST
from whence.models.about import BANK
from whence.models.classifier import Classifier
from whence.models.save import write_model
from whence.records.images import ImageSet
from whence.runs.finish import MEASURED_PARTS, measure_parts, take_reliance
from whence.runs.finished import read_run, read_settings
from whence.runs.folder import METRICS, SETTINGS
from whence.runs.image_record import RECORD, RECORD_HASH, read_image_record
from whence.runs.load_parts import load_named_parts
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.storage.whole_files import check_writable, make_folder, write_json

MEMORY = "memory"
"""What ``whence.json`` calls, under "run", how the memory of such a run came about."""


def check_new(out: Path) -> None:
    """Refuse a place where something is, or nothing may be written.

    Raises:
        FileExistsError: naming it.
        PermissionError: naming the folder that it would be in.
    """
    there = next((path for path in (out, *out.parents) if path.exists()), out)
    if there != out and not there.is_dir():
        raise FileExistsError(f"{out} must be in a folder, but {there} is a file.")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise FileExistsError(f"{out} is there already; choose another name, or remove it.")
    if there.exists():
        check_writable(there)


def write_with_memory(
    model: Classifier,
    run: Path,
    out: Path,
    made: Mapping[str, Any],
    *,
    images: Mapping[str, ImageSet] | None = None,
    encoded: Mapping[str, Tensor] | None = None,
    where: Where = AS_SETTINGS_SAY,
    batch_size: int,
) -> dict[str, Any]:
    """Calibrate and measure a run's model with another memory, and write it as a run of its own.

    The folder is whole or absent; every command takes it as it takes the run.

    Args:
        model: of the run, with the other memory; it is calibrated.
        run: the run folder.
        out: the new folder.
        made: JSON that says how the memory came about.
        images: "validation" and "test" of the run, where they are loaded already.
        encoded: `(n, E)` features of these as the head of ``model`` compares them, where they are
            known already.
        where: the run's images are.
        batch_size: images encoded at once.

    Returns:
        The content of ``metrics.json``.

    Raises:
        FileExistsError: if there is something at ``out``.
        FileNotFoundError: if the run's validation or test images are not there.
        ValueError: if the run is damaged, or its images changed.
    """
    check_new(out)
    about, settings = read_run(run), read_settings(run)
    record = read_image_record(run, about)
    if images is None:
        images = load_named_parts(run, about, MEASURED_PARTS, where=where)
    hashes = {name: content_hashes(images[name].images) for name in MEASURED_PARTS}
    hashes["train"] = () if record is None else record.train.hashes
    plan = about["run"]["plan"]
    metrics = measure_parts(
        model,
        images,
        hashes,
        settings,
        {},
        None,
        encoded=encoded,
        memory_size=min(plan["memory_size"], len(model.fitting_bank())),
        seed=plan["seed"],
        batch_size=batch_size,
    )
    origin = {**about["run"], "reliance": take_reliance(metrics)}
    if "class_counts" in origin:  # of the images that were trained on, none is of a new class
        new = len(model.class_names) - len(about["classes"])
        origin["class_counts"] = [*origin["class_counts"], *[0] * new]
    origin[MEMORY] = {"of": about["sha256"].get(BANK), **made}
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as begun:
        place = Path(begun) / "run"
        place.mkdir()
        shutil.copyfile(run / SETTINGS, place / SETTINGS)
        if RECORD_HASH in origin:
            shutil.copyfile(run / RECORD, place / RECORD)
        write_json(place / METRICS, metrics)
        write_model(model, place, pixels=True, about=origin)
        if out.exists():
            out.rmdir()  # it is empty
        place.replace(out)
    return metrics


def say_calibration_lost(before: Classifier, after: Classifier) -> tuple[str, ...]:
    """Say in a sentence that a calibrated run could not be calibrated with another memory.

    Args:
        before: the run's model.
        after: the one that was written; ``write_with_memory`` has tried to calibrate it.
    """
    if before.calibration is None or after.calibration is not None:
        return ()
    return (
        f"The new run is not calibrated, fewer than {LEAST} of its validation images are answered "
        "wrongly, or rightly; it does not say how probable an error is.",
    )
