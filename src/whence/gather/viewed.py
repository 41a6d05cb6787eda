"""Images with their answers and the pictures behind them, to look at in a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whence.bounds import BATCH_SIZE
from whence.data.read_images import Pictures, read_images
from whence.gather.explained import explain_images
from whence.kinds import check_arguments
from whence.models.classifier import Classifier
from whence.records.explained import Answer
from whence.records.labels import read_labels
from whence.report.answer_blocks import ANSWER_BLOCKS
from whence.report.notebook import render_fragment


@dataclass(frozen=True, eq=False, repr=False)
class Viewed:
    """Explained images; in a notebook, pictures of all that each answer was computed from.

    Attributes:
        answers: one per image.
        class_names: K names.
    """

    answers: tuple[Answer, ...]
    class_names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Viewed({len(self.answers)} images; look at it in a notebook)"

    def _repr_html_(self) -> str:
        parts = []
        for answer in self.answers:
            blocks = [block for make in ANSWER_BLOCKS for block in make(answer, self.class_names)]
            parts.append(render_fragment(answer.name, blocks))
        return "\n".join(parts)


@check_arguments
def view(
    model: Classifier,
    images: Pictures | Sequence[Pictures],
    *,
    truths: Sequence[str] | None = None,
    method: str | None = None,
    draws: int = 0,
    options: Mapping[str, Any] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Viewed:
    """Explain images, to look at each with its stored images in a notebook.

    Args:
        model: with a bank, unless it is a standard model.
        images: a few, as ``whence.read_images`` takes them.
        truths: names of their true classes, where they are known.
        method: of attribution, whose pictures are shown as well; None for none.
        draws: random memories that are answered with again.
        options: of the method.
        batch_size: images computed at once; changes memory use, not the result.

    Raises:
        ValueError: as ``whence.explain``, or if a true class is none.
    """
    read = read_images(images, like=model)
    known: list[int | None] = [None] * len(read.images)
    if truths is not None:
        known = read_labels(list(truths), model.class_names, len(read.images)).tolist()
    answers = explain_images(
        model,
        read.images,
        [Path(file.path).name for file in read.files],
        known,
        draws=draws,
        method=method,
        options=options,
        batch_size=batch_size,
    )
    return Viewed(answers, model.class_names)
