"""What all seeds found, as a table with what was published, and a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whence.studies.deconvolutional.figures import draw_deconvolution
from whence.studies.deconvolutional.recognise import (
    FIRST_MAPS,
    HIGH_MAPS,
    KINDS_TOGETHER,
    LOW_MAPS,
    SECOND_MAPS,
)
from whence.studies.parts.findings import Entry, Findings
from whence.studies.parts.trends import Trend, say_trends

MeasuredParts = Mapping[str, Sequence[Mapping[str, Any]]]
"""By part, what was found with each seed."""

PUBLISHED_ACCURACY: Mapping[str, tuple[float, float | None]] = {
    FIRST_MAPS: (0.658, 0.577),
    SECOND_MAPS: (0.655, 0.570),
    "2010, layers 1 + 2": (0.669, 0.586),
    LOW_MAPS: (0.678, None),
    HIGH_MAPS: (0.698, None),
    "2011, layers 1 + 3": (0.710, None),
}
"""Accuracy on Caltech-101 with 30 and 15 images a class; of 2011 layer 4 in the place of 3."""

COLUMNS_OF_DECONVOLUTION = ("what", "of", "found", "spread", "published")


def lay_row(
    part: str, what: str, of: str, values: Sequence[float], published: Entry = None
) -> tuple[Entry, ...]:
    """Lay the numbers of all seeds out as a row."""
    spread = round(float(np.std(values, ddof=1)), 3) if len(values) > 1 else None
    return (f"{part}: {what}", of, round(float(np.mean(values)), 3), spread, published)


def tabulate_deconvolution(found: MeasuredParts) -> tuple[tuple[Entry, ...], ...]:
    """Lay everything out."""
    rows = [
        lay_row("filters", "one orientation (1) or many (0)", name, collect(found, name), says)
        for name, says in (("layer 1", "edges"), ("layer 2", "junctions, corners, parallel lines"))
    ]
    for how in ("switches", "means"):
        for what in ("sharpness", "error", "used"):
            meaning = {
                "sharpness": "sharpness of edges beside the image's",
                "error": "share of the image's energy that is missed",
                "used": "share of numbers that are not 0",
            }[what]
            for layer in range(len(found["switches"][0][how][what])):
                values = [one[how][what][layer] for one in found["switches"]]
                rows.append(lay_row(f"2011, with {how}", meaning, f"layer {layer + 1}", values))
    noisy = [one["noisy"] for one in found["denoising"]]
    rows.append(lay_row("denoising", "noisy, dB", "", noisy))
    smooth = [one["smooth"] for one in found["denoising"]]
    rows.append(lay_row("denoising", "smooth part alone, dB", "", smooth))
    for name in found["denoising"][0]["curves"]:
        best = [find_peak(one, name) for one in found["denoising"]]
        rows.append(lay_row("denoising", "best, dB", name, [one["ratio"] for one in best]))
        used = [one["used"] for one in best]
        rows.append(lay_row("denoising", "numbers a pixel used for that", name, used))
    for name in KINDS_TOGETHER:
        for amount in found["recognition"][0][name]:
            values = [one[name][amount] for one in found["recognition"]]
            known = dict(zip(("30", "15"), PUBLISHED_ACCURACY.get(name, (None, None)), strict=True))
            says = known.get(amount)
            rows.append(lay_row("recognition", f"{amount} images a class", name, values, says))
    return tuple(rows)


def collect(found: MeasuredParts, layer: str) -> list[float]:
    """Take the median orientation of a layer's filters, of every seed."""
    return [one[layer]["orientation"] for one in found["filters"]]


def find_peak(denoised: Mapping[str, Any], name: str) -> Mapping[str, float]:
    """Find the best point of a curve."""
    best: Mapping[str, float] = max(denoised["curves"][name], key=lambda one: one["ratio"])
    return best


def measure_gain(denoised: Mapping[str, Any], name: str) -> float:
    """Measure what a code wins beyond doing nothing, and beyond the smooth part alone, in dB."""
    return float(find_peak(denoised, name)["ratio"] - max(denoised["noisy"], denoised["smooth"]))


def judge_deconvolution(found: MeasuredParts) -> list[Trend]:
    """Compare what was found with what was published."""
    one, two = (float(np.mean(collect(found, name))) for name in ("layer 1", "layer 2"))
    sharp, blurred = (
        float(np.mean([some[how]["sharpness"][-1] for some in found["switches"]]))
        for how in ("switches", "means")
    )
    gains = {
        name: float(np.mean([measure_gain(some, name) for some in found["denoising"]]))
        for name in found["denoising"][0]["curves"]
    }
    accuracy = {
        name: float(np.mean([np.mean([*some[name].values()]) for some in found["recognition"]]))
        for name in KINDS_TOGETHER
    }
    both, alone = (
        accuracy["2010, layers 1 + 2"],
        max(accuracy[FIRST_MAPS], accuracy["2010, layer 2"]),
    )
    every, low, high = accuracy["2011, layers 1 + 3"], accuracy[LOW_MAPS], accuracy[HIGH_MAPS]
    return [
        Trend(
            two < one,
            f"filters of the first layer have one orientation to {one:.2f} (1 is a grating), those "
            f"of the second to {two:.2f}",
        ),
        Trend(
            sharp > 1.25 * blurred,
            f"the third layer rebuilds edges to {sharp:.0%} of their strength with switches and "
            f"{blurred:.0%} with means",
        ),
        Trend(
            min(gains["layer 1"], gains["layer 2"]) > 0,
            f"coding wins {gains['layer 1']:.1f} dB more than the smooth part alone with one "
            f"layer, {gains['layer 2']:.1f} with two and {gains['patches']:.1f} with patches",
        ),
        Trend(
            both > alone,
            f"layers 1 and 2 of 2010 together recognise {both:.1%}, the better of the two alone "
            f"{alone:.1%}",
        ),
        Trend(
            every > low and high > low,
            f"of 2011 layer 1 recognises {low:.1%}, layer 3 {high:.1%}, both {every:.1%}",
        ),
    ]


def summarise_deconvolution(found: MeasuredParts, made_with: Mapping[str, Any]) -> Findings:
    """Put table, verdict and figures together."""
    outcomes = judge_deconvolution(found)
    met = sum(one.met for one in outcomes)
    return Findings(
        columns=COLUMNS_OF_DECONVOLUTION,
        rows=tabulate_deconvolution(found),
        holds=met == len(outcomes),
        verdict=f"{met} of {len(outcomes)} findings are as published.",
        made_with=made_with,
        sentences=say_trends(outcomes),
        figures=draw_deconvolution({name: some[0] for name, some in found.items()}),
    )
