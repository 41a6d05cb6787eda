"""How good answers are for each class: recall and precision, with their counts."""

from collections.abc import Sequence

from torch import Tensor

from whence.records.class_measures import ClassMeasures
from whence.shapes import check_shape


def measure_classes(
    predicted: Tensor, labels: Tensor, class_names: Sequence[str]
) -> tuple[ClassMeasures, ...]:
    """Count images, right answers and answers of each class.

    Args:
        predicted: `(N,)` classes of the answers.
        labels: `(N,)` true classes.
        class_names: K names.

    Returns:
        One record per class, in their order.
    """
    sizes = check_shape("labels", labels, "N")
    check_shape("predicted", predicted, "N", **sizes)
    total = len(class_names)
    images, answers, right = (
        part.bincount(minlength=total).tolist()
        for part in (labels, predicted, labels[predicted == labels])
    )
    return tuple(
        ClassMeasures(*counts) for counts in zip(class_names, images, right, answers, strict=True)
    )
