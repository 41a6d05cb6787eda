"""``whence explain``: a page that shows the evidence behind answers."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.attribution.baselines import BASELINES
from whence.cli.options import (
    add_device,
    add_images,
    build_parser,
    check_device,
    choose_device,
    parse,
)
from whence.cli.predict import find_images

FORMATS = ("html", "png", "json")
MOVED = ("evidence", "all")
"""What ``whence.heatmaps`` takes as ``memory``, named here so that the help loads no torch."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "explain",
        "Answer for images and write one HTML page that shows the evidence the model used: the "
        "stored training images with their weights, an example and a counterfactual with "
        "heatmaps, what would change the answer, and how far to trust it.",
    )
    add_images(parser)
    parser.add_argument(
        "--out", type=str, metavar="FILE", help="by default RUN.html, named after the run, here"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument(
        "--format",
        type=str,
        metavar="CHOICE",
        help="html (default), png (two figures) or json (printed unless there is an --out)",
    )
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument("--no-heatmaps", action="store_true", help="leave the heatmaps out; quick")
    parser.add_argument(
        "--with-heatmaps", action="store_true", help="every pixel of the heatmaps in the JSON"
    )
    parser.add_argument("--steps", type=int, default=32, help="of the heatmaps' path (32)")
    parser.add_argument(
        "--baseline",
        type=str,
        default="white",
        metavar="CHOICE",
        help=f"where that path starts: {', '.join(BASELINES)} (white)",
    )
    parser.add_argument(
        "--memory",
        type=str,
        default="evidence",
        metavar="CHOICE",
        help="stored images that take that path: evidence or all (evidence)",
    )
    parser.add_argument("--draws", type=int, default=20, help="random memories to compare (20)")
    parser.add_argument(
        "--memory-size", type=int, metavar="M", help="images in each of them (100, or all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of these random memories (0)")
    parser.add_argument("--batch-size", type=int, default=128, help="images encoded at once (128)")
    parser.add_argument(
        "--morph",
        type=str,
        metavar="VAE",
        help="also go there from another class, with the autoencoder in this folder (whence morph)",
    )
    add_device(parser)
    return parser


def explain(arguments: list[str]) -> None:
    """Explain images and write a page, figures or JSON."""
    options = parse(build(), arguments)
    kind = choose_format(options)
    check_options(options, kind)
    check_device(options.device)
    folder, to_screen = Path(options.run), kind == "json" and not options.out
    files = choose_files(options.out, folder, kind, to_screen=to_screen)
    refuse_existing(files, force=options.force)
    paths = find_images([Path(name) for name in options.images])  # before the model is read
    device = choose_device(options.device)
    from whence.cli.explain_work import explain_all  # late: it loads torch

    explain_all(options, kind, paths, files, device)


def choose_format(options: Namespace) -> str:
    """Combine ``--format`` and ``--json``.

    Raises:
        ValueError: if the format is unknown, or both were given and differ.
    """
    kind = options.format or ("json" if options.json else "html")
    if kind not in FORMATS:
        raise ValueError(f"Unknown format {kind!r}. Choose from: {', '.join(FORMATS)}.")
    if options.json and kind != "json":
        raise ValueError(f"format must be json with --json, got {kind!r}; leave one of them out.")
    return str(kind)


def check_options(options: Namespace, kind: str) -> None:
    """Refuse options that do not fit, before anything is computed.

    Raises:
        ValueError: naming the first of them.
    """
    if bool(options.images) == bool(options.test):
        raise ValueError("IMAGE must name files or folders, or --test images of the test set.")
    for name, least in (("steps", 1), ("draws", 0), ("batch_size", 1)):
        number = getattr(options, name)
        if number < least:
            raise ValueError(f"{name.replace('_', '-')} must be at least {least}, got {number}.")
    if not 0 <= options.seed < 2**63:
        raise ValueError(f"seed must be in 0 to 2**63 - 1, got {options.seed}.")
    if options.baseline not in list(BASELINES):  # asking the table itself would load torch
        BASELINES.find(options.baseline)
    if options.memory not in MOVED:
        raise ValueError(f"Unknown memory {options.memory!r}. Choose from: {', '.join(MOVED)}.")
    if options.morph and kind == "png":
        raise ValueError("morph is for --format html or json; leave one of them out.")
    if options.with_heatmaps and (kind != "json" or options.no_heatmaps):
        raise ValueError("with-heatmaps is for --format json with heatmaps; leave it out.")


def choose_files(out: str | None, folder: Path, kind: str, *, to_screen: bool) -> list[Path]:
    """Name the files that will be written, none where the answer goes to the screen."""
    if to_screen:
        return []
    path = Path(out) if out else Path(f"{folder.resolve().name}.{kind}")
    if kind == "png":
        stem = path.with_suffix("") if path.suffix.lower() == ".png" else path
        return [stem.with_name(f"{stem.name}-{what}.png") for what in ("evidence", "heatmaps")]
    return [path]


def refuse_existing(files: Sequence[Path], *, force: bool) -> None:
    """Refuse to write where something is.

    Raises:
        FileExistsError: naming it.
    """
    for path in files:
        there = next((one for one in (path, *path.parents) if one.exists()), path)
        if path.is_dir():
            raise FileExistsError(f"{path} is a folder; name a file with --out.")
        if there != path and not there.is_dir():
            raise FileExistsError(f"{path} must be in a folder, but {there} is a file.")
        if there == path and path.exists() and not path.is_file():
            raise FileExistsError(f"{path} is no ordinary file; choose another --out.")
        if not force and (path.exists() or path.is_symlink()):
            raise FileExistsError(
                f"{path} is there already; choose another --out, or add --force to overwrite it."
            )
