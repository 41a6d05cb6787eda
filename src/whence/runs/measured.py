"""What was measured, as JSON: accuracies, evidence beside its controls, signs of doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from whence.metrics.evidence import MEASURES
from whence.records.class_curves import ClassCurve, ThresholdTable
from whence.records.class_measures import ClassMeasures
from whence.records.measures import Evaluation, EvidenceMeasures, FlagQuality
from whence.records.spread import find_spread
from whence.report.decision import say_here, say_rule
from whence.report.trust import find_best

NESTED = ("reliance", "controls", "flag")
"""The objects of a measurement that are averaged over runs, beside the measures themselves."""


def describe_evaluation(found: Evaluation, untrained: Evaluation | None = None) -> dict[str, Any]:
    """Lay a measurement out as JSON, all fractions; null where a number does not apply.

    Args:
        found: of the model.
        untrained: of the same network before training, as a control.
    """
    draws = None
    if found.draws is not None:
        draws = {"mean": found.draws_mean, "std": found.draws_std, "passes": list(found.draws)}
    return {
        "images": found.images,
        "accuracy": found.whole_memory,
        "accuracy_draws": draws,
        "balanced_accuracy": found.balanced_accuracy,
        "worst_class": None if found.worst_class is None else describe_class(found.worst_class),
        "by_class": [describe_class(one) for one in found.classes],
        "decision": describe_decision(found),
        "ranking": [describe_curve(one) for one in found.curves],
        "thresholds": None if found.thresholds is None else describe_thresholds(found.thresholds),
        **evidence_to_json(found.evidence, found.draws_evidence or ()),
        **count_evidence(found),
        "reliance": None if found.reliance is None else asdict(found.reliance),
        "controls": describe_controls(found, untrained),
        "flag": describe_flag(found),
        "known": None if found.known is None else asdict(found.known),
    }


def describe_class(found: ClassMeasures) -> dict[str, Any]:
    """Lay out recall and precision of a class, with the counts that they are of."""
    return {
        "class": found.name,
        "images": found.images,
        "right": found.right,
        "recall": found.recall,
        "answers": found.answers,
        "precision": found.precision,
    }


def describe_curve(found: ClassCurve) -> dict[str, Any]:
    """Lay out how well the probability of a class finds its images, without the curves."""
    return {
        "class": found.name,
        "images": found.images,
        "auroc": found.auroc,
        "average_precision": found.average_precision,
    }


def describe_thresholds(found: ThresholdTable) -> dict[str, Any]:
    """Lay out what thresholds of a class give."""
    return {
        "class": found.name,
        "images": found.images,
        "others": found.others,
        "cost": found.cost,
        "rows": [asdict(row) for row in found.rows],
    }


def describe_decision(found: Evaluation) -> dict[str, Any] | None:
    """Lay out the class with a threshold: what it was chosen on, and how well it is found here."""
    decision = found.decision
    if decision is None:
        return None
    return {
        "class": decision.validation.name,
        "threshold": decision.threshold,
        "target_recall": decision.target_recall,
        "cost": decision.cost,
        "validation_images": decision.images,
        "validation": describe_class(decision.validation),
        "here": describe_class(found.classes[decision.place]),
        "sentences": [
            say_rule(decision),
            say_here(found.classes[decision.place], found.images),
        ],
    }


def count_evidence(found: Evaluation) -> dict[str, int | None]:
    """Count the images that the two accuracies of the evidence are of, with the whole memory."""
    examples = None if found.evidence is None else found.evidence.count_examples(found.images)
    others = None if examples is None else found.images - examples
    return {"example_images": examples, "counterfactual_images": others}


def evidence_to_json(
    whole: EvidenceMeasures | None, draws: Sequence[EvidenceMeasures]
) -> dict[str, Any]:
    """Lay out each measure with the whole memory, and its mean and deviation over draws."""
    found: dict[str, Any] = {}
    for name in MEASURES:
        found[name] = None if whole is None else getattr(whole, name)
        found[f"{name}_draws"] = lay_out_spread([getattr(one, name) for one in draws])
    return found


def lay_out_spread(values: Sequence[float | None]) -> dict[str, float] | None:
    """Lay mean and deviation of the numbers that there are out; None without any."""
    found = find_spread(values)
    return None if found is None else found._asdict()


def describe_controls(found: Evaluation, untrained: Evaluation | None) -> dict[str, Any]:
    """Lay the controls out: None for one that was left out or does not apply."""
    controls: dict[str, Any] = {
        name: None if (control := found.controls.get(name)) is None else asdict(control)
        for name in ("random", "nearest")
    }
    before = None
    if untrained is not None and untrained.evidence is not None:
        before = {"accuracy": untrained.whole_memory, **asdict(untrained.evidence)}
    return {**controls, "untrained": before}


def describe_flag(found: Evaluation) -> dict[str, Any]:
    """Lay out how well errors are found: by the calibrated probability, and by each signal."""
    calibration = found.calibration
    signals = {name: quality_to_json(quality) for name, quality in found.signals.items()}
    nothing = dict.fromkeys(("auroc", "ece", "aurc", "risk_coverage"))
    return {
        **signals.get("error_probability", nothing),
        "best": find_best(found.signals),
        "calibration_images": None if calibration is None else calibration.images,
        "calibration_errors": None if calibration is None else calibration.errors,
        "signals": signals,
    }


def quality_to_json(quality: FlagQuality) -> dict[str, Any]:
    """Lay out one signal; coverages become texts, as JSON wants them."""
    risks = {str(share): risk for share, risk in quality.risk_coverage.items()}
    return {
        "auroc": quality.auroc,
        "ece": quality.ece,
        "aurc": quality.aurc,
        "risk_coverage": risks,
    }


def average_runs(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average the measures, controls and flags of several runs, number by number.

    Args:
        results: JSON as ``describe_evaluation`` gives it.

    Returns:
        The same keys; in place of each number its mean and population deviation over the runs that
        have it, None where none has.
    """
    return {name: average_all([one[name] for one in results]) for name in (*MEASURES, *NESTED)}


def average_all(values: Sequence[Any]) -> Any:
    """Average numbers, or objects of numbers, that may be None; texts are left out.

    >>> average_all([{"a": 1, "b": None}, {"a": 2, "b": None}, None])
    {'a': {'mean': 1.5, 'std': 0.5}, 'b': None}
    """
    objects = [value for value in values if isinstance(value, Mapping)]
    if not objects:
        return lay_out_spread(values)
    names = dict.fromkeys(name for one in objects for name in one)
    columns = {name: [one.get(name) for one in objects] for name in names}
    kept = {n: v for n, v in columns.items() if not any(isinstance(value, str) for value in v)}
    return {name: average_all(column) for name, column in kept.items()}
