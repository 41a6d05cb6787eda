"""The answers to several images: a tuple that is a frame, too."""

from typing import Any, Generic, TypeVar

from whence.records.answers import Explanation, Prediction
from whence.records.frames import make_frame
from whence.records.notebook import NOTEBOOK_VIEWS

AnAnswer = TypeVar("AnAnswer", Prediction, Explanation)


# a tuple, so that whatever took one before takes it now
class AnswerTuple(tuple[AnAnswer, ...], Generic[AnAnswer]):
    """Answers in the order of their images."""

    def to_frame(self, *, evidence: bool = False) -> Any:
        """Make a frame of pandas.

        Args:
            evidence: one row for each stored image that an answer was computed from, in place of
                one row for each image.

        Raises:
            ModuleNotFoundError: without pandas.
        """
        if evidence:
            rows = [
                {"image": place, **row}
                for place, answer in enumerate(self)
                for row in lay_out_evidence_rows(answer)
            ]
            return make_frame(rows, columns=("image", *EVIDENCE_COLUMNS))
        rows = [{"image": place, **lay_out_answer_row(one)} for place, one in enumerate(self)]
        return make_frame(rows, columns=("image", "answer", "probability"))

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["answers"](self)
        return html


EVIDENCE_COLUMNS = (
    *("rank", "index", "file", "label", "own_class", "weight", "similarity", "role"),
)


def name_or_number(answer: Prediction | Explanation, place: int | None) -> str | int | None:
    """Name a class where the answer knows names, else number it."""
    names = answer.class_names
    return names[place] if names and place is not None else place


def lay_out_answer_row(answer: Prediction | Explanation) -> dict[str, Any]:
    """Lay an answer out as one row: class, probabilities, doubt, and the heaviest stored image."""
    best = answer.evidence[0] if answer.evidence else None
    row: dict[str, Any] = {
        "answer": name_or_number(answer, answer.predicted),
        "probability": float(answer.probabilities[answer.predicted]),
    }
    for place, share in enumerate(answer.probabilities.tolist()):
        row[f"probability of {name_or_number(answer, place)}"] = share
    row |= {
        "error_probability": answer.error_probability,
        "flag": answer.flag,
        "evidence": len(answer.evidence),
        "top_file": None if best is None else best.source,
        "top_index": None if best is None else best.index,
        "top_label": None if best is None else name_or_number(answer, best.label),
        "top_weight": None if best is None else best.weight,
    }
    if isinstance(answer, Explanation):
        example, other = answer.example, answer.counterfactual
        row |= {
            "reliance": answer.reliance,
            "example_index": None if example is None else example.index,
            "counterfactual_index": None if other is None else other.index,
        }
    return row


def lay_out_evidence_rows(answer: Prediction | Explanation) -> list[dict[str, Any]]:
    """Lay out what an answer was computed from, one row a stored image, the heaviest first."""
    return [
        dict(
            zip(
                EVIDENCE_COLUMNS,
                (
                    *(rank, one.index, one.source, name_or_number(answer, one.label)),
                    *(name_or_number(answer, one.predicted), one.weight, one.similarity, one.role),
                ),
                strict=True,
            )
        )
        for rank, one in enumerate(answer.evidence, 1)
    ]
