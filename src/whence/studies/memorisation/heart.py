"""What a run has learnt by heart: labels that it gives only where their image was learnt from."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from whence.data.fingerprint import fingerprint
from whence.evidence.predict import predict
from whence.messages import quote, shorten_text
from whence.models.load import load_to_answer
from whence.records.images import Dataset, ImageSet
from whence.runs.divide import divide
from whence.runs.finished import read_run, read_settings
from whence.runs.folds import divide_folds
from whence.runs.images import load_data
from whence.runs.marks import take_marks
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.studies.memorisation.count_heart import FoldAnswers, count_by_heart, count_copies
from whence.studies.memorisation.heart_page import report_heart
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.subject import find_run

HEART_FOLDS = 5


def learnt_by_heart(request: StudyRequest) -> Findings:
    """Train a run again without each fifth of its images, and ask all about all of them.

    Raises:
        FileNotFoundError: if there is no finished run, or its images are gone.
        ValueError: if its images changed, or a class has fewer images than there are folds.
    """
    folder = find_run(request)
    about, settings = read_run(folder), read_settings(folder)
    dataset = load_data(settings, request.where, shape=tuple(about["image_shape"]))
    if fingerprint(dataset.train) != about["run"].get("train_fingerprint"):
        raise ValueError(
            f"{shorten_text(settings.data)} must hold the images that {folder} was made with, its "
            "training images changed; name the folder that they are in now with --data-root."
        )
    parts = divide(dataset, settings)
    learnt = dataset.train.take(parts.train)
    pool = replace(dataset, train=learnt, marks=take_marks(dataset.marks, parts.train))
    folds = divide_folds(replace(pool, marks=replace(pool.marks, validation=None)), HEART_FOLDS, 0)
    made_with = {
        "run": folder.name,
        "settings": describe_own_settings(settings),
        "train_fingerprint": fingerprint(dataset.train),
        "folds": HEART_FOLDS,
        "device": request.device,
    }
    kept = KeptParts(request.out, "memorisation", made_with)
    own = answer_training(folder, learnt, request.device)
    answers = []
    with TemporaryDirectory() as spare:
        runs = Path(spare) if request.out is None else request.out / "memorisation-runs"
        for fold in range(HEART_FOLDS):
            kept_places = parts.train[folds != fold]
            part = leave_fold_out(dataset, kept_places, parts.validation, learnt, folds == fold)
            place = runs / f"fold-{fold + 1}"
            train = partial(train_left_out, settings, place, part, learnt, request.device)
            found = kept.do(place.name, train)
            answers.append(
                FoldAnswers(torch.tensor(found["predicted"]), torch.tensor(found["given"]))
            )
    counted = count_by_heart(learnt.labels, own, answers, folds)
    outside = torch.stack([one.given for one in answers])[folds, torch.arange(len(folds))]
    told = torch.stack([one.predicted for one in answers])[folds, torch.arange(len(folds))]
    copies = count_copies(learnt, folds)
    return report_heart(learnt, counted, told, outside, copies, made_with)


def describe_own_settings(settings: Settings) -> str:
    """Write the settings of a run that are not the usual ones.

    >>> describe_own_settings(Settings(data="digits", epochs=3))
    "data = 'digits', epochs = 3"
    """
    usual = {one.name: one.default for one in fields(Settings)}
    return ", ".join(
        f"{name} = {quote(value)}"
        for name, value in vars(settings).items()
        if value != usual.get(name)
    )


def leave_fold_out(
    dataset: Dataset, kept: Tensor, validation: Tensor, learnt: ImageSet, left_out: Tensor
) -> Dataset:
    """Make the data of a training without a fold; it is validated on the run's own images.

    Args:
        dataset: of the run.
        kept: `(n,)` places of the training images that stay.
        validation: `(v,)` places of the run's validation images.
        learnt: the run's N training images.
        left_out: `(N,)` bool, those of the fold.
    """
    places = torch.cat([kept, validation])
    marks = take_marks(replace(dataset.marks, validation=None), places)
    marks = replace(marks, validation=torch.arange(len(kept), len(places)))
    return Dataset(
        dataset.name,
        dataset.train.take(places),
        learnt.take(left_out.nonzero().flatten()),
        dataset.notes,
        marks,
    )


def train_left_out(
    settings: Settings, folder: Path, dataset: Dataset, learnt: ImageSet, device: str
) -> dict[str, Any]:
    """Train by a run's own settings without a fold, and answer for all of its training images."""
    validation = dataset.marks.validation
    left = len(dataset.train) - (0 if validation is None else len(validation))
    memory = settings.memory_size
    plain = replace(
        settings,
        fold=None,
        train_examples=None,
        validation_examples=None,
        keep_checkpoints=None,
        corrections=None,
        memory_size=None if memory is None else min(memory, left),
    )
    run(plain, folder, dataset, resume=True, device=device)
    found = answer_training(folder, learnt, device)
    return {"predicted": found.predicted.tolist(), "given": found.given.tolist()}


def answer_training(folder: Path, images: ImageSet, device: str) -> FoldAnswers:
    """Ask a finished run about images; an image that it stores is left out for itself."""
    answers = predict(load_to_answer(folder, device), images.images)
    given = torch.stack([one.probabilities for one in answers])
    return FoldAnswers(
        torch.tensor([one.predicted for one in answers]),
        given.gather(1, images.labels[:, None]).squeeze(1),
    )
