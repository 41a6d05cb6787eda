"""The run that is viewed: its model, its test images where they are, and what was computed once."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whence.evidence.explain import answer_with_nearest
from whence.models.about import DONE, read_about
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.models.load import load_to_answer
from whence.models.using import encode_all
from whence.records.answers import Evidence, Prediction
from whence.records.images import ImageSet
from whence.runs.load_parts import load_part
from whence.runs.where import Where

KEPT_QUERIES = 1000
"""Encoded images that are kept; those asked for longest ago are forgotten."""


class Queries:
    """Images encoded by one model, the latest of them kept."""

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.kept: OrderedDict[object, Tensor] = OrderedDict()
        self.lock = threading.Lock()

    def find(self, key: object, image: Tensor) -> Tensor:
        """Return the query `(1, E)` of an image `(C, H, W)` that ``key`` stands for."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        with evaluating(self.model):
            query = encode_all(self.model, image[None], batch_size=1)
        with self.lock:
            self.kept[key] = query
            while len(self.kept) > KEPT_QUERIES:
                self.kept.popitem(last=False)
        return query


@dataclass
class ViewedRun:
    """A finished run as the viewer holds it; nothing in it changes but what is computed once.

    Attributes:
        folder: of the run.
        about: the content of its ``whence.json`` when it was read.
        model: in eval mode, with the bank that was saved.
        tests: its test images, None where they are not there.
        where: its images are.
        notes: sentences about what is missing.
        stamp: of the file that says a run is finished, to notice another run in its place.
    """

    folder: Path
    about: dict[str, Any]
    model: Classifier
    tests: ImageSet | None
    where: Where
    notes: tuple[str, ...]
    stamp: tuple[int, int]
    queries: Queries = field(init=False)
    features: Tensor | None = field(default=None, init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.queries = Queries(self.model)

    @property
    def replaced(self) -> bool:
        """Say whether another run stands in the folder now, or none."""
        try:
            return read_stamp(self.folder) != self.stamp
        except OSError:
            return True

    def encode_tests(self, *, batch_size: int) -> Tensor:
        """Encode the test images, once; `(N, E)`.

        Raises:
            ValueError: if they are not there.
        """
        tests = self.need_tests()
        with self.lock:
            if self.features is None:
                with evaluating(self.model):
                    found = encode_all(self.model, tests.images, batch_size=batch_size)
                self.features = found
        return self.features

    def need_tests(self) -> ImageSet:
        """Return the test images.

        Raises:
            ValueError: if they are not there.
        """
        if self.tests is None or len(self.tests) == 0:
            raise ValueError("This run has no test images here; choose images of your own.")
        return self.tests


def answer_one(
    model: Classifier, image: Tensor, query: Tensor
) -> tuple[Prediction, tuple[Evidence, ...]]:
    """Answer for one image `(C, H, W)` whose query is `(1, E)`."""
    with torch.no_grad():
        return answer_with_nearest(model, image[None], query)[0]


def read_stamp(folder: Path) -> tuple[int, int]:
    """Return what tells one finished run in a folder from another.

    Raises:
        OSError: if there is none.
    """
    found = (folder / DONE).stat()
    return found.st_mtime_ns, found.st_size


def open_run(folder: Path, *, device: str, where: Where) -> ViewedRun:
    """Load a run to view it; without its test images it is viewed all the same.

    Args:
        folder: of the run.
        device: where to compute.
        where: its images are.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the run is damaged.
    """
    about = read_about(folder)
    stamp, model = read_stamp(folder), load_to_answer(folder, device)
    notes: list[str] = []
    tests: ImageSet | None = None
    try:
        tests = load_part(folder, about, "test", where=where)
    except (FileNotFoundError, ValueError) as error:
        notes.append(f"The test images are not shown: {error}")
    bank = model.bank
    if bank is None:
        notes.append("A standard model has no memory: its answers come without evidence.")
    elif bank.images is None:
        notes.append("The memory was saved without its images: stored images are named, not shown.")
    return ViewedRun(folder, about, model, tests, where, tuple(notes), stamp)
