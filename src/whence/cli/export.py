"""``whence export``: a run as one file that answers without whence."""

from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.checks import check_choices
from whence.cli.files import refuse_existing
from whence.cli.options import add_run, build_parser, parse

EXPORTS = ("onnx",)


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "export",
        "Write a trained run as one file that answers without whence: images in; answers, "
        "probabilities, the stored images of each answer with their weights and, of a calibrated "
        "run, the probability of an error out. A JSON file beside it holds classes, preparation "
        "and the files of the memory. The file is compared with the run before it is written.",
    )
    add_run(parser)
    parser.add_argument("file", type=str, metavar="FILE", help="for example model.onnx")
    parser.add_argument("--to", type=str, default="onnx", metavar="FORMAT", help="onnx (default)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    return parser


def export(arguments: list[str]) -> None:
    """Write a run as one file for other runtimes."""
    options = parse(build(), arguments)
    check_choices("format", [options.to], EXPORTS)
    file = Path(options.file)
    if file.suffix != ".onnx":
        raise ValueError(f"FILE must end in .onnx, got {file}.")
    refuse_existing([file, file.with_suffix(".json")], force=options.force, option="FILE")
    from whence.cli.work.export import export_run  # late: it loads torch

    export_run(Path(options.run), file)
