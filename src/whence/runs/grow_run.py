"""Images, also of new classes, that come to the memory of a finished run, without training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whence.data.sample import load_sample
from whence.evidence.edit import edit
from whence.models.load import load_to_answer
from whence.records.images import ImageSet
from whence.records.labels import read_class_names
from whence.runs.other_memory import check_new, say_calibration_lost, write_with_memory
from whence.runs.shares_now import read_shares
from whence.runs.where import AS_SETTINGS_SAY, Where


def grow_run(
    run: Path,
    data: str,
    out: Path,
    *,
    new_classes: Sequence[str],
    device: str,
    batch_size: int,
    where: Where = AS_SETTINGS_SAY,
) -> dict[str, Any]:
    """Add labelled images to the memory of a finished run, as a run of its own.

    The new run is calibrated and measured again, on the run's own images.

    Args:
        run: the run folder.
        data: a folder of class folders, or a table of labels.
        out: the new folder.
        new_classes: names of classes that the run was not trained for.
        device: where to compute.
        batch_size: images encoded at once.
        where: the run's own images are.

    Returns:
        JSON: how many images came, accuracy before and after, and notes.

    Raises:
        FileExistsError: if there is something at ``out``.
        FileNotFoundError: if there is no such run or folder, or the run's images are gone.
        ValueError: if the images do not fit the run, or its head takes no new classes.
    """
    check_new(out)
    model = load_to_answer(run, device)
    names = read_class_names([*model.class_names, *new_classes])
    sample = load_sample(data, names, model.image_shape)
    given = sample.images
    sources = given.sources and tuple(f"added/{one}" for one in given.sources)
    images = ImageSet(given.images, given.labels, names, sources)
    grown = edit(model, add=images, new_classes=new_classes, batch_size=batch_size)
    shares = read_shares(run, model, where=where, batch_size=batch_size)
    made = {"added": len(images), "new_classes": list(new_classes), "before": shares}
    after = write_with_memory(grown, run, out, made, where=where, batch_size=batch_size)
    test = after.get("test", {})
    return {
        **made,
        "after": {name: test.get(name) for name in shares},
        "notes": [*sample.notes, *say_calibration_lost(model, grown)],
    }
