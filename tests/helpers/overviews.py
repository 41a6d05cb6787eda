"""Whole runs in numbers, made by hand, for the tests of their page."""

from dataclasses import replace

import torch

from tests.helpers.pages import CLASSES, answer, picture
from whence.records.class_measures import ClassMeasures
from whence.records.explained import Stored
from whence.records.measures import (
    Calibration,
    Evaluation,
    EvidenceMeasures,
    FlagQuality,
    Suspicion,
)
from whence.records.memory_use import MemoryUse, Used
from whence.records.overview import Curve, Hard, Made, Overview

DRAWN = ("error_probability", "softmax", "entropy", "nearest")
MADE = Made("pets", "pets", "memory-wrap", "small_cnn", 200, 5, drawn=6, draw_batch=9)
CALIBRATION = Calibration(("softmax", "support"), (0.0, 1.0), (1.0, 2.0), (0.7, -0.4), -0.5, 50, 9)


def quality(auroc=0.8, ece=None, wrong=0.16):
    risks = {0.5: wrong / 8, 0.8: wrong * 0.4375, 0.9: wrong / 2, 0.95: wrong / 1.5, 1.0: wrong}
    return FlagQuality(auroc, ece, 0.05, risks)


def evaluation(**changes):
    """84 of 100 images are answered right; there is none of the third class."""
    measures = EvidenceMeasures(0.75, 0.9, 0.4, 0.5, 12.5, 11.0)
    control = EvidenceMeasures(0.25, 0.8, 0.7, None)
    fields = {
        "images": 100,
        "whole_memory": 0.84,
        "classes": (
            ClassMeasures("cat", 50, 45, 56),
            ClassMeasures("dog", 50, 39, 44),
            ClassMeasures("fox", 0, 0, 0),
        ),
        "draws": (0.8, 0.82),
        "evidence": measures,
        "draws_evidence": (replace(measures, purity=0.3), replace(measures, purity=0.4)),
        "controls": {"random": control, "nearest": replace(control, purity=0.6)},
        "signals": {
            "error_probability": quality(0.9, 0.012),
            "softmax": quality(0.85, 0.2),
            "nearest": quality(None),
        },
        "calibration": replace(CALIBRATION, images=1500, errors=300),
    }
    return Evaluation(**(fields | changes))


def overview(shape=(3, 8, 10), *, pixels=True, **changes):
    stored = {
        index: Stored(index % 3, (index + 1) % 3, None, picture(index, shape) if pixels else None)
        for index in (4, 5, 30, 31)
    }
    fields = {
        "made": MADE,
        "class_names": CLASSES,
        "evaluation": evaluation(),
        "confusion": torch.tensor([[45, 5, 0], [11, 39, 0], [0, 0, 0]]),
        "curves": tuple(Curve(name, (0.05, 1.0), (0.02, 0.16)) for name in DRAWN),
        "hard": (Hard(8, "sure", 0, 1, 0.75, 0.05), Hard(3, "doubtful", 1, 1, 0.4, None)),
        "memory": MemoryUse(
            200, 20, 31, (Used(4, 40.0, 10.0, 60), Used(5, 2.0, 2.0, 3)), (Used(5, 2.0, 2.0, 3),)
        ),
        "suspicious": (
            Suspicion(30, 0, 0, 2, "a/30.png", 0.93, 0.125, 0.5),
            Suspicion(31, 1, 2, 0, None, 0.6, 0.25, 0.5),
        ),
        "stored": stored,
    }
    return Overview(**(fields | changes))


def standard(**changes):
    """The same of a model without a memory."""
    found = evaluation(
        draws=None,
        evidence=None,
        draws_evidence=None,
        controls={},
        signals={"softmax": quality(0.8, 0.1), "entropy": quality(0.7)},
        calibration=None,
    )
    curves = tuple(Curve(name, (0.05, 1.0), (0.02, 0.16)) for name in ("softmax", "entropy"))
    return overview(
        made=replace(MADE, variant="standard"),
        evaluation=found,
        curves=curves,
        memory=None,
        suspicious=None,
        stored={},
        **changes,
    )


def hard_answers(shape=(3, 8, 10), pixels=True):
    """The explanations of the two hard cases."""
    first = answer(shape=shape, pixels=pixels, name="test image 8", truth=0)
    second = answer(shape=shape, pixels=pixels, name="test image 3", truth=1)
    return first, second
