"""What benchmarks on the features of a frozen encoder share: their options, images and votes."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.kept_cells import thin
from benchmarks.simple_heads import Problem, encode
from whence.encoders import OUTPUT
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.runs.where import may_download_to
from whence.training.choose_layers import choose_layers, gather_columns, place_columns
from whence.training.fit import fit


def build_parser(description: str, cells: Path) -> ArgumentParser:
    """Make a parser of the options that all of them have.

    Args:
        description: of the benchmark.
        cells: the cells that are published.
    """
    parser = ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--data-root", default="datasets")
    parser.add_argument("--name", help="of the images, in the table")
    parser.add_argument("--size", type=int)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--layers", default=OUTPUT, help="as whence train takes them, and best")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pool", type=int, default=6000, help="training images drawn from")
    parser.add_argument("--test", type=int, default=3000, help="test images, at most")
    parser.add_argument("--cells", type=Path, default=cells)
    parser.add_argument("--features", type=Path, required=True, help="folder of kept features")
    return parser


def read_problem(options: Namespace, **more: Any) -> tuple[Settings, Dataset]:
    """Read the settings of the trainings, ``more`` of them as given, and load the images."""
    options.name = options.name or Path(options.data).name
    settings = Settings(
        data=options.data,
        data_root=options.data_root,
        size=options.size,
        encoder=options.encoder,
        weights=options.weights,
        layers=options.layers,
        freeze_encoder=True,
        **more,
    )
    return settings, thin(load_data(settings, may_download_to(options.data_root)), options)


def choose_counts(images: int) -> dict[str, int]:
    """Say how many images are trained and validated on."""
    return {"train_examples": images, "validation_examples": max(150, images // 5)}


def encode_chosen(settings: Settings, dataset: Dataset, folder: Path) -> tuple[Settings, Problem]:
    """Look up the features of one seed; of ``--layers best`` those that its training images choose.

    Returns:
        Settings that name the layers, and what they give.
    """
    problem = encode(settings, dataset, folder)
    if not settings.chooses_layers:
        return settings, problem
    columns = place_columns(problem.parts.model)
    depths = {name: problem.train[:, places] for name, places in columns.items()}
    chosen = choose_layers(depths, problem.parts.train.labels, settings.seed).layers
    return replace(settings, layers=",".join(chosen)), keep_columns(
        problem, gather_columns(columns, chosen)
    )


def keep_columns(problem: Problem, places: torch.Tensor) -> Problem:
    """Keep some of the numbers of every image.

    Args:
        problem: with features `(N, D)`.
        places: `(d,)` of the numbers that stay.
    """
    return problem._replace(
        train=problem.train[:, places],
        validation=problem.validation[:, places],
        test=problem.test[:, places],
    )


def train_votes(problem: Problem, settings: Settings) -> Classifier:
    """Train votes by the defaults of ``whence train --freeze-encoder``, and let them remember."""
    parts, ours = prepare(settings, problem.dataset), problem.parts
    fit(
        parts.model,
        ours.train,
        recipe=parts.recipe,
        plan=parts.plan,
        features=problem.train,
        validation=ours.validation,
        validation_features=problem.validation,
    )
    images, labels = ours.train.images, ours.train.labels
    return parts.model.remember(images, labels, features=problem.train).eval()
