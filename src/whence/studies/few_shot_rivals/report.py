"""What the numbers of all seeds say of the three parts of the claim."""

from collections.abc import Mapping, Sequence
from typing import Any

from whence.studies.few_shot_rivals.counterfactuals import COUNTERFACTUAL_KINDS, READ
from whence.studies.few_shot_rivals.page import draw_choices, draw_rival_bars
from whence.studies.few_shot_rivals.trained import SYSTEMS
from whence.studies.parts.averages import average_at, average_known, gather_at
from whence.studies.parts.findings import Entry, Findings, lay_out_numbers
from whence.studies.parts.real_images import REAL
from whence.studies.parts.trends import say_parts

OUR_SYSTEM = "Memory Wrap"
FEW_SHOT = tuple(name for name in SYSTEMS if name.endswith(("Networks", "full context")))
OWN_CHOICE = "weight"

COLUMNS_OF_RIVALS = (
    *("what is judged", "right", "input", "prediction", "top in class"),
    *("found", "IM1", "IM2", "to real", "second agrees"),
)

ABOUT_RIVALS = (
    "Answers: all systems learn from the same few images with the same encoder, batches and "
    "recipe, and read the same memories. A vote counts the stored images with a weight above 0, by "
    "their labels or by what the model calls them.",
    "Examples: the stored image that stands for the answer, among those that the model puts in the "
    "answered class. Input: mean absolute difference of the logits of image and example; "
    "prediction: cross-entropy of the example's probabilities with the answer; lower is better for "
    "both. Top in class: how often the very first image by that rule is in the answered class.",
    "Counterfactuals: an image near the asked one that is in another class. IM1 and IM2 ask small "
    "autoencoders of single classes whether it looks like that class; to real is the distance to "
    "the nearest training images of that class outside the memory: lower is better for all three. "
    "Second agrees: a Standard model that took no part puts it in that class, too. All kinds are "
    "compared on the images for which every kind was found; found is the share of images that have "
    "one. Real test images of the same classes show what can be reached: what is blurred is near "
    "to many real images, so that the distance alone does not say that it looks real.",
)


def report_rivals(
    parts: Sequence[Mapping[str, Any]], class_names: Sequence[str], made_with: Mapping[str, Any]
) -> Findings:
    """Average the parts of all seeds, lay them out, and say which parts of the claim held."""
    holds, verdict = judge_rivals(parts)
    pictures = parts[0]["pictures"]
    figures = [draw_rival_bars(list_panels(parts))]
    if pictures:
        figures.append(draw_choices(pictures, class_names))
    return Findings(
        columns=COLUMNS_OF_RIVALS,
        rows=(*answer_rows(parts), *example_rows(parts), *counterfactual_rows(parts)),
        holds=holds,
        verdict=verdict,
        made_with=made_with,
        sentences=ABOUT_RIVALS,
        figures=tuple(figures),
    )


def judge_rivals(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether all three parts of the claim held, and what decides each."""
    held = {
        "answers": judge_right_answers(parts),
        "examples": judge_examples(parts),
        "counterfactuals": judge_kinds(parts),
    }
    judged = {name: good for name, (good, _) in held.items()}
    sentences = (sentence for _, sentence in held.values())
    return all(judged.values()), " ".join([say_parts(judged), *sentences])


def judge_right_answers(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether Memory Wrap answers better than every few-shot network."""
    rates = average_known(parts, {name: ("answers", name, "accuracy") for name in SYSTEMS})
    if rates is None:
        return False, "Not every system has answers."
    best = max(FEW_SHOT, key=lambda name: rates[name])
    return rates[OUR_SYSTEM] > rates[best], (
        f"{OUR_SYSTEM} answers {rates[OUR_SYSTEM]:.1%} right, {best} {rates[best]:.1%}, votes "
        f"{rates['votes']:.1%}."
    )


def judge_examples(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether the example of highest weight is best by both measures."""
    rules = list(parts[0]["examples"][OUR_SYSTEM])
    words, won = [], True
    for measure in ("input", "prediction"):
        paths = {rule: ("examples", OUR_SYSTEM, rule, measure) for rule in rules}
        found = average_known(parts, paths)
        if found is None:
            return False, "Not every rule has examples."
        best = min(found, key=lambda rule: found[rule])
        won &= best == OWN_CHOICE
        words.append(f"by {measure} the best is {best} ({found[best]:.3g})")
        if best != OWN_CHOICE:
            words[-1] += f", not weight ({found[OWN_CHOICE]:.3g})"
    return won, f"Of its examples, {'; '.join(words)}."


def judge_kinds(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether what Memory Wrap read is best by IM1 and IM2."""
    words, won = [], True
    for measure in ("IM1", "IM2"):
        above = ("counterfactuals", OUR_SYSTEM, "kinds")
        found = average_known(
            parts, {kind: (*above, kind, measure) for kind in COUNTERFACTUAL_KINDS}
        )
        if found is None:
            return False, "No image had counterfactuals of every kind."
        best = min(found, key=found.__getitem__)
        won &= best == READ
        numbers = ", ".join(f"{kind} {value:.3g}" for kind, value in found.items())
        words.append(f"{measure}: {numbers}")
    return won, f"Of its counterfactuals, {'; '.join(words)}."


def lay_out_rival(name: str, numbers: Mapping[str, float | None]) -> tuple[Entry, ...]:
    """Lay out a row of the table."""
    return lay_out_numbers(name, COLUMNS_OF_RIVALS[1:], numbers)


def answer_rows(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out the shares of right answers, those of votes in rows of their own."""
    titles = {
        "accuracy": "{}: answers",
        "own classes": "{}: majority of active images, own classes",
        "labels": "{}: majority of active images, labels",
    }
    return [
        lay_out_rival(title.format(name), {"right": rate})
        for name in SYSTEMS
        for measure, title in titles.items()
        if (rate := average_at(parts, "answers", name, measure)) is not None
        and (measure == "accuracy" or name in ("Memory Wrap", "Only Memory", "votes"))
    ]


def example_rows(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out the measures of examples."""
    measures = {"input": "input", "prediction": "prediction", "top in class": "first"}
    return [
        lay_out_rival(
            f"{system}: example by {rule}",
            {
                column: average_at(parts, "examples", system, rule, measure)
                for column, measure in measures.items()
            },
        )
        for system, rules in parts[0]["examples"].items()
        for rule in rules
    ]


def counterfactual_rows(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out the measures of counterfactuals."""
    names = {"IM1": "IM1", "IM2": "IM2", "to real": "real", "second agrees": "second"}
    rows: list[tuple[Entry, ...]] = []
    for system in parts[0]["counterfactuals"]:
        for kind in (*COUNTERFACTUAL_KINDS, REAL):
            path = ("counterfactuals", system, "kinds", kind)
            numbers = {name: average_at(parts, *path, measure) for name, measure in names.items()}
            share = ("counterfactuals", system, "readable") if kind == READ else (*path, "found")
            numbers["found"] = average_at(parts, *share)
            what = kind if kind == REAL else f"counterfactual {kind}"
            rows.append(lay_out_rival(f"{system}: {what}", numbers))
    return rows


def list_panels(parts: Sequence[Mapping[str, Any]]) -> list[tuple[str, dict[str, list[float]]]]:
    """List the panels of the figure: what the claim is about stands first in each."""
    names = sorted(SYSTEMS, key=lambda name: name != OUR_SYSTEM)
    wrong = {
        name: [1 - rate for rate in gather_at(parts, "answers", name, "accuracy")] for name in names
    }
    panels = [("Answers that are wrong, share", wrong)]
    for measure, title in (("input", "in logits"), ("prediction", "in the answer")):
        bars = {
            rule: gather_at(parts, "examples", OUR_SYSTEM, rule, measure)
            for rule in parts[0]["examples"][OUR_SYSTEM]
        }
        panels.append((f"{OUR_SYSTEM}: difference of examples {title}", bars))
    for measure in ("IM1", "IM2"):
        bars = {
            kind: gather_at(parts, "counterfactuals", OUR_SYSTEM, "kinds", kind, measure)
            for kind in COUNTERFACTUAL_KINDS
        }
        if all(bars.values()):
            panels.append((f"{OUR_SYSTEM}: {measure} of counterfactuals", bars))
    return panels
