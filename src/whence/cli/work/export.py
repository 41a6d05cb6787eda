"""Write a run as one file for other runtimes, and say what was written."""

import logging
import warnings
from pathlib import Path

from whence.cli.plain_text import escape, print_note
from whence.deploy.export_onnx import TRIED, RoundingWarning, export_onnx
from whence.messages import count
from whence.models.load import load_to_answer


def export_run(folder: Path, file: Path) -> None:
    """Export a run to a file that may be written over.

    Args:
        folder: of the run.
        file: ending in .onnx.
    """
    model = load_to_answer(folder, "cpu")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists versions of operators
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RoundingWarning)
        worst = export_onnx(model, file, overwrite=True)
    for one in caught:
        if issubclass(one.category, RoundingWarning):
            print_note(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if model.bank is not None and model.bank.images is None:
        print_note(
            "The run was saved without pixels: an image that is stored itself is not left out "
            "for itself, as whence leaves it out."
        )
    stored = "" if model.bank is None else f", {count(len(model.bank), 'stored image')} inside"
    print(
        f"{escape(file.name)}: {file.stat().st_size / 1e6:.1f} MB{stored}; on {TRIED} images "
        f"probabilities in onnxruntime differ from the run's by at most {worst:.1g}"
    )
    print(f"Written: {escape(str(file))} and {escape(str(file.with_suffix('.json')))}")
