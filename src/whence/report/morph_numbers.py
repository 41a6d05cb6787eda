"""Every number of the ways to one image, as a table."""

import math
from collections.abc import Sequence

from torch import Tensor

from whence.records.morphed import Morph, Way
from whence.report.blocks import NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import any_share, number_or_none
from whence.report.path_numbers import MOST, place_gain, share_kept

HARDLY = 0.1
"""Below that, a pixel hardly follows the path."""


def show_numbers(
    morph: Morph, ways: Sequence[Way], classes: Sequence[str]
) -> tuple[PageBlock, ...]:
    """Set every number of some ways to an image side by side."""
    if not ways:
        return ()
    columns = [list_numbers(morph, way, classes) for way in ways]
    rows = tuple(
        TableRow(name, unit, tuple(TableCell(column[place][2]) for column in columns))
        for place, (name, unit, _) in enumerate(columns[0])
    )
    header = tuple(way.kind for way in ways) if len(ways) > 1 else ()
    return (PageBlock("All numbers", shown=(NumberTable("All numbers", header, rows),)),)


def list_numbers(morph: Morph, way: Way, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """List name, unit and text of the numbers of one way."""
    return [
        *list_answers_at(morph, way, classes),
        *list_code_numbers(morph, way),
        *list_path_numbers(way),
    ]


def list_answers_at(morph: Morph, way: Way, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """List what the classifier says of the image, its reconstruction and the other image."""
    own, other = way.classes
    seen = (
        ("image", morph.probabilities),
        ("reconstruction", morph.code.probabilities),
        ("other image", way.probabilities),
    )
    return [
        ("other class", "", classes[other]),
        *(
            (f"probability of self, {what}", "", any_share(float(shares[own])))
            for what, shares in seen
        ),
        *(
            (f"probability of other, {what}", "", any_share(float(shares[other])))
            for what, shares in seen
        ),
        (
            "entropy of the other image",
            "bits, between the two classes",
            number_or_none(float(way.along.entropies[0]), ".4f"),
        ),
    ]


def list_code_numbers(morph: Morph, way: Way) -> list[tuple[str, str, str]]:
    """List how far self and other are apart, and how long their codes are."""
    low, high = way.norm_range
    steps = f"{way.steps:,}" if way.kind == "morph" else "none"
    return [
        ("steps of the morph", "steps of Adam", steps),
        ("pixels apart", "sum, pixels in 0 to 1", number_or_none(way.pixel_distance, ".2f")),
        ("codes apart", "cosine", number_or_none(way.cosine, ".3f")),
        ("length of the code", "of the image", number_or_none(morph.code.norm, ".2f")),
        ("length of the code", "of the other", number_or_none(way.norm, ".2f")),
        ("mean length of codes", "of the other class", number_or_none(way.class_norm, ".2f")),
        ("lengths allowed", "of a morph", f"{low:.2f} to {high:.2f}"),
    ]


def list_path_numbers(way: Way) -> list[tuple[str, str, str]]:
    """List where the answer turns, and what the mask gains."""
    along, mask = way.along, way.mask
    last = len(along.images) - 1
    kept, placed = share_kept(mask), place_gain(mask.gains)
    window = "none"
    if math.isfinite(along.mean):
        window = f"{max(along.low, 0.0):.1f} to {min(along.high, float(last)):.1f}"
    most = "none" if placed is None else f"{placed[0]} to {placed[1] + 1}"
    return [
        ("mean step by entropy", f"of 0 to {last}", number_or_none(along.mean, ".1f")),
        ("window", "steps", window),
        (
            "gain, every pixel",
            "probability",
            number_or_none(float(mask.full_gains.sum()), "+.3f"),
        ),
        ("gain, mask", "probability", number_or_none(float(mask.gains.sum()), "+.3f")),
        ("gain kept by the mask", "share", "none" if kept is None else any_share(kept)),
        (f"where {MOST:.0%} of the mask's gain lies", "steps", most),
        ("mask", "mean of its pixels", any_share(float(mask.mask.double().mean()))),
        (f"mask below {HARDLY:g}", "share of pixels", any_share(low_share(mask.mask))),
        (
            "increase",
            "sum, pixels in 0 to 1",
            number_or_none(float(mask.increase.sum()), ".2f"),
        ),
        (
            "decrease",
            "sum, pixels in 0 to 1",
            number_or_none(float(mask.decrease.sum()), ".2f"),
        ),
    ]


def low_share(mask: Tensor) -> float:
    """Return the share of a mask's pixels `(H, W)` that hardly follow the path."""
    return float((mask < HARDLY).double().mean())
