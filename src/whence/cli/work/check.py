"""Check a run against a file of expectations, or make a first one."""

import json
import time
from pathlib import Path

from jsonargparse import Namespace

from whence.checks.expectations import Expectations, read_expectations
from whence.cli.options import read_where
from whence.cli.plain_text import escape
from whence.data import DATASETS
from whence.models.classifier import Classifier
from whence.models.load import load_to_answer
from whence.report.checked import checks_to_json, describe_checks, render_junit
from whence.runs.check_run import check_run
from whence.runs.finished import read_run, read_settings
from whence.runs.first_checks import write_expectations
from whence.runs.load_parts import check_there, load_part
from whence.runs.where import Where
from whence.storage.whole_files import write_whole


def check_all(
    options: Namespace, file: Path, expected: Expectations | None, junit: Path | None, device: str
) -> int:
    """Check a run and print what came of it.

    Args:
        options: of the command, checked.
        file: of the expectations.
        expected: its content; None writes it first.
        junit: the XML file to write.
        device: where to compute.

    Returns:
        1 if an expectation does not hold, else 0.
    """
    start = time.monotonic()
    folder, where = Path(options.run), read_where(options)
    model = load_to_answer(folder, device)
    if expected is None:
        write_first(folder, model, file, where, batch_size=options.batch_size)
        expected = read_expectations(file)
    found = check_run(folder, model, expected, where=where, batch_size=options.batch_size)
    if junit is not None:
        seconds = time.monotonic() - start
        write_whole(junit, render_junit(found, suite=folder.resolve().name, seconds=seconds))
    if options.json:
        print(json.dumps(checks_to_json(found)))
    else:
        for line in describe_checks(found):
            print(escape(line))
    if options.write and not options.json:
        print(f"Written: {escape(str(file))}")
    return int(not found.hold)


def write_first(
    folder: Path, model: Classifier, file: Path, where: Where, *, batch_size: int
) -> None:
    """Write a first file of expectations, from the test images of a run."""
    about, settings = read_run(folder), read_settings(folder)
    test = load_part(folder, about, "test", where=where)
    root = None if settings.data in DATASETS else check_there(folder, settings, where)
    text = write_expectations(
        model, test, run=folder.resolve().name, root=root, target=file, batch_size=batch_size
    )
    write_whole(file, text.encode())
