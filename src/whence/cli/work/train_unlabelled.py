"""Train on labelled images, take unlabelled ones up with the answers, and train again."""

from pathlib import Path

from jsonargparse import Namespace

from whence.cli.plain_text import print_note
from whence.cli.work.train import train_joined
from whence.data.sample_table import load_unlabelled
from whence.models.about import read_about
from whence.runs.folder import METRICS, UNLABELLED, check_folder
from whence.runs.images import load_to_train
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.taken_up import (
    FIRST_RUN,
    LEARNED_TABLE,
    PSEUDO_LIMIT,
    TAKEN_FILE,
    learn_from_table,
    take_up,
)
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.storage.plain_files import read_json


def train_unlabelled(
    settings: Settings, folder: Path, options: Namespace, device: str, *, where: Where
) -> None:
    """Train the run before in ``unlabelled/first``, and then the one that was asked for.

    Args:
        settings: of the run on the labelled images.
        folder: of the run that comes of it.
        options: of the command.
        device: where to train.
        where: the images are, and may be downloaded to.

    Raises:
        FileExistsError: if the folder holds something else.
        FileNotFoundError: if the unlabelled images are not there.
        ValueError: if the labelled images are not in files, or no image is taken up.
    """
    first, table = folder / UNLABELLED / FIRST_RUN, folder / UNLABELLED / LEARNED_TABLE
    if not options.resume or not (folder / UNLABELLED).exists():
        check_folder(folder, settings, resume=False)
        check_folder(first, settings, resume=False)
    dataset = load_to_train(settings, where)
    if dataset.train.sources is None:
        raise ValueError(
            f"unlabelled needs labelled images in files, a folder or a table; {settings.data} has "
            "none."
        )
    columns = {} if settings.path_column is None else {"path": settings.path_column}
    found = None
    if not (folder / UNLABELLED / TAKEN_FILE).exists():  # before a training that may take hours
        _, channels, height, width = dataset.train.images.shape
        found = load_unlabelled(options.unlabelled, (channels, height, width), columns=columns)
    noted = (*dataset.notes, *(() if found is None else found.notes))
    for note in noted:
        print_note(note)
    run(
        settings,
        first,
        dataset,
        resume=options.resume,
        device=device,
        checkpoint_seconds=options.checkpoint_seconds,
    )
    test = read_json(first / METRICS)["test"]
    print_note(
        f"The labelled images alone: {test['accuracy']:.2%} of {test['images']:,} test images "
        f"right ({first})."
    )
    limit = PSEUDO_LIMIT if options.pseudo_limit is None else options.pseudo_limit
    taken = take_up(
        folder,
        options.unlabelled,
        found,
        limit=limit,
        counts=dataset.marks.counts,
        where=where,
        device=device,
        columns=columns,
    )
    for sentence in taken.sentences:
        if sentence not in noted:
            print_note(sentence)
    second = learn_from_table(settings, table, read_about(first)["image_shape"])
    train_joined(second, 1, folder, options, device, where=AS_SETTINGS_SAY)
