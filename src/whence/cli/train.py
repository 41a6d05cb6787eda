"""``whence train``: train on a dataset, an image folder or a settings file."""

import os
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from whence.bounds import check_number
from whence.checks.expectations import Expectations, read_expectations
from whence.cli.options import add_training, build_parser, choose_device, given, parse
from whence.cli.workers import add_workers, check_side_by_side, choose_worker_device
from whence.compat.options import AUTHORS_OPTIONS, add_authors_options, read_authors_options
from whence.compat.train_yaml import read_authors_yaml
from whence.data import DATASETS
from whence.encoders import check_encoder
from whence.messages import quote, shorten_text
from whence.runs.duration import read_duration
from whence.runs.parse import add_setting, from_mapping
from whence.runs.settings import DATA_ROOT, FIELDS, Settings, read_toml
from whence.runs.where import AS_SETTINGS_SAY, Where, may_download_to

OURS, AUTHORS = (".toml",), (".yaml", ".yml")


def build(*, authors: bool = False) -> ArgumentParser:
    """Build the parser.

    Args:
        authors: DATA is the authors' ``train.yaml``, whose options are taken too.
    """
    parser = build_parser(
        "train",
        "Train a classifier that shows its evidence, and leave a run folder. DATA is a dataset's "
        "name, an image folder (train/CLASS/*, test/CLASS/*, or CLASS/* which is split), a table "
        "of labels (.csv or .tsv, a row an image: path, label, and group, split, weight if there "
        "are), or a settings file: TOML, or the train.yaml of the paper's code, beside which its "
        f"{', '.join(AUTHORS_OPTIONS)} are taken too. Options override the file.",
    )
    parser.add_argument(
        "data", type=str, metavar="DATA", help="dataset, image folder, table of labels or settings"
    )
    parser.add_argument("--out", type=str, help="run folder; by default runs/ and the data's name")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run in --out; finished ones stay"
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="train N runs, seeds 0 to N-1")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="cross-validation: divide the images into N folds, classes alike and groups whole, "
        "test each by a run that learns from all others, and print one table",
    )
    parser.add_argument(
        "--tune",
        type=str,
        metavar="TIME",
        help="first take so long (such as 30m, in each worker) to choose learning rate, weight "
        "decay and augmentation on the validation images of the first seed; goes on with --resume",
    )
    parser.add_argument(
        "--expect",
        type=str,
        metavar="FILE",
        help="check what this file expects (docs/checks.md) after every epoch, on the validation "
        "images, and at the end on the test images; exit code 1 if something fails then",
    )
    parser.add_argument(
        "--unlabelled",
        type=str,
        metavar="DATA",
        help="images without labels (a folder or a table): train on the labelled ones, take up "
        "those whose answer is likely right, and train again with them",
    )
    parser.add_argument(
        "--pseudo-limit",
        type=float,
        metavar="P",
        help="take an unlabelled image up if the calibrated probability that its answer is wrong "
        "is at most P (0.1)",
    )
    add_workers(parser)
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch what a settings file names and is not here: a dataset, to --data-root, by "
        f"default {DATA_ROOT}, and pretrained weights; what the command line names needs no "
        "permission",
    )
    add_training(parser)
    group = parser.add_argument_group("settings, also the keys of a settings file")
    for name, setting in FIELDS.items():
        if name != "data":
            add_setting(group.add_argument, setting)
    if authors:
        add_authors_options(parser)
    return parser


def train(arguments: list[str]) -> int:
    """Train one run or many seeds and print what came out.

    Returns:
        1 if something that was expected fails at the end, else 0.
    """
    authors = any(Path(word).suffix in AUTHORS for word in arguments)
    options = parse(build(authors=authors), arguments)
    if authors:
        read_authors_options(options)
    settings, seeds = combine_settings(options.data, given(options))
    seeds = choose_seeds(options, settings, seeds)
    if settings.encoder is not None:
        check_encoder(settings.encoder)  # here, before the images are read
    if options.folds is not None:
        check_folds(options, settings)
    check_unlabelled(options, settings, seeds)
    where = find_where(options, settings)
    folder = Path(options.out or Path("runs") / name_of_data(settings.data))
    side_by_side = options.workers is not None or options.scheduler is not None
    if side_by_side:
        check_side_by_side(seeds * (options.folds or 1), tuning=options.tune is not None)
    seconds = None if options.tune is None else read_tuning(options.tune)
    expected = None if options.expect is None else read_expected(options, settings)
    device = choose_worker_device(options) if side_by_side else choose_device(options.device)
    from whence.cli.work import train as work  # late: it loads torch

    if options.unlabelled is not None:
        from whence.cli.work.train_unlabelled import train_unlabelled  # late: it loads torch

        train_unlabelled(settings, folder, options, choose_device(options.device), where=where)
        return 0
    if options.folds is not None:
        work.train_folds(
            settings, folder, options, device, seeds=seeds, seconds=seconds, where=where
        )
        return 0
    if seconds is not None:
        settings = work.tune_first(settings, seconds, folder, options, device, where=where)
    if side_by_side and seeds > 1:
        work.train_side_by_side(settings, seeds, folder, options, device, where=where)
        return 0
    device = choose_device(options.device)
    hold = work.train_joined(
        settings, seeds, folder, options, device, where=where, expected=expected
    )
    return int(not hold)


def read_expected(options: Namespace, settings: Settings) -> Expectations:
    """Read what is expected of a training in this process.

    Raises:
        ValueError: if other processes train, or no model is kept to be checked.
    """
    given_too = {
        "--folds": options.folds is not None,
        "--workers": options.workers is not None,
        "--scheduler": options.scheduler is not None,
        "--no-keep-model": not settings.keep_model,
    }
    for name, given_here in given_too.items():
        if given_here:
            raise ValueError(
                f"expect cannot be looked at with {name}; leave it out, and check the runs "
                "afterwards with whence check."
            )
    return read_expectations(Path(options.expect))


def choose_seeds(options: Namespace, settings: Settings, seeds: int) -> int:
    """Choose how many seeds are trained.

    Args:
        options: of the command.
        settings: of the run.
        seeds: that a settings file asks for.

    Raises:
        ValueError: if both a seed and a number of them are given.
    """
    if options.seeds is not None and options.seed is not None:
        raise ValueError("seeds numbers the runs from 0, give either --seeds or --seed.")
    if options.seed is not None:
        seeds = 1
    elif seeds > 1 and settings.seed != 0:
        raise ValueError(f"{options.data} must have either seeds or a seed, it has both.")
    elif options.seeds is not None:
        seeds = options.seeds
    check_number("seeds", seeds)
    return seeds


def check_folds(options: Namespace, settings: Settings) -> None:
    """Refuse folds together with what trains another way, or keeps no model to answer with.

    Raises:
        ValueError: naming what to leave out.
    """
    check_number("folds", options.folds)
    given_too = {
        "--fold": settings.fold is not None,
        "--no-keep-model": not settings.keep_model,
        "torchrun": int(os.environ.get("WORLD_SIZE", "1")) > 1,  # set by it
    }
    for name, given_here in given_too.items():
        if given_here:
            raise ValueError(f"folds cannot be trained with {name}; leave out one of them.")


def check_unlabelled(options: Namespace, settings: Settings, seeds: int) -> None:
    """Refuse unlabelled images together with what trains many runs, or elsewhere.

    Raises:
        ValueError: naming what to leave out.
    """
    if options.unlabelled is None:
        if options.pseudo_limit is not None:
            raise ValueError("pseudo-limit is for images without labels; name them: --unlabelled.")
        return
    given_too = {
        "--seeds": seeds > 1,
        "--folds": options.folds is not None,
        "--fold": settings.fold is not None,
        "--tune": options.tune is not None,
        "--expect": options.expect is not None,
        "--workers": options.workers is not None,
        "--scheduler": options.scheduler is not None,
        "--no-keep-model": not settings.keep_model,
        "torchrun": int(os.environ.get("WORLD_SIZE", "1")) > 1,  # set by it
    }
    for name, given_here in given_too.items():
        if given_here:
            raise ValueError(
                f"unlabelled trains one run, and one before it, in one process; leave out {name}."
            )
    if settings.validation_examples == 0:
        raise ValueError(
            "unlabelled needs validation images, which say how likely an answer is wrong; leave "
            "out --validation-examples, or give more than 0."
        )


def name_of_data(data: str) -> str:
    """Name a run after its data: a dataset, a folder, or a table of labels without its ending.

    >>> name_of_data("more/labels.csv"), name_of_data("digits")
    ('labels', 'digits')
    """
    path = Path(data).resolve()
    return path.stem if path.suffix.lower() in (".csv", ".tsv") else path.name


def read_tuning(text: str) -> float:
    """Read how long the tuning takes, in seconds.

    Raises:
        ValueError: if it is no time, or torchrun started this process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # set by torchrun
        raise ValueError(
            "tune tries trainings in one process, or in --workers, not in those of torchrun; tune "
            "first, and give torchrun the numbers that were chosen."
        )
    return read_duration("tune", text)


def find_where(options: Namespace, settings: Settings) -> Where:
    """Decide what may be downloaded, and where to.

    A settings file may be another person's: what it names is fetched only with ``--download``, and
    never to a folder that it names.

    Raises:
        ValueError: naming the way out.
    """
    if not is_settings_file(Path(options.data)):
        return may_download_to(settings.data_root)
    if options.weights is None and settings.weights == "default" and not options.download:
        raise ValueError(
            f"{options.data} names weights that would be fetched from the network; allow it with "
            "--download, or name them yourself with --weights."
        )
    if not options.download:
        return AS_SETTINGS_SAY
    if options.data_root is None and settings.data_root != DATA_ROOT:
        raise ValueError(
            "download writes to no folder that a settings file names "
            f"({shorten_text(settings.data_root)}); name it yourself with --data-root."
        )
    return may_download_to(settings.data_root)


def is_settings_file(path: Path) -> bool:
    """Say whether DATA is a settings file, by its name."""
    return path.suffix in OURS + AUTHORS and not path.is_dir()


def combine_settings(data: str, options: dict[str, Any]) -> tuple[Settings, int]:
    """Combine a settings file, if DATA is one, with the options given.

    Returns:
        Settings, and how many seeds the file asks for.
    """
    path, seeds = Path(data), 1
    values: dict[str, Any] = {"data": data}
    if is_settings_file(path):
        if not path.is_file():
            raise FileNotFoundError(f"No settings file {path}.")
        if path.suffix in AUTHORS:
            values, seeds = read_authors_yaml(path)
            values = place_beside(path, values)
        else:
            values = read_toml(path)
            seeds = values.pop("seeds", 1)
            if type(seeds) is not int:
                raise ValueError(f"{path} must have seeds as a whole number, got {quote(seeds)}.")
            values.pop("paper", None)
            values = place_beside(path, unpack_cell(path, values))
        where = str(path)
    else:
        where = "the command line"
    values |= {name: value for name, value in options.items() if name in FIELDS and name != "data"}
    return from_mapping(values, Settings, where=where), seeds


def place_beside(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Read the relative paths of a settings file as beginning at the file, not where one stands."""
    found = dict(values)
    for name in ("data", "data_root", "weights", "corrections", "before"):
        value = found.get(name)
        if isinstance(value, str) and value and not is_name(name, value, path.parent):
            found[name] = str(path.parent / Path(value).expanduser())
    return found


def is_name(setting: str, value: str, folder: Path) -> bool:
    """Say whether a setting names no path: a dataset, a misspelt one, or "default" weights."""
    if setting == "data":
        return value in list(DATASETS) or ("/" not in value and not (folder / value).exists())
    return setting == "weights" and value == "default"


def unpack_cell(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of a table cell's file; other files hold them at the top.

    Raises:
        ValueError: if there is anything beside the block of settings.
    """
    if "settings" not in values:
        return values
    inner = values.pop("settings")
    if values:
        raise ValueError(
            f"{path} has an unknown setting {quote(next(iter(values)))} beside its [settings]; "
            "move it there or remove it."
        )
    if not isinstance(inner, dict):
        raise ValueError(f"{path} must have settings as a table, got {quote(inner)}.")
    return inner
