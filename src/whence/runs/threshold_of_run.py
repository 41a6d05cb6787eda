"""The threshold of a finished run: chosen again on its validation images, kept, or taken away."""

from pathlib import Path
from typing import Any

from whence.data.fingerprint import content_hashes
from whence.evidence.calibrate import calibrate
from whence.evidence.choose_threshold import choose_threshold
from whence.evidence.known import is_known
from whence.models.about import DONE, read_about
from whence.models.classifier import Classifier
from whence.models.saved_calibration import calibration_to_json
from whence.models.saved_decision import decision_to_json
from whence.runs.class_counts import check_target
from whence.runs.image_record import find_seen, read_image_record
from whence.runs.load_parts import load_part
from whence.runs.target import WantedClass
from whence.runs.where import Where
from whence.storage.lock import hold
from whence.storage.whole_files import write_json


def change_threshold(
    model: Classifier,
    folder: Path,
    about: dict[str, Any],
    target: WantedClass | None,
    *,
    where: Where,
    batch_size: int,
) -> None:
    """Give a run's model another threshold, or none, and calibrate the answers that come of it.

    Args:
        model: that was loaded from the run.
        folder: of the run.
        about: the content of its ``whence.json``.
        target: the class that is to be found; None answers by the highest probability.
        where: the run's images are.
        batch_size: images encoded at once.

    Raises:
        ValueError: if the threshold cannot be chosen.
        FileNotFoundError: if the validation images are not there.
    """
    validation = load_part(folder, about, "validation", where=where)
    if target is not None:
        check_target(target, validation)
    seen = find_seen(model, read_image_record(folder, about))
    seen.pop("validation", None)
    known = is_known(content_hashes(validation.images), seen)
    fresh = validation.take([place for place, one in enumerate(known) if not one])
    model.decision = None
    if target is not None:
        model.decision = choose_threshold(
            model,
            fresh,
            target.class_name,
            recall=target.recall,
            cost=target.cost,
            batch_size=batch_size,
        )
    model.calibration = calibrate(model, fresh, batch_size=batch_size) if len(fresh) else None


def keep_threshold(folder: Path, model: Classifier) -> None:
    """Write the threshold and the calibration of a run's model to its folder; nothing else changes.

    Raises:
        FileExistsError: if another process is writing there.
    """
    with hold(folder):
        about = read_about(folder)
        about["decision"] = decision_to_json(model.decision)
        about["calibration"] = calibration_to_json(model.calibration)
        write_json(folder / DONE, about)
