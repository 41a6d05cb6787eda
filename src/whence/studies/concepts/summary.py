"""What all seeds found, as a table with what was expected, figures and a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from whence.studies.concepts.blocks import BLOCK_NAMES
from whence.studies.concepts.directions import LEVEL, ConceptTest
from whence.studies.concepts.figures import (
    draw_convergence,
    draw_differences,
    draw_directions,
    draw_probes,
    draw_stethoscope,
    draw_units,
)
from whence.studies.concepts.measure import RANDOM_IMAGES
from whence.studies.concepts.planting import DOTS, STRIPES
from whence.studies.concepts.stethoscope import LISTENING
from whence.studies.parts.findings import Entry, Findings, StudyFigure
from whence.studies.parts.trends import Trend, say_trends

FoundBySeed = Mapping[str, Sequence[Mapping[str, Any]]]
"""By instrument, what was found with each seed."""

DEEP = BLOCK_NAMES[len(BLOCK_NAMES) // 2 :]
"""Layers in which a planted concept must be found."""

HIT_SHARE = 0.8
"""Share of images whose strongest pixel must lie on what was planted."""

CONCEPT_COLUMNS = ("what", "where", "found", "spread", "beside")


def average(values: Sequence[float]) -> float:
    """Average numbers of all seeds."""
    return float(np.mean(values))


def make_row(
    instrument: str,
    what: str,
    where: str,
    values: Sequence[float],
    beside: Sequence[float] | None = None,
    which: str = "",
) -> tuple[Entry, ...]:
    """Lay numbers of all seeds out as a row."""
    spread = round(float(np.std(values, ddof=1)), 3) if len(values) > 1 else None
    other = round(average(beside), 3) if beside else None
    label = f"{instrument}: {what}" + (f"; beside: {which}" if beside else "")
    return (label, where, round(average(values), 3), spread, other)


def tabulate_concepts(found: FoundBySeed) -> tuple[tuple[Entry, ...], ...]:
    """Lay everything out, a row for each instrument and layer."""
    rows = []
    for name in (STRIPES, DOTS, RANDOM_IMAGES):
        for layer in BLOCK_NAMES:
            tests = [one[layer][name] for one in found["directions"]]
            rows.append(
                make_row(
                    *("TCAV", name, layer, [one["score"] for one in tests]),
                    [float(is_significant(one)) for one in tests],
                    "share of seeds, significant",
                )
            )
    for layer in BLOCK_NAMES:
        after, before = (
            [one["errors"][kind][layer] for one in found["layers"]]
            for kind in ("trained", "untrained")
        )
        rows.append(make_row("probe", "mistakes", layer, after, before, "before training"))
    for place, layer in enumerate(BLOCK_NAMES):
        traces = [average(one["convergence"][layer]) for one in found["layers"]]
        others = [one["layers"][place][place] for one in found["networks"]]
        what = "like its own end, mean of all epochs"
        rows.append(make_row("SVCCA", what, layer, traces, others, "like that of the next seed"))
    for name in (STRIPES, DOTS):
        for layer in BLOCK_NAMES:
            fits = [one[layer][name] for one in found["units"]]
            rows.append(
                make_row(
                    *("unit", f"best average precision for {name}", layer),
                    [one["best_precision"] for one in fits],
                    [one["direction_precision"] for one in fits],
                    "that of a direction",
                )
            )
            overlaps = [one["overlap"] for one in fits]
            rows.append(make_row("unit", f"best overlap (IoU) with {name}", layer, overlaps))
    for how in LISTENING:
        some = found[f"stethoscope {how}"]
        again = [one["again"] for one in some]
        right = [one["accuracy"] for one in some]
        what = "right about dots, by a new perceptron"
        rows.append(make_row("stethoscope", what, how, again, right, "right about the task"))
    for kind in ("marginal", "conditional"):
        hits, shares = zip(*(measure_hits(one, kind) for one in found["differences"]), strict=True)
        what = "strongest pixel on the stripes"
        beside = "share of all evidence there"
        rows.append(make_row("prediction difference", what, kind, hits, shares, beside))
    return tuple(rows)


def is_significant(test: Mapping[str, float]) -> bool:
    """Say whether a test is, among those of a seed (Bonferroni)."""
    return test["probability"] * 3 * len(BLOCK_NAMES) < LEVEL


def measure_hits(found: Mapping[str, Any], kind: str) -> tuple[float, float]:
    """Measure how much of the evidence for stripes lies where they are.

    Returns:
        Share of images whose pixel of most evidence is there, and mean share of the evidence.
    """
    maps, masks = np.array(found[kind]), np.array(found["masks"], dtype=bool)
    positive = maps.clip(min=0)
    flat = maps.reshape(len(maps), -1).argmax(1)
    hits = masks.reshape(len(masks), -1)[np.arange(len(maps)), flat]
    shares = (positive * masks).sum((1, 2)) / positive.sum((1, 2)).clip(min=1e-12)
    return float(hits.mean()), float(shares.mean())


def judge_concepts(found: FoundBySeed) -> list[Trend]:
    """Compare what was found with what was published, instrument by instrument."""
    traces = [
        average([average(one["convergence"][n]) for one in found["layers"]]) for n in BLOCK_NAMES
    ]
    hits = average([measure_hits(one, "conditional")[0] for one in found["differences"]])
    return [
        *judge_directions(found["directions"]),
        judge_probes(found["layers"]),
        Trend(
            all(np.diff(traces) < 0),
            "layers are like their own end, on average over the epochs, to "
            f"{', '.join(f'{one:.2f}' for one in traces)}, from first to last",
        ),
        judge_listening(found),
        Trend(
            hits >= HIT_SHARE,
            f"the pixel that matters most lies on the stripes in {hits:.0%} of the images",
        ),
    ]


def judge_directions(tests: Sequence[Mapping[str, Any]]) -> tuple[Trend, Trend]:
    """Say whether the planted concept is found in the deeper layers, and random images nowhere."""
    planted = [one[layer][STRIPES] for one in tests for layer in DEEP]
    lowest, moved = min(one["score"] for one in planted), sum(map(is_significant, planted))
    random = [one[layer][RANDOM_IMAGES] for one in tests for layer in BLOCK_NAMES]
    middle, wrong = average([one["score"] for one in random]), sum(map(is_significant, random))
    return (
        Trend(
            lowest > 0.9 and moved == len(planted),
            f"planted stripes score at least {lowest:.2f} in the deeper half of the layers, "
            f"significantly in {moved} of {len(planted)} tests",
        ),
        Trend(
            abs(middle - 0.5) < 0.1 and wrong == 0,
            f"random images score {middle:.2f} on average, significantly in {wrong} of "
            f"{len(random)} tests",
        ),
    )


def judge_probes(layers: Sequence[Mapping[str, Any]]) -> Trend:
    """Say whether linear probes are wrong less often the deeper they are."""
    errors = [average([one["errors"]["trained"][name] for one in layers]) for name in BLOCK_NAMES]
    falls = errors[-1] < errors[0] and float(spearmanr(range(len(errors)), errors).statistic) < 0
    return Trend(
        falls,
        f"probes are wrong on {errors[0]:.1%} of the images in the first layer and "
        f"{errors[-1]:.1%} in the last",
    )


def judge_listening(found: FoundBySeed) -> Trend:
    """Say whether the features know less of a suppressed factor, and more of a promoted one."""
    suppressed, listened, promoted = (
        average([one["again"] for one in found[f"stethoscope {how}"]]) for how in LISTENING
    )
    return Trend(
        suppressed < (0.5 + listened) / 2 and promoted > listened,
        f"a new perceptron finds dots in features with {suppressed:.0%} where they were "
        f"suppressed, {listened:.0%} where nothing was done and {promoted:.0%} where they were "
        "promoted",
    )


def summarise_concepts(found: FoundBySeed, made_with: Mapping[str, Any]) -> Findings:
    """Put table, verdict and figures together."""
    expected = judge_concepts(found)
    met = sum(one.met for one in expected)
    return Findings(
        columns=CONCEPT_COLUMNS,
        rows=tabulate_concepts(found),
        holds=met == len(expected),
        verdict=f"{met} of {len(expected)} instruments found what was published of them.",
        made_with=made_with,
        sentences=say_trends(expected),
        figures=draw_instruments(found),
    )


CAPTIONS_OF_CONCEPTS = {
    "directions": "Kim et al. 2018: the share of images of the class of stripes whose logit rises "
    "along a concept's direction, with its deviation over draws of images; n. s.: not "
    "significantly other than random directions, whose mean is 0.5. Dots are in half of all images "
    "and say nothing about the class.",
    "probes": "Alain and Bengio 2016: how often a linear layer on what a block gives is wrong.",
    "convergence": "Raghu et al. 2017: left, how like each block is to itself at the end of the "
    "training; the first ones settle first. Right, how like blocks are to each other.",
    "units": "Zhou et al. 2014, Gonzalez-Garcia et al. 2018: how well single units detect stripes, "
    "beside the best direction over all units of the block.",
    "stethoscope": "Fuchs et al. 2018: dots go with the classes in training and not in the test; a "
    "branch beside the network suppresses, only listens to, or promotes what it knows of dots.",
    "differences": "Zintgraf et al. 2017: red pixels speak for the class of stripes, blue ones "
    "against it; framed, where the stripes were planted.",
}


def draw_instruments(found: FoundBySeed) -> tuple[StudyFigure, ...]:
    """Draw what the first seed found."""
    first = {name: some[0] for name, some in found.items() if some}
    tests = {
        name: [ConceptTest(**first["directions"][layer][name]) for layer in BLOCK_NAMES]
        for name in (STRIPES, DOTS, RANDOM_IMAGES)
    }
    errors = {
        f"{kind} network": [first["layers"]["errors"][kind][name] for name in BLOCK_NAMES]
        for kind in ("untrained", "trained")
    }
    grids = {"layers of one network": first["layers"]["layers"]}
    if "networks" in first:
        grids["of two networks"] = first["networks"]["layers"]
    drawn = {
        "directions": draw_directions(BLOCK_NAMES, tests, 3 * len(BLOCK_NAMES)),
        "probes": draw_probes(errors, BLOCK_NAMES),
        "convergence": draw_convergence(first["layers"]["convergence"], grids),
        "units": draw_units(first["units"], STRIPES),
        "stethoscope": draw_stethoscope({how: first[f"stethoscope {how}"] for how in LISTENING}),
        "differences": draw_differences(first["differences"]),
    }
    return tuple(
        StudyFigure(name, caption, drawn[name]) for name, caption in CAPTIONS_OF_CONCEPTS.items()
    )
