"""What ``whence evaluate`` prints: measures beside their controls, and signs of doubt."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from whence.cli.align import align
from whence.cli.work.class_text import describe_balance, describe_choice, list_classes
from whence.metrics.evidence import MEASURES
from whence.records.class_measures import ClassMeasures
from whence.records.measures import KnownImages, Reliance
from whence.report.dependence import say_dependence
from whence.report.known import say_known
from whence.report.trust import COUNTS, SIGNAL_NAMES

ABSENT = "-"
COVERED = ("0.8", "0.9")
COUNTED = {
    "explanation_accuracy": "images",
    "example_accuracy": "example_images",
    "counterfactual_accuracy": "counterfactual_images",
    "purity": "images",
}
"""Measures of which a count of images is written, and its name."""

RANKED = 10
"""Classes whose ranking is printed."""

RELIANCES = {
    "median": "of an answer, from stored images (median)",
    "changed_share": "right answers that change without their class",
}


def describe_measured(result: dict[str, Any]) -> str:
    """Say how good a run is, and how far its evidence and its signs of doubt can be trusted."""
    line = f"{result['run']}: {result['accuracy']:.2%} of {result['images']:,} images right"
    draws = result["accuracy_draws"]
    if draws:
        line += f" with the whole memory, {draws['mean']:.2%} ± {draws['std']:.2%} with draws"
    classes = [to_measures(one) for one in result["by_class"]]
    worst = None if result["worst_class"] is None else to_measures(result["worst_class"])
    balance = describe_balance(result["balanced_accuracy"], worst)
    blocks = [line] if balance is None else [line, f"  {balance}"]
    if result["decision"] is not None:
        blocks += indent(result["decision"]["sentences"])
    known = None if result["known"] is None else say_known(KnownImages(**result["known"]))
    if known is not None:
        blocks.append(f"  {known}")
    blocks += ["", *indent(describe_classes(classes))]
    if result["ranking"]:
        blocks += ["", *indent(align_ranking(result["ranking"]))]
    if result["thresholds"] is not None:
        blocks += ["", *indent(align_thresholds(result["thresholds"]))]
    if draws:
        blocks += ["", *indent(align_evidence(result))]
        blocks += indent(say_dependence(Reliance(**result["reliance"])))
    return "\n".join([*blocks, "", *indent(describe_signals(result)), ""])


def to_measures(found: Mapping[str, Any]) -> ClassMeasures:
    """Read recall and precision of a class from JSON."""
    return ClassMeasures(found["class"], found["images"], found["right"], found["answers"])


def describe_classes(classes: Sequence[ClassMeasures]) -> list[str]:
    """Lay recall and precision of the classes out, with the counts that they are of."""
    rows = [["class", "images", "recall", "answers", "precision"]]
    for one in list_classes(classes):
        shares = [write_number("recall", one.recall), write_number("precision", one.precision)]
        rows.append([one.name, f"{one.images:,}", shares[0], f"{one.answers:,}", shares[1]])
    choice = describe_choice(classes)
    return align(rows) if choice is None else [*align(rows), choice]


def align_ranking(ranking: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out how well the probability of each class finds its images; of many the worst."""
    worst = sorted(ranking, key=lambda one: one["auroc"])[:RANKED]
    shown = ranking if len(ranking) <= RANKED else worst
    rows = [["class", "AUROC", "average precision"]]
    rows += [
        [one["class"], number(one["auroc"]), number(one["average_precision"])] for one in shown
    ]
    rest = len(ranking) - len(shown)
    return [*align(rows), f"({rest:,} more classes, of higher AUROC)"] if rest else align(rows)


def align_thresholds(table: Mapping[str, Any]) -> list[str]:
    """Lay out what thresholds of one class give, the one in use marked."""
    rows = [[f"{table['class']} from", "recall", "precision", "false alarms", "missed", "cost"]]
    for row in table["rows"]:
        answers = row["found"] + row["false_alarms"]
        shares = [write_number("recall", row["found"] / table["images"])]
        shares.append(write_number("", row["found"] / answers if answers else None))
        counts = [f"{row['false_alarms']:,}", f"{table['images'] - row['found']:,}"]
        mark = "*" if row["chosen"] else ""
        rows.append([f"{row['threshold']:.1%}{mark}", *shares, *counts, f"{row['cost']:,.6g}"])
    price = f"missing an image costs {table['cost']:g}, a false alarm 1"
    return [
        *align(rows),
        f"({price}{'; * is in use' if any(r['chosen'] for r in table['rows']) else ''})",
    ]


def align_evidence(result: dict[str, Any]) -> list[str]:
    """Lay the measures of the evidence out, each beside its controls."""
    controls = result["controls"]
    before = controls["untrained"] is not None
    header = ["evidence", "whole memory", "draws", "random image", "nearest image"]
    rows = [[*header, "untrained"] if before else header]
    for name, text in MEASURES.items():
        spread = result[f"{name}_draws"]
        numbers = [result[name], spread and spread["mean"], controls["random"][name]]
        numbers.append(controls["nearest"][name])
        if before:
            numbers.append(controls["untrained"][name])
        texts = [write_number(name, number) for number in numbers]
        if name in COUNTED and numbers[0] is not None:
            texts[0] += f" of {result[COUNTED[name]]:,}"
        rows.append([text, *texts])
    lines = align(rows)
    if before:
        accuracy = controls["untrained"]["accuracy"]
        lines.append(f"(untrained: the network before training, {accuracy:.2%} right)")
    return lines


def describe_signals(result: dict[str, Any]) -> list[str]:
    """Lay the signs of doubt out, the calibrated probability first, and name the best one."""
    flag = result["flag"]
    header = ["sign of doubt", "AUROC", "ECE", "AURC"]
    rows = [header + [f"wrong of the surest {float(part):.0%}" for part in COVERED]]
    for name, found in flag["signals"].items():
        risks = [f"{found['risk_coverage'][part]:.2%}" for part in COVERED]
        numbers = [number(found[key]) for key in ("auroc", "ece", "aurc")]
        rows.append([SIGNAL_NAMES[name], *numbers, *risks])
    wrong = sum(one["images"] - one["right"] for one in result["by_class"])
    lines = [*align(rows), f"(measured on {result['images']:,} answers, {wrong:,} of them wrong)"]
    if flag["best"] is not None:
        best = flag["signals"][flag["best"]]["auroc"]
        lines.append(
            f"{SIGNAL_NAMES[flag['best']]} finds errors best (AUROC {best:.3f}; 0.5 is a coin)"
        )
    if flag["calibration_images"] is None:
        lines.append(
            "not calibrated: a training run does that, given 5 wrong and 5 right validation answers"
        )
    else:
        lines.append(
            f"calibrated on {flag['calibration_images']:,} held-out images, "
            f"{flag['calibration_errors']:,} of them wrong"
        )
    return lines


def describe_summary(summary: dict[str, Any]) -> str:
    """Say how good several runs are together: mean and deviation of what was measured."""
    whole, draws = summary["accuracy"], summary["accuracy_draws"]
    line = f"mean of {len(summary['runs'])} runs: {spread_percent(whole)}"
    line += f", draws {spread_percent(draws)}" if draws else ""
    lines = [f"{line}; balanced accuracy {spread_percent(summary['balanced_accuracy'])}"]
    rows = [["evidence", "whole memory", "random image", "nearest image", "untrained"]]
    for name, text in MEASURES.items():
        parts = [summary[name]]
        parts += [(summary["controls"][one] or {}).get(name) for one in summary["controls"]]
        rows.append([text, *(write_spread(name, part) for part in parts)])
    reliance = summary["reliance"] or {}
    for name, text in RELIANCES.items():
        rows.append([text, write_spread(name, reliance.get(name)), *[ABSENT] * 3])
    if draws:
        lines += ["", *indent(align(rows))]
    rows = [["sign of doubt", "AUROC", "ECE", "AURC"]]
    for name, found in summary["flag"]["signals"].items():
        texts = [write_spread("", found[key]) for key in ("auroc", "ece", "aurc")]
        rows.append([SIGNAL_NAMES[name], *texts])
    return "\n".join([*lines, "", *indent(align(rows))])


def indent(lines: Iterable[str]) -> list[str]:
    """Move lines to the right by two spaces."""
    return [f"  {line}" for line in lines]


def write_number(name: str, value: float | None) -> str:
    """Write a measure: a count as it is, a fraction in percent.

    >>> [write_number(name, 0.5) for name in ("purity", "support_size")]
    ['50.00%', '0.5']
    >>> write_number("purity", None)
    '-'
    """
    if value is None:
        return ABSENT
    return f"{value:.1f}" if name in COUNTS else f"{value:.2%}"


def write_spread(name: str, value: dict[str, float] | None) -> str:
    """Write mean and deviation over runs; without a name they are plain numbers."""
    if value is None:
        return ABSENT
    if name == "":
        return f"{value['mean']:.3f} ± {value['std']:.3f}"
    return f"{write_number(name, value['mean'])} ± {write_number(name, value['std'])}"


def spread_percent(value: dict[str, float]) -> str:
    """Write mean and deviation of fractions in percent."""
    return write_spread("accuracy", value)


def number(value: float | None) -> str:
    """Write a number with three digits after the point."""
    return ABSENT if value is None else f"{value:.3f}"
