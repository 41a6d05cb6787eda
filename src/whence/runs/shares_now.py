"""Accuracies of a finished run as it answers now, also after another threshold was kept with it."""

from pathlib import Path

from whence.models.classifier import Classifier
from whence.runs.before import BOTH_ACCURACIES, is_measured_as_answered, measure_shares
from whence.runs.finished import read_run
from whence.runs.folder import METRICS
from whence.runs.load_parts import load_part
from whence.runs.where import Where
from whence.storage.plain_files import read_json


def read_shares(
    run: Path, model: Classifier, *, where: Where, batch_size: int
) -> dict[str, float | None]:
    """Read accuracy and balanced accuracy of a run on its own test images, as it answers now.

    Its own numbers are taken unless another threshold was kept with it since they were measured.

    Args:
        run: the run folder.
        model: that was loaded from it.
        where: the run's images are.
        batch_size: images encoded at once.
    """
    about = read_run(run)
    found = read_json(run / METRICS).get("test", {})
    if found and not is_measured_as_answered(found, model.decision):
        test = load_part(run, about, "test", where=where)
        return measure_shares(model, test, batch_size=batch_size)
    return {name: found.get(name) for name in BOTH_ACCURACIES}
