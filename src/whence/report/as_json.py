"""Answers and their evidence as JSON, classes by index and by name."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from whence.records.answers import Draws, Evidence, Removal
from whence.records.explained import Answer, Origin
from whence.records.relevance import Relevance
from whence.report.as_morph_json import lay_out_morph
from whence.report.doubt import find_doubt
from whence.report.json_values import to_class, to_list
from whence.report.numbers import leave_out
from whence.report.reading import say_reading


def to_json(
    answers: Sequence[Answer],
    origin: Origin,
    class_names: Sequence[str],
    *,
    with_pixels: bool = False,
) -> dict[str, Any]:
    """Lay answers out for ``json.dumps``: every field of the records, NaN as null.

    Args:
        answers: in order.
        origin: what they were computed from.
        class_names: one name per class.
        with_pixels: every pixel's relevance as nested lists `(C, H, W)`; otherwise only sums.

    Returns:
        An object with the keys run, classes, facts, notes and answers.
    """
    return {
        "run": origin.run,
        "classes": list(class_names),
        "facts": dict(origin.facts),
        "notes": list(origin.notes),
        "answers": [lay_out(answer, class_names, with_pixels) for answer in answers],
    }


def lay_out(answer: Answer, classes: Sequence[str], with_pixels: bool) -> dict[str, Any]:
    """Lay one answer out."""
    explanation, doubt = answer.explanation, find_doubt(answer, classes)
    left = leave_out(explanation.probabilities, explanation.without)
    evidence = [
        lay_out_evidence(item, classes)
        | {"without": {"logit_changes": to_list(change), "probabilities": to_list(after)}}
        for item, change, after in zip(explanation.evidence, explanation.without, left, strict=True)
    ]
    return {
        "image": answer.name,
        "truth": to_class(answer.truth, classes),
        "predicted": to_class(explanation.predicted, classes),
        "probabilities": to_list(explanation.probabilities),
        "doubt": asdict(doubt),
        "evidence": evidence,
        "threshold": explanation.threshold,
        "reading": say_reading(explanation.threshold),
        "example": evidence_or_none(explanation.example, classes),
        "example_reason": explanation.example_reason,
        "counterfactual": evidence_or_none(explanation.counterfactual, classes),
        "counterfactual_reason": explanation.counterfactual_reason,
        "counterfactuals": [
            lay_out_evidence(item, classes) for item in explanation.counterfactuals
        ],
        "near_miss": evidence_or_none(explanation.near_miss, classes),
        "left_out": list(explanation.left_out),
        "draws": draws_to_json(explanation.draws),
        "reliance": explanation.reliance,
        "flag": explanation.flag,
        "error_probability": explanation.error_probability,
        "removal": removal_to_json(answer.removal, classes),
        "attribution": relevance_to_json(answer.relevance, with_pixels),
        "morph": None if answer.morph is None else lay_out_morph(answer.morph, classes),
        "notes": list(answer.notes),
    }


def lay_out_evidence(item: Evidence, classes: Sequence[str]) -> dict[str, Any]:
    """Lay one evidence image out."""
    named = {
        "label": to_class(item.label, classes),
        "predicted": to_class(item.predicted, classes),
    }
    return asdict(item) | named


def evidence_or_none(item: Evidence | None, classes: Sequence[str]) -> dict[str, Any] | None:
    """Lay out an evidence image that may be missing."""
    return None if item is None else lay_out_evidence(item, classes)


def draws_to_json(draws: Draws | None) -> dict[str, Any] | None:
    """Lay out what random memories gave."""
    if draws is None:
        return None
    return {
        "draws": draws.draws,
        "memory_size": draws.memory_size,
        "seed": draws.seed,
        "probabilities": to_list(draws.probabilities),
        "changed": draws.changed,
        "example_drawn": draws.example_drawn,
        "example_kept": draws.example_kept,
    }


def removal_to_json(removal: Removal | None, classes: Sequence[str]) -> dict[str, Any] | None:
    """Lay out which stored images' removal changes the answer."""
    if removal is None:
        return None
    named = {
        "becomes": to_class(removal.becomes, classes),
        "smallest_becomes": to_class(removal.smallest_becomes, classes),
    }
    return asdict(removal) | named


def relevance_to_json(relevance: Relevance | None, with_pixels: bool) -> dict[str, Any] | None:
    """Lay out what an attribution adds up to, and its pixels where they were asked for."""
    if relevance is None:
        return None
    ledger = relevance.ledger
    found: dict[str, Any] = {
        "method": relevance.method,
        "options": {name: show_option(value) for name, value in relevance.options.items()},
        "target": relevance.target[0],
        "sentence": relevance.sentence,
        "score": float(relevance.score[0]),
        "start": float(relevance.start[0]),
        "ledger": ledger and {name: float(amounts[0]) for name, amounts in ledger.items()},
        "image_sum": float(relevance.images[0].double().sum()),
        "evidence_sums": [float(one.double().sum()) for one in relevance.evidence[0]],
        "rest": None if relevance.rest is None else float(relevance.rest[0]),
    }
    if with_pixels:
        found["image"] = to_list(relevance.images[0])
        found["evidence"] = to_list(relevance.evidence[0])
    return found


def show_option(value: object) -> int | float | str:
    """Lay out the option of a method; what is no number or text is named."""
    return value if isinstance(value, int | float | str) else type(value).__name__
