"""Students of a network: a tree and a line that learn its answers, or the labels."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from whence.data.mixing import mixup

PixelRows = NDArray[np.float64]
ClassNumbers = NDArray[np.int64]

LEAVES = 200
"""Of a tree, at most: few enough to be read."""

LINE_RIDGE = 1.0


class Student(Protocol):
    """ClassNumbers for rows of pixels."""

    def predict(self, rows: PixelRows, /) -> NDArray[np.generic]:
        """Return a number, or one for each class, of each row."""


class Lesson(NamedTuple):
    """What a student learns: rows of pixels `(N, P)`, and logits `(N, K)` or labels `(N,)`."""

    rows: PixelRows
    told: NDArray[np.generic]


def ask_more(images: Tensor, times: int, generator: torch.Generator) -> Tensor:
    """Make more images to ask a network about: pairs that are laid over each other.

    A network answers as many questions as are wanted, which is what distilling lives on (Craven and
    Shavlik 1996; Bucila, Caruana and Niculescu-Mizil 2006).

    Args:
        images: `(N, C, H, W)` float in [0, 1].
        times: how many more, in N.
        generator: of the pairs.

    Returns:
        `(N * (1 + times), C, H, W)`, the images themselves first.
    """
    more = [mixup(images, generator=generator).images for _ in range(times)]
    return torch.cat([images, *more])


def grow_tree(lesson: Lesson, seed: int) -> DecisionTreeClassifier:
    """Fit a tree of at most 200 leaves to answers `(N,)`."""
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=seed)
    return tree.fit(lesson.rows, lesson.told)


def fit_line(lesson: Lesson) -> Ridge:
    """Fit a linear map to logits `(N, K)`, as Ba and Caruana (2014), arXiv:1312.6184, do."""
    return Ridge(alpha=LINE_RIDGE).fit(lesson.rows, lesson.told)


def answer_as(student: Student, rows: PixelRows) -> ClassNumbers:
    """Let a student answer; of numbers for each class the largest wins."""
    found = np.asarray(student.predict(rows))
    return found.argmax(1) if found.ndim == 2 else found.astype(np.int64)


def measure_student(
    student: Student, rows: PixelRows, teacher: ClassNumbers, labels: ClassNumbers
) -> dict[str, float | None]:
    """Measure how often a student answers as its teacher, and how often it is right.

    Returns:
        "fidelity", "accuracy", and "on mistakes", the fidelity where the teacher is wrong; None if
        it never is.
    """
    own, wrong = answer_as(student, rows), teacher != labels
    return {
        "fidelity": float((own == teacher).mean()),
        "accuracy": float((own == labels).mean()),
        "on mistakes": float((own == teacher)[wrong].mean()) if wrong.any() else None,
    }


def to_rows(images: Tensor) -> PixelRows:
    """Lay images `(N, C, H, W)` out as rows of pixels `(N, P)`."""
    rows: PixelRows = images.flatten(1).double().numpy()
    return rows
