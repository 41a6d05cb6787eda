"""ROC and precision-recall curves of each class, and what thresholds of one class give."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whence.records.class_curves import ClassCurve, ThresholdRow, ThresholdTable
from whence.shapes import check_shape

POINTS_OF_CURVE = 200
"""Points of a curve at most; of more so many are kept, evenly."""

MOST_TRACED = 100
"""Classes up to which each has curves."""

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def trace_classes(
    probabilities: Tensor, labels: Tensor, class_names: Sequence[str]
) -> tuple[ClassCurve, ...]:
    """Follow recall, precision and false alarms of each class over all thresholds.

    Args:
        probabilities: `(N, K)` in [0, 1].
        labels: `(N,)` true classes.
        class_names: K names.

    Returns:
        Curves of the classes that some images have and some have not, in their order; none of more
        than 100 classes.
    """
    sizes = check_shape("probabilities", probabilities, "N K", K=len(class_names))
    check_shape("labels", labels, "N", N=sizes["N"])
    found: list[ClassCurve] = []
    if len(class_names) > MOST_TRACED:
        return ()
    for place, name in enumerate(class_names):
        of_class = labels == place
        if bool(of_class.any()) and not bool(of_class.all()):
            found.append(trace_class(name, probabilities[:, place], of_class))
    return tuple(found)


def trace_class(name: str, shares: Tensor, of_class: Tensor) -> ClassCurve:
    """Follow one class, by scikit-learn; ties of probability are one point.

    Args:
        name: of the class.
        shares: `(N,)` probability of it.
        of_class: `(N,)` bool, the image is of it; some are, and some are not.

    >>> shares, of_class = torch.tensor([0.9, 0.5, 0.4, 0.1]), torch.tensor([1, 0, 1, 0]) > 0
    >>> found = trace_class("a", shares, of_class)
    >>> found.auroc, round(found.average_precision, 4), found.hits
    (0.75, 0.8333, (0.0, 0.5, 0.5, 1.0, 1.0))
    """
    from sklearn.metrics import (  # late: it takes a second
        average_precision_score,
        precision_recall_curve,
        roc_auc_score,
        roc_curve,
    )

    truth, scores = of_class.cpu().numpy(), shares.double().cpu().numpy()
    false_alarms, hits, _ = roc_curve(truth, scores, drop_intermediate=False)
    precisions, recalls, _ = precision_recall_curve(truth, scores)
    # its first precision, 1 at recall 0, is no threshold's
    columns = (false_alarms, hits, recalls[::-1][1:], precisions[::-1][1:])
    rates = [thin_out(one.tolist()) for one in columns]
    return ClassCurve(
        name,
        images=int(truth.sum()),
        others=int((~truth).sum()),
        auroc=float(roc_auc_score(truth, scores)),
        average_precision=float(average_precision_score(truth, scores)),
        false_alarms=rates[0],
        hits=rates[1],
        recalls=rates[2],
        precisions=rates[3],
    )


def thin_out(values: Sequence[float]) -> tuple[float, ...]:
    """Keep 200 of more numbers, evenly, the first and the last among them."""
    if len(values) <= POINTS_OF_CURVE:
        return tuple(values)
    steps = torch.linspace(0, len(values) - 1, POINTS_OF_CURVE).round().long().tolist()
    return tuple(values[step] for step in steps)


def tabulate_thresholds(
    shares: Tensor,
    of_class: Tensor,
    *,
    name: str,
    cost: float = 1.0,
    chosen: float | None = None,
) -> ThresholdTable:
    """Count what answering a class from several thresholds on gives.

    Args:
        shares: `(N,)` probability of the class, in [0, 1].
        of_class: `(N,)` bool, the image is of it.
        name: of the class.
        cost: of missing an image, where a false alarm costs 1.
        chosen: the threshold that the answers have, which is a row; None without one.
    """
    sizes = check_shape("shares", shares, "N")
    check_shape("of_class", of_class, "N", **sizes)
    known, wanted = shares.double(), sorted({*THRESHOLDS, *(() if chosen is None else (chosen,))})
    total = int(of_class.sum())
    rows = []
    for threshold in wanted:
        answered = known >= threshold
        found = int((answered & of_class).sum())
        alarms = int((answered & ~of_class).sum())
        price = cost * (total - found) + alarms
        rows.append(ThresholdRow(threshold, found, alarms, price, threshold == chosen))
    return ThresholdTable(name, total, len(known) - total, cost, tuple(rows))


def choose_tabulated(labels: Tensor, classes: int, decided: int | None) -> int | None:
    """Choose the class whose thresholds are shown: the one that has one, or the rarer of two."""
    if decided is not None:
        return decided
    if classes != 2:
        return None
    return int(labels.bincount(minlength=2).argmin())
