"""Two runs on the same images, in words and as JSON."""

import statistics
from dataclasses import asdict
from typing import Any

from whence.messages import count, format_number
from whence.records.compared import Compared, ComparedAnswer, Drift, MovedImage, RunSide
from whence.report.numbers import any_share, percent

SIDE_ROWS = (
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("doubt", "mean probability of an error"),
    ("errors", "share of wrong answers"),
    ("auroc", "AUROC of that probability"),
    ("calibration_error", "calibration error (ECE)"),
)
"""Measures of both runs, and what they are called."""

SIGNIFICANT = 0.01
"""A p-value below it is called a difference, and the sentence says so."""


def describe_compared(found: Compared) -> list[str]:
    """Say in lines what two runs have in common on a set of images, and what not."""
    lines = []
    if found.answers:
        lines += [say_changed(found), *say_shared(found), say_stored_moves(found)]
        for one in found.changed[:10]:
            lines.append(f"  {one.name}: {say_both_answers(one, found.class_names)}")
    for name, text in SIDE_ROWS:
        values = [getattr(side, name) for side in found.sides]
        if any(value is not None for value in values):
            shown = " -> ".join("-" if value is None else f"{value:.3f}" for value in values)
            lines.append(f"  {text}: {shown}")
    lines += [sentence for drift in found.drift for sentence in say_drift(drift)]
    return lines


def say_changed(found: Compared) -> str:
    """Count the answers that changed, and which way where labels are known."""
    changed = found.changed
    total = len(found.answers)
    line = f"{len(changed):,} of {count(total, 'answer')} changed"
    known = [one for one in changed if one.truth is not None]
    if known:
        better = sum(one.answers[1] == one.truth for one in known)
        worse = sum(one.answers[0] == one.truth for one in known)
        neither = len(known) - better - worse
        line += f": {better:,} from wrong to right, {worse:,} from right to wrong"
        line += f", {neither:,} from wrong to wrong" if neither else ""
    return f"{line}."


def say_shared(found: Compared) -> tuple[str, ...]:
    """Say how much weight is on the same stored images; nothing without two memories."""
    shares = [one.shared for one in found.answers if one.shared is not None]
    if not shares:
        return ()
    mean, median = statistics.fmean(shares), statistics.median(shares)
    return (
        f"On average {percent(mean)} of the weight is on the same stored images "
        f"(median {percent(median)}).",
    )


def say_stored_moves(found: Compared) -> str:
    """Count the stored images that both have, that got another label, that came and that went."""
    without = [side.run for side in found.sides if not side.stored]
    if len(without) == len(found.sides):
        return "Neither run has a memory."
    if without:
        return f"{without[0]} has no memory, so no evidence can be compared."
    others = found.relabelled_count
    relabelled = f", {others:,} of them with another label" if others else ""
    return (
        f"{count(found.both, 'stored image')} in both memories{relabelled}; "
        f"{found.came_count:,} came, "
        f"{found.went_count:,} went."
    )


def say_both_answers(one: ComparedAnswer, classes: tuple[str, ...]) -> str:
    """Say what an image was answered with, and is."""
    first, second = one.answers
    truth = "" if one.truth is None else f" (it is {classes[one.truth]})"
    shared = "" if one.shared is None else f", {percent(one.shared)} of the weight shared"
    return (
        f"{classes[first]} {percent(one.shares[0])} became {classes[second]} "
        f"{percent(one.shares[1])}{truth}{shared}"
    )


def say_drift(drift: Drift) -> tuple[str, ...]:
    """Say how far the images are from the training images of a run."""
    control, others = "", "those are from each other"
    if drift.control is not None:
        control = f"; of the run's own test images {percent(drift.control)} are"
        others = "its own test images are"
    p_value = format_number(drift.p_value, ".1g")
    numbers = f"chance {drift.auroc:.2f}, p {p_value}, judged at p < {SIGNIFICANT:g}"
    verdict = f"No difference in distance to its own images is shown ({numbers})."
    if drift.p_value < SIGNIFICANT:
        far = "farther from" if drift.auroc > 0.5 else "nearer to"
        verdict = f"The images are {far} the training images than {others} ({numbers})."
    if drift.control is None:
        verdict += (
            " A trained model places its own training images nearer together than new ones, so "
            "what tells is the comparison with the run's own test images, which other images get."
        )
    images = count(drift.images, "image")
    sentences = [
        f"Drift, {drift.run}: {percent(drift.beyond)} of {images} are farther from the nearest "
        f"stored image than 95% of the stored images are (5% of those{control}). {verdict}"
    ]
    if drift.doubt is not None and drift.usual is not None:
        sentences.append(
            f"Doubt, {drift.run}: {percent(drift.doubt)} of the answers are expected to be wrong; "
            f"{percent(drift.usual)} were among the validation images."
        )
    return tuple(sentences)


def compared_to_json(found: Compared) -> dict[str, Any]:
    """Lay a comparison out as JSON, without pictures; classes by name."""
    names = found.class_names
    return {
        "data": found.data,
        "runs": [asdict(side) for side in found.sides],
        "images": len(found.answers),
        "changed": len(found.changed),
        "stored_in_both": found.both,
        "came": {"count": found.came_count, "images": [lay_out_move(m, names) for m in found.came]},
        "went": {"count": found.went_count, "images": [lay_out_move(m, names) for m in found.went]},
        "relabelled": {
            "count": found.relabelled_count,
            "images": [
                lay_out_move(m, names) | {"was": None if m.was is None else names[m.was]}
                for m in found.relabelled
            ],
        },
        "answers": [
            {
                "image": one.name,
                "truth": None if one.truth is None else names[one.truth],
                "answers": [names[place] for place in one.answers],
                "probabilities": list(one.shares),
                "error_probabilities": list(one.doubts),
                "weight_shared": one.shared,
            }
            for one in found.answers
        ],
        "drift": [asdict(drift) for drift in found.drift],
        "notes": list(found.notes),
    }


def lay_out_move(one: MovedImage, names: tuple[str, ...]) -> dict[str, Any]:
    """Lay out a stored image that one run alone has."""
    return {
        "file": one.file,
        "index": one.index,
        "label": None if one.label is None else names[one.label],
        "total_weight": one.weight,
    }


def write_side(side: RunSide, name: str) -> str:
    """Write a measure of a run as a share, or as a number where it is none."""
    value = getattr(side, name)
    if value is None:
        return "-"
    return f"{value:.3f}" if name in ("auroc", "calibration_error") else any_share(value)
