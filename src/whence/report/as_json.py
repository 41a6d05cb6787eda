"""Answers and their evidence as JSON, classes by index and by name."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from whence.records.answers import Draws, Evidence, Explanation, Prediction, Removal
from whence.records.explained import Answer, Origin
from whence.records.relevance import Relevance
from whence.report.as_morph_json import lay_out_morph
from whence.report.decision import lay_out_decision, say_decision
from whence.report.doubt import find_doubt
from whence.report.json_values import lay_out_origin, to_class, to_list
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
        **lay_out_origin(origin, class_names),
        "answers": [lay_out(answer, class_names, with_pixels) for answer in answers],
    }


def lay_out(answer: Answer, classes: Sequence[str], with_pixels: bool) -> dict[str, Any]:
    """Lay one answer out."""
    explanation = answer.explanation
    left = explanation.probabilities_without
    found = lay_out_answer(answer.name, explanation, classes)
    for item, change, after in zip(found["evidence"], explanation.without, left, strict=True):
        item["without"] = {"logit_changes": to_list(change), "probabilities": to_list(after)}
    return found | {
        "truth": to_class(answer.truth, classes),
        "example": evidence_or_none(explanation.example, classes),
        "example_reason": explanation.example_reason,
        "counterfactual": evidence_or_none(explanation.counterfactual, classes),
        "counterfactual_reason": explanation.counterfactual_reason,
        "counterfactuals": [
            lay_out_evidence(item, classes) for item in explanation.counterfactuals
        ],
        "near_miss": evidence_or_none(explanation.near_miss, classes),
        "draws": draws_to_json(explanation.draws),
        "reliance": explanation.reliance,
        "removal": removal_to_json(answer.removal, classes),
        "nearest": [lay_out_evidence(item, classes) for item in explanation.nearest],
        "attribution": relevance_to_json(answer.relevance, with_pixels),
        "morph": None if answer.morph is None else lay_out_morph(answer.morph, classes),
        "notes": list(answer.notes),
    }


def lay_out_answer(
    name: str, answer: Prediction | Explanation, classes: Sequence[str]
) -> dict[str, Any]:
    """Lay out what ``predict`` and ``explain`` both know of an image, under the same keys."""
    return {
        "image": name,
        "predicted": to_class(answer.predicted, classes),
        "probabilities": to_list(answer.probabilities),
        "doubt": asdict(find_doubt(answer, classes)),
        "evidence": [lay_out_evidence(item, classes) for item in answer.evidence],
        "threshold": answer.threshold,
        "handicaps": None if answer.handicaps is None else to_list(answer.handicaps),
        "by_label": answer.by_label,
        "reading": say_reading(answer, classes),
        "left_out": list(answer.left_out),
        "flag": answer.flag,
        "error_probability": answer.error_probability,
        "decision": lay_out_decision(answer.decision, classes),
        "decided": say_decision(answer, classes),
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
        "sentence": relevance.words,
        "score": float(relevance.score[0]),
        "start": float(relevance.start[0]),
        "ledger": ledger and {name: float(amounts[0]) for name, amounts in ledger.items()},
        "image_sum": float(relevance.images[0].double().sum()),
        "evidence_sums": [float(one.double().sum()) for one in relevance.evidence[0]],
        "compared_indices": list(relevance.compared_indices[0]) if relevance.compared else [],
        "compared_sums": [float(one.double().sum()) for part in relevance.compared for one in part],
        "rest": None if relevance.rest is None else float(relevance.rest[0]),
    }
    if with_pixels:
        found["image"] = to_list(relevance.images[0])
        found["evidence"] = to_list(relevance.evidence[0])
        found["compared"] = [to_list(one) for part in relevance.compared for one in part]
    return found


def show_option(value: object) -> int | float | str:
    """Lay out the option of a method; what is no number or text is named."""
    return value if isinstance(value, int | float | str) else type(value).__name__
