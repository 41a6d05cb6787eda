"""What the numbers of all seeds say of the claim, and the tables."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from whence.report.blocks import (
    NumberTable,
    PageBlock,
    PageSection,
    TableCell,
    TableRow,
)
from whence.report.numbers import number_or_none
from whence.studies.parts.averages import average_at, average_known, gather_at
from whence.studies.parts.findings import Entry, Findings, round_entry, show_entry
from whence.studies.parts.real_images import REAL
from whence.studies.parts.trends import say_parts
from whence.studies.path_on_activations.compare_morphs import (
    BY_AUTOENCODER,
    BY_GAN,
    FOLLOWED_BY_SOURCE,
)
from whence.studies.path_on_activations.figures import draw_morphs, draw_paths
from whence.studies.path_on_activations.followed_views import (
    DENSE,
    FOLLOWED,
    LAYER_MAPS,
    LAYER_UNITS,
    ON_PIXELS,
    X_FEATURES,
)

COLUMNS_OF_VIEWS = (
    *("what follows", "features", "kept by mask", "mask's size", "for half"),
    *("by gradients", "by chance", "10% of pixels keep", "gain", "answers alike"),
)

MEASURES_OF_VIEWS = ("features", "kept", "in the mask", "mask", "gradients", "chance")

MEASURES_OF_MORPHS = ("to real", "IM1", "IM2", "valid", "second agrees", "change")

COLUMNS_OF_MORPHS = (
    *("distance to real", "IM1", "IM2", "network agrees", "second agrees", "change"),
    *("gain of path", *(f"for half: {name}" for name in FOLLOWED_BY_SOURCE)),
)

SOURCES = (BY_GAN, BY_AUTOENCODER)

ALLOWED_LOSS_OF_GAIN = 0.02
"""By which what a mask keeps may stay below that on pixels, to be as much."""

ABOUT_PATHS = (
    "A path leads from another class's image back to the image itself. Along it a mask lets only "
    "some features follow, and the others stay: pixels; single units, or whole feature maps, of "
    "the last convolution; units of the dense layer above; or x-features, a few numbers for each "
    "class that a concept embedding (SRAE) reads off that layer and answers from.",
    "Kept by mask: the share of the gain in probability that is left when the mask alone follows, "
    "and mask's size, how many features it amounts to. For half: how many features, in the mask's "
    "order, keep half of the gain (median); by gradients, in the order of integrated "
    "gradients along the path; by chance, in any. Of few sizes that are tried, the smallest.",
    "10% of pixels keep: the features of the mask are shown on pixels by contrastive Excitation "
    "Backprop, and the tenth of the pixels that this marks follows the path in the image. Gain: of "
    "probability along the whole path; answers alike: how often the view answers as the network "
    "does. For x-features these two say what the embedding loses.",
)

ABOUT_MORPHS = (
    "Test images of the two classes that the network takes for each other most easily, turned "
    "into each other. Distance to real is that to the nearest training images of the class; IM1 "
    "and IM2 compare reconstructions by autoencoders of single classes; of all, and of the change "
    "in pixels, lower is better. The autoencoder's morph goes on until the network agrees, so that "
    "the second network, which took no part, is the fair judge.",
    "Real test images of the classes show what can be reached. A blurred image is near to many "
    "real ones, so that the distance alone does not say that an image is sharp.",
)


def report_paths(
    parts: Sequence[Mapping[str, Any]], class_names: Sequence[str], made_with: Mapping[str, Any]
) -> Findings:
    """Lay the parts of all seeds out, and say which parts of the claim held."""
    holds, verdict = judge_paths(parts)
    asked = sum(part["views"]["asked"] for part in parts)
    whole = sum(part["views"]["with a path"] for part in parts)
    pairs = dict.fromkeys(
        " and ".join(class_names[label] for label in part["morphs"]["pair"]) for part in parts
    )
    return Findings(
        columns=COLUMNS_OF_VIEWS,
        rows=lay_out_views(parts),
        holds=holds,
        verdict=verdict,
        made_with={**made_with, "pairs": ", ".join(pairs)},
        sentences=(f"{whole} of {asked} images have a path to their second class.", *ABOUT_PATHS),
        figures=(
            draw_paths(parts[0]["views"]["pictures"], class_names),
            draw_morphs(parts[0]["morphs"]["pictures"], class_names),
        ),
        sections=(tabulate_morphs(parts),),
    )


def judge_paths(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say which parts of the claim held, and what decides.

    Pixels are given the better of both masks; activations are those of the convolution, by unit or
    by map, again the better. What is kept counts as a share of the network's own gain, of which an
    embedding may have lost some before any mask.
    """

    def least(names: Sequence[str]) -> tuple[str, float]:
        counts = {name: average_at(parts, "views", "views", name, "mask") for name in names}
        known = {name: count for name, count in counts.items() if count is not None}
        name = min(known, key=lambda one: known[one]) if known else names[0]
        return name, known.get(name, float("nan"))

    pixels, layer = least(ON_PIXELS), least((LAYER_UNITS, LAYER_MAPS))
    embedded, dense = least((X_FEATURES,)), least((DENSE,))
    kept = [gain_of_network(parts, name) for name in (pixels[0], layer[0], X_FEATURES)]
    real, second = (
        [fmean(gather_at(parts, "morphs", "kinds", name, measure)) for name in SOURCES]
        for measure in ("to real", "second agrees")
    )
    others = fmean(gather_at(parts, "morphs", "kinds", REAL, "to real"))
    enough = kept[0] - ALLOWED_LOSS_OF_GAIN
    judged = {
        "masks on activations": layer[1] < pixels[1] and kept[1] >= enough,
        "masks behind the embedding": embedded[1] < dense[1] and kept[2] >= enough,
        "realism of the GAN's morphs": real[0] < real[1],
        "validity of the GAN's morphs": second[0] >= second[1],
    }
    counts = [number_or_none(one[1], ".3g") for one in (pixels, layer, dense, embedded)]
    shares = [number_or_none(one, ".0%") for one in kept]
    return all(judged.values()), (
        f"{say_parts(judged)} Half of the gain needs {counts[0]} pixels, {counts[1]} {layer[0]}, "
        f"{counts[2]} {DENSE}, {counts[3]} x-features; masks keep {shares[0]} of the network's "
        f"gain on pixels, {shares[1]} on the {layer[0]}, {shares[2]} on x-features. Morphs of the "
        "GAN are "
        f"{real[0]:.3g} from real images, of the autoencoder {real[1]:.3g}, other real ones "
        f"{others:.3g}; a second network agrees with {second[0]:.0%} and {second[1]:.0%}."
    )


def gain_of_network(parts: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return what the masks of a view keep, as a share of the network's own gain.

    NaN where no path gains by the view, or by the network, so that there is nothing to keep.
    """
    above = ("views", "views")
    found = average_known(
        parts,
        {
            "kept": (*above, name, "kept"),
            "own": (*above, name, "whole gain"),
            "network": (*above, ON_PIXELS[0], "whole gain"),
        },
    )
    if found is None or found["network"] <= 0:
        return float("nan")
    return found["kept"] * found["own"] / found["network"]


def lay_out_views(parts: Sequence[Mapping[str, Any]]) -> tuple[tuple[Entry, ...], ...]:
    """Lay out a row for every view, and one for pixels by chance."""
    shown = {name: name for name in FOLLOWED if name not in ON_PIXELS}
    shown[ON_PIXELS[0]] = "mask on pixels"
    rows = []
    for name in FOLLOWED:
        numbers = [
            round_entry(average_at(parts, "views", "views", name, measure))
            for measure in MEASURES_OF_VIEWS
        ]
        attributed = average_at(parts, "views", "attributed", shown.get(name, ""))
        answers = average_at(parts, "views", "views", name, "answers")
        gain = average_at(parts, "views", "views", name, "whole gain")
        rows.append((name, *numbers, *map(round_entry, (attributed, gain, answers))))
    chance = average_at(parts, "views", "attributed", "pixels by chance")
    empty = (None,) * len(MEASURES_OF_VIEWS)
    return (*rows, ("pixels by chance", *empty, round_entry(chance), None, None))


def tabulate_morphs(parts: Sequence[Mapping[str, Any]]) -> PageSection:
    """Lay the morphs of both sources out, beside real images."""
    rows = []
    for name in (BY_AUTOENCODER, BY_GAN, REAL):
        keys = (*MEASURES_OF_MORPHS, "gain", *(f"needed, {view}" for view in FOLLOWED_BY_SOURCE))
        numbers = [
            round_entry(average_at(parts, "morphs", "kinds", name, measure)) for measure in keys
        ]
        rows.append(TableRow(name, "", tuple(TableCell(show_entry(one)) for one in numbers)))
    table = NumberTable(
        label="Morphs of both sources, and real images",
        header=COLUMNS_OF_MORPHS,
        rows=tuple(rows),
    )
    return PageSection(
        "morphs", "Morphs of two sources", (PageBlock(sentences=ABOUT_MORPHS, shown=(table,)),)
    )
