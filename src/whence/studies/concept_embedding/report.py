"""What the numbers of all classes and seeds say of the claim, and the figure."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch

from whence.records.picture import colour, find_limit
from whence.report.figures import make_grid, show, to_bytes
from whence.studies.parts.findings import Findings, StudyFigure, lay_out_numbers
from whence.studies.parts.trends import say_parts

COLUMNS_OF_CONCEPTS = (
    *("method", "F_reg training", "F_reg test", "F_cls training", "F_cls test"),
    *("O1", "O2", "locality", "live", "masked"),
)

SHOWN_CONCEPTS = 6

ALLOWED_LOSS = 0.01
"""Of F_cls, that SRAE may stay below the network of the answer alone."""

ABOUT_CONCEPTS = (
    "A module turns the features of a layer into a few, its x-features, from which one answer is "
    "said again. SRAE does so while it rebuilds some of the layer's dimensions and keeps its "
    "x-features apart; NN says the answer alone; SAE says it and rebuilds all; CAE rebuilds and "
    "keeps apart without the answer; the lasso takes units of the layer themselves.",
    "F_reg is by how much the answer is missed, in logits (lower is better), F_cls how often the "
    "class stays. O1 and O2 say how much the maps of x-features are correlated, locality over how "
    "many parts each is spread (a logarithm; lower is better), live how many x-features have a "
    "map, masked how often the class stays when the highest pixels of the maps alone are shown.",
)


def report_embedding(parts: Sequence[Mapping[str, Any]], made_with: Mapping[str, Any]) -> Findings:
    """Average over classes and seeds, and say whether the claim held."""
    means = average_methods([row for part in parts for row in part["classes"]])
    holds, verdict = judge_embedding(means)
    pictures = [one for part in parts for one in part["pictures"]][:SHOWN_CONCEPTS]
    return Findings(
        columns=COLUMNS_OF_CONCEPTS,
        rows=tuple(
            lay_out_numbers(name, COLUMNS_OF_CONCEPTS[1:], numbers)
            for name, numbers in means.items()
        ),
        holds=holds,
        verdict=verdict,
        made_with=made_with,
        sentences=ABOUT_CONCEPTS,
        figures=(draw_embedding(pictures),) if pictures else (),
    )


def average_methods(
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, float | None]]:
    """Average every measure of every method where it is known; None where it is nowhere."""
    found: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        found[name] = {}
        for measure in COLUMNS_OF_CONCEPTS[1:]:
            known = [row[measure] for row in own if row.get(measure) is not None]
            found[name][measure] = fmean(known) if known else None
    return found


def judge_embedding(means: Mapping[str, Mapping[str, float | None]]) -> tuple[bool, str]:
    """Say whether SRAE is as faithful as NN, as much apart as CAE, and masks better than one map.

    Near means: of its class it loses a hundredth at most, and its O1 is nearer to that of CAE than
    to that of NN.
    """
    own, plain, apart = means["SRAE"], means["NN"], means["CAE"]
    masks = (own["masked"] or 0, means["Excitation Backprop"]["masked"] or 0)
    same = (own["F_cls test"] or 0, plain["F_cls test"] or 0)
    correlated = [one["O1"] for one in (own, plain, apart)]
    words = [
        f"SRAE keeps the class of {same[0]:.1%} of the images, NN of {same[1]:.1%}",
        "O1 of SRAE, NN and CAE: "
        + ", ".join("none" if one is None else f"{one:.2f}" for one in correlated),
        f"masks by x-features keep the class of {masks[0]:.1%}, by Excitation Backprop of "
        f"{masks[1]:.1%}",
    ]
    faithful = same[0] >= same[1] - ALLOWED_LOSS
    known = [one for one in correlated if one is not None]
    near = len(known) == len(correlated) and is_nearer(*known)
    judged = {
        "faithfulness": faithful,
        "features apart": near,
        "masks": masks[0] > masks[1],
    }
    return all(judged.values()), f"{say_parts(judged)} {'; '.join(words)}."


def is_nearer(number: float, one: float, other: float) -> bool:
    """Say whether a number is nearer to the other than to the one, or below it.

    >>> is_nearer(0.3, 1.0, 0.4), is_nearer(0.9, 1.0, 0.4)
    (True, False)
    """
    return number <= other or abs(number - other) < abs(number - one)


def draw_embedding(pictures: Sequence[Mapping[str, Any]]) -> StudyFigure:
    """Draw images, what excites the answer, and what excites the two largest x-features."""
    figure, axes = make_grid([1] * 4, len(pictures))
    for place, one in enumerate(pictures):
        show(axes[0, place], torch.tensor(one["image"], dtype=torch.uint8), [""])
        maps = {"answer": one["plain"]}
        maps |= {
            f"x-feature {number}": item["map"] for number, item in enumerate(one["concepts"], 1)
        }
        for line, (name, values) in enumerate(maps.items(), 1):
            relevance = torch.tensor(values)
            shown = colour(relevance, find_limit([relevance]))
            show(axes[line, place], shown, [name if place == 0 else ""])
    return StudyFigure(
        "concepts",
        "One image of each class, the pixels that excite the answer, and those that excite the two "
        "largest x-features of SRAE: each should be one of the two patterns that make the class.",
        to_bytes(figure),
    )
