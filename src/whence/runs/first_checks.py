"""A first file of expectations: what is true of a run today, rounded down."""

import math
import os
import statistics
from pathlib import Path
from typing import Any

import tomli_w

from whence.bounds import BATCH_SIZE
from whence.evidence.predict import predict
from whence.models.classifier import Classifier
from whence.records.answers import Prediction
from whence.records.images import ImageSet

SURE_ENOUGH = 0.9
"""Of one image no higher probability is asked for, which another training would miss."""

FILE_HEAD = """\
# What is expected of {run}; whence check RUN --expect THIS tells what does not hold any more.
# Written from what was true of {images:,} test images; numbers are rounded down. Edit it: each
# [[check]] is one assertion. Files and folders begin at the folder of this file.

"""


def write_expectations(
    model: Classifier,
    test: ImageSet,
    *,
    run: str,
    root: Path | None,
    target: Path,
    batch_size: int = BATCH_SIZE,
) -> str:
    """Lay out as TOML what is true of the answers to test images.

    Args:
        model: of the run.
        test: its test images.
        run: its name.
        root: folder that their files are below; None names images by index.
        target: the file that it is for, at whose folder paths begin.
        batch_size: images encoded at once.
    """
    answers = predict(model, test.images, batch_size=batch_size)
    truths = test.labels.tolist()
    hits = [one.predicted == truth for one, truth in zip(answers, truths, strict=True)]
    recalls = {
        name: statistics.fmean(hit for hit, truth in zip(hits, truths, strict=True) if truth == k)
        for k, name in enumerate(model.class_names)
        if k in truths
    }
    balanced = statistics.fmean(recalls.values())
    tables: list[dict[str, Any]] = [
        {"assert": "balanced_accuracy", "at_least": round_down(balanced)}
    ]
    for name, share in recalls.items():
        tables.append({"assert": "recall", "class": name, "at_least": round_down(share)})
    if model.has_memory:
        enough = statistics.fmean(weight_of_own(one) >= 0.5 for one in answers)
        tables.append(
            {"assert": "own_class_weight", "at_least": 0.5, "of_images": round_down(enough)}
        )
    for place in find_surest(answers, truths, hits):
        tables += describe_image(model, test, answers[place], place, root, target)
    kept = [one for one in tables if one.get("of_images") != 0]
    return FILE_HEAD.format(run=run, images=len(test)) + tomli_w.dumps({"check": kept})


def find_surest(answers: tuple[Prediction, ...], truths: list[int], hits: list[bool]) -> list[int]:
    """Find for each class the test image that is answered rightly with the highest probability."""
    best: dict[int, tuple[float, int]] = {}
    for place, (one, truth, hit) in enumerate(zip(answers, truths, hits, strict=True)):
        share = float(one.probabilities[one.predicted])
        if hit and (truth not in best or share > best[truth][0]):
            best[truth] = share, place
    return [best[truth][1] for truth in sorted(best)]


def describe_image(
    model: Classifier,
    test: ImageSet,
    answer: Prediction,
    place: int,
    root: Path | None,
    target: Path,
) -> list[dict[str, Any]]:
    """Lay out what is true of one image: its answer, and the label of its top evidence."""
    subject: dict[str, Any] = {"test": place}
    if root is not None and test.sources is not None:
        path = os.path.relpath(root / test.sources[place], target.absolute().parent)
        subject = {"image": Path(path).as_posix()}
    name = model.class_names[answer.predicted]
    share = min(SURE_ENOUGH, round_down(float(answer.probabilities[answer.predicted])))
    found: list[dict[str, Any]] = [
        {"assert": "answer"} | subject | {"class": name, "at_least": share}
    ]
    if answer.evidence and answer.evidence[0].label is not None:
        label = model.class_names[answer.evidence[0].label]
        found.append({"assert": "top_evidence"} | subject | {"class": label})
    return found


def weight_of_own(answer: Prediction) -> float:
    """Sum the weight on stored images with the label of the answer."""
    return sum(one.weight for one in answer.evidence if one.label == answer.predicted)


def round_down(share: float) -> float:
    """Round a share down to two digits.

    >>> round_down(0.8399), round_down(1.0), round_down(0.29)
    (0.83, 1.0, 0.29)
    """
    return math.floor(share * 100 + 1e-6) / 100
