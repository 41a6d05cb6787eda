"""Choose settings on the validation images before any run is trained with them."""

from pathlib import Path

from jsonargparse import Namespace

from whence.cli.plain_text import print_note
from whence.cluster.tune_together import tune_together
from whence.cluster.worker import Task
from whence.records.images import Dataset
from whence.runs.folder import TUNING
from whence.runs.images import load_to_train
from whence.runs.settings import Settings
from whence.runs.tune import begin_tuning, end_tuning, import_optuna, tune
from whence.runs.where import Where


def tune_first(
    settings: Settings,
    seconds: float,
    folder: Path,
    options: Namespace,
    device: str | None,
    *,
    where: Where,
    dataset: Dataset | None = None,
) -> Settings:
    """Choose settings on the validation images before any run is trained with them.

    Args:
        settings: of the run, or of the first of several.
        seconds: that the tuning takes, in each process.
        folder: of the run, or of the runs.
        options: of the command.
        device: where to train.
        where: the images are, and may be downloaded to.
        dataset: the images, where they are loaded already.
    """
    import_optuna()
    known = begin_tuning(folder, settings, resume=options.resume)
    if known is not None:
        return known
    if options.workers is not None or options.scheduler is not None:
        tune_together(
            Task(settings, folder.absolute(), Path.cwd(), where=where),
            folder / TUNING,  # a log of workers in the folder itself would pass for a run's
            seconds,
            scheduler=options.scheduler,
            workers=options.workers,
            device=device,
            say=print_note,
        )
    else:
        images = dataset or load_to_train(settings, where)
        tune(settings, images, folder, seconds, device=str(device), say=print_note)
    tuned, sentence = end_tuning(settings, folder, seconds)
    print_note(sentence)
    return tuned
