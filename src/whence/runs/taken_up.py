"""Images without labels that a training takes up, with the classes that a run before it answers."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from whence.data.fingerprint import content_hashes
from whence.data.label_list import find_list_root
from whence.data.label_table import NO_COLUMNS, is_table
from whence.data.names import find_path
from whence.data.sample_table import Unlabelled, load_unlabelled
from whence.evidence.pseudo_labels import PseudoLabels, choose_pseudo_labels, judge_unlabelled
from whence.models.load import load_to_answer
from whence.models.using import encode_all
from whence.records.images import ImageParts, ImageSet
from whence.runs.finished import read_settings
from whence.runs.folder import UNLABELLED
from whence.runs.image_record import RECORDED_PARTS
from whence.runs.load_parts import check_there, load_parts
from whence.runs.settings import Settings
from whence.runs.where import Where
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json, write_whole

FIRST_RUN, LEARNED_TABLE, TAKEN_FILE = "first", "labels.csv", "taken.json"
"""In the folder of what came before: the run that answers, the images that are learned from, and
what was taken up."""

LEARNED_COLUMNS = ("path", "label", "split", "origin", "error_probability")
"""``origin`` is "labelled" or "taken up"."""

PSEUDO_LIMIT = 0.1
"""Highest probability of an error at which an image is taken up, unless the user says another."""


class TakenUp(NamedTuple):
    """What a training takes up."""

    table: Path  # of all images that are learned from, validated on and tested on
    sentences: tuple[str, ...]


def take_up(
    folder: Path,
    data: str,
    found: Unlabelled | None = None,
    *,
    limit: float,
    counts: Tensor | None,
    where: Where,
    device: str,
    columns: Mapping[str, str] = NO_COLUMNS,
) -> TakenUp:
    """Answer unlabelled images with the run that learned from the labelled ones, and take some up.

    An image is taken up where the calibrated probability that its answer is wrong is at most
    ``limit`` (pseudo-labels, Lee 2013). It is trained on, and never validated or tested on. Images
    that the run knows, and copies, are left out. What was taken up is kept; asked again with the
    same images and limit, it is read.

    Args:
        folder: of the training; the run that answers is ``unlabelled/first`` in it.
        data: a folder of images, or a table of files.
        found: the images, if they were read already; None reads them.
        limit: in (0, 1).
        counts: `(n,)` how much each image of the dataset counts in its training; None counts all
            alike.
        where: the labelled images are.
        device: where to compute.
        columns: of a table of unlabelled images, by role.

    Raises:
        FileNotFoundError: if images are not there.
        FileExistsError: if others, or by another limit, were taken up before.
        ValueError: if the labelled images are not in files, or no image is taken up.
    """
    place = folder / UNLABELLED
    asked = {"unlabelled": os.path.normpath(data), "pseudo-limit": limit}
    known = read_taken(folder, asked)
    if known is not None:
        return known
    first = place / FIRST_RUN
    parts = load_parts(first, root=where.root, download_to=where.download_to)
    own = None if counts is None else counts[parts.indices]  # (N,)
    rows = list_labelled(first, parts, own, where)
    model = load_to_answer(first, device)
    if found is None:
        found = load_unlabelled(data, model.image_shape, columns=columns)
    fresh = find_fresh(found.images, parts)
    if not fresh:
        raise ValueError(
            f"{data} must hold images that are not among the labelled ones, it holds none; name "
            "others."
        )
    judged = judge_unlabelled(model, encode_all(model, found.images[fresh]))
    chosen = choose_pseudo_labels(judged, limit)
    beginning = Path(data).expanduser()
    root = find_list_root(beginning, columns) if is_table(data) else beginning
    names = [found.sources[fresh[one]] for one in chosen.places.tolist()]
    taken = [str(find_path(root, one).absolute()) for one in names]
    rows += lay_out_taken(taken, chosen, model.class_names)
    write_whole(place / LEARNED_TABLE, write_rows_of(rows).encode("utf-8", "surrogateescape"))
    sentences = say_taken(chosen, len(fresh), len(found.images), limit, found.notes)
    content = {**asked, "taken": len(taken), "of": len(fresh), "sentences": list(sentences)}
    write_json(place / TAKEN_FILE, content)
    return TakenUp(place / LEARNED_TABLE, sentences)


def read_taken(folder: Path, asked: Mapping[str, object]) -> TakenUp | None:
    """Read what a training has taken up; None before that.

    Args:
        folder: of the training.
        asked: the images and the limit, as the file calls them.

    Raises:
        FileExistsError: if it was other images, or by another limit.
        ValueError: if the file is damaged.
    """
    path = folder / UNLABELLED / TAKEN_FILE
    if not path.exists():
        return None
    known = read_json(path)
    for name, value in asked.items():
        if known.get(name) != value:
            raise FileExistsError(
                f"{folder} was started with another {name} ({known.get(name)}); choose another "
                "--out."
            )
    sentences = known.get("sentences")
    if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
        raise ValueError(f"{path} must say what was taken up, it is damaged.")
    return TakenUp(folder / UNLABELLED / LEARNED_TABLE, tuple(sentences))


def list_labelled(
    first: Path, parts: ImageParts, counts: Tensor | None, where: Where
) -> list[dict[str, Any]]:
    """List the labelled images of a run by part, as rows of the table.

    Raises:
        ValueError: if they are not in files.
    """
    settings = read_settings(first)
    rows: list[dict[str, Any]] = []
    for split in RECORDED_PARTS:
        images: ImageSet = getattr(parts, split)
        if images.sources is None:
            raise ValueError(
                f"unlabelled needs labelled images in files, a folder or a table; {settings.data} "
                "has none."
            )
        root = check_there(first, settings, where)
        for place, (source, label) in enumerate(
            zip(images.sources, images.labels.tolist(), strict=True)
        ):
            row = {
                "path": str(find_path(root, source).absolute()),
                "label": images.class_names[label],
                "split": split,
                "origin": "labelled",
                "error_probability": "",
            }
            if counts is not None:
                row["weight"] = float(counts[place]) if split == "train" else 1.0
            rows.append(row)
    return rows


def find_fresh(images: Tensor, parts: ImageParts) -> list[int]:
    """Return the places of images `(N, C, H, W)` that the run does not know, copies once."""
    seen = {
        one
        for part in (parts.train, parts.validation, parts.test)
        for one in content_hashes(part.images)
    }
    fresh = []
    for place, one in enumerate(content_hashes(images)):
        if one not in seen:
            fresh.append(place)
            seen.add(one)
    return fresh


def lay_out_taken(
    paths: Sequence[str], chosen: PseudoLabels, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """List the images that are taken up, as rows of the table."""
    return [
        {
            "path": path,
            "label": class_names[label],
            "split": "train",
            "origin": "taken up",
            "error_probability": f"{error:.4f}",
        }
        for path, label, error in zip(
            paths, chosen.labels.tolist(), chosen.errors.tolist(), strict=True
        )
    ]


def write_rows_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as a table of text; rows without a weight count as much as any other."""
    text, weighted = io.StringIO(), any("weight" in row for row in rows)
    names = (*LEARNED_COLUMNS, "weight") if weighted else LEARNED_COLUMNS
    writer = csv.DictWriter(text, names, restval=1.0, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def say_taken(
    chosen: PseudoLabels, fresh: int, total: int, limit: float, notes: Sequence[str]
) -> tuple[str, ...]:
    """Say how many images are taken up, and how many of their labels are likely wrong."""
    wrong = float(chosen.errors.sum())
    known = f"{total - fresh:,} more are known already, or copies. " if total > fresh else ""
    are = "is" if len(chosen.places) == 1 else "are"
    return (
        *notes,
        f"{len(chosen.places):,} of {fresh:,} unlabelled images {are} taken up, each with the "
        f"class that the run of the labelled images answers: it is wrong with a probability of "
        f"at most {limit:g}. {known}Of the labels taken up {wrong:.0f} are likely wrong.",
    )


def learn_from_table(settings: Settings, table: Path, image_shape: Sequence[int]) -> Settings:
    """Return settings that learn from the images of the table, divided as it says."""
    square = image_shape[1] == image_shape[2]
    return replace(
        settings,
        data=str(table.absolute()),
        path_column=None,
        label_column=None,
        group_column=None,
        split_column=None,
        weight_column=None,
        train_examples=None,
        validation_examples=None,
        corrections=None,
        before=None,
        size=image_shape[1] if square else settings.size,
    )
