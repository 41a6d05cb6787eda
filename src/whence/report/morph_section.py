"""What a page says of the way from another class to one image: texts, pictures, numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from whence.morphing.quality import sparsity
from whence.records.morphed import (
    MOST,
    Along,
    Morph,
    Start,
    Way,
    choose_steps,
    place_gain,
    share_kept,
)
from whence.report.cards import ROLES, Card, Picture, Strip, draw, make_strip, name_place
from whence.report.morph_plot import PathPlot, plot_path
from whence.report.numbers import MINUS, percent
from whence.report.picture import colour, draw_scale, find_limit, to_data_uri

HARDLY = 0.1
"""Below that, a pixel hardly follows the path."""


class Kind(NamedTuple):
    """How a choice of other is named."""

    short: str
    title: str


KINDS = {
    "morph": Kind("morph", "by semantic morphing"),
    "nearest": Kind("nearest", "from the nearest training image"),
    "memory": Kind("memory", "from the memory's counterfactual"),
}
"""Every choice of other by its name in ``explanation.morph.others``."""

SMALL = {"smallest": 84, "largest": 112}
LARGE = {"smallest": 112, "largest": 168}


@dataclass(frozen=True)
class Frame:
    """One image of a path: the picture, what stands below it, and whether it is in the window."""

    picture: Picture
    step: int
    entropy: str
    own: str
    inside: bool


@dataclass(frozen=True)
class WayPart:
    """Everything that a page says of one way."""

    title: str
    failure: tuple[str, ...]
    frames: tuple[Frame, ...]
    width: int
    sentences: tuple[str, ...]
    plots: tuple[PathPlot, ...]
    maps: Strip
    scale: str
    limit: str
    map_sentences: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One number of every way: its name with the unit, and one text per way."""

    name: str
    unit: str
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class MorphPart:
    """Everything that a page says of the ways to one image."""

    name: str
    picture: Picture
    predicted: str
    share: str
    verdict: str
    right: bool
    others: tuple[str, ...]
    notes: tuple[str, ...]
    code_found: bool
    code_sentences: tuple[str, ...]
    sides: Strip
    ways: tuple[WayPart, ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def make_morph(morph: Morph, classes: Sequence[str]) -> MorphPart:
    """Turn a record into texts and pictures."""
    own = classes[morph.predicted]
    right = morph.truth == morph.predicted
    verdict = ""
    if morph.truth is not None:
        verdict = "right" if right else f"wrong, it is {classes[morph.truth]}"
    return MorphPart(
        name=morph.name,
        picture=draw(
            morph.image, f"{morph.name}, the image asked about", smallest=160, largest=224
        ),
        predicted=own,
        share=percent(float(morph.probabilities[morph.predicted])),
        verdict=verdict,
        right=right,
        others=tuple(dict.fromkeys(classes[way.classes[1]] for way in morph.ways)),
        notes=morph.notes,
        code_found=morph.code.reason is None,
        code_sentences=say_code(morph),
        sides=make_sides(morph, classes),
        ways=tuple(make_way(way, classes) for way in morph.ways),
        header=tuple(KINDS[way.kind].short for way in morph.ways),
        rows=make_rows(morph, classes),
    )


def say_code(morph: Morph) -> tuple[str, ...]:
    """Say how the code was found, and how far its reconstruction is from the image."""
    code = morph.code
    off = (
        f"The reconstruction is off by {percent(code.distance)} of the range of a pixel on average."
    )
    if code.how == "sampled":
        return (
            "The path lies among images that an autoencoder makes. This image's code was drawn "
            "from the encoder's distribution: of the codes whose decoding has the image's two top "
            f"classes, in their order, it is the closest. {off}",
        )
    if code.how == "optimised":
        return (
            "The path lies among images that an autoencoder makes. None of the codes drawn for "
            "this image keeps its two top classes, so the best of them was improved until its "
            f"decoding does. {off}",
        )
    return (
        code.reason or "",
        f"All that follows starts at the nearest miss. {off}",
    )


def make_sides(morph: Morph, classes: Sequence[str]) -> Strip:
    """Set the image, its reconstruction, every other and its real image side by side."""
    shown = list(dict.fromkeys(label for way in morph.ways for label in way.classes))
    cards = [
        side("input", ROLES["input"], morph.image, morph.probabilities, shown, classes),
        side(
            "stored" if morph.code.reason is None else "near",
            "reconstruction" if morph.code.reason is None else "reconstruction, near miss",
            morph.code.image,
            morph.code.probabilities,
            shown,
            classes,
        ),
    ]
    for way in morph.ways:
        badge = KINDS[way.kind].short + ("" if way.found else ", near miss")
        role = "counterfactual" if way.found else "near"
        cards.append(side(role, badge, way.image, way.probabilities, way.classes, classes))
        if way.start is not None:
            cards.append(real_side(way, way.start, classes))
    return make_strip(cards, "")


def side(
    role: str,
    badge: str,
    image: Tensor,
    probabilities: Tensor,
    shown: Sequence[int],
    classes: Sequence[str],
) -> Card:
    """Show an image with the probabilities of some classes."""
    best = int(probabilities.argmax())
    lines = [f"{classes[label]}: {percent(float(probabilities[label]))}" for label in shown]
    if best not in shown:
        lines.append(f"{classes[best]}: {percent(float(probabilities[best]))}")
    alt = f"{badge}, the model says {classes[best]}"
    return Card(role, badge, draw(image, alt, **LARGE), classes[best], lines=tuple(lines))


def real_side(way: Way, start: Start, classes: Sequence[str]) -> Card:
    """Show the real image that an other was made from."""
    label = "no label" if start.label is None else classes[start.label]
    place = name_place(start.index, start.source)
    picture = draw(start.image, f"{place}, labelled {label}", **LARGE)
    return Card("stored", f"{KINDS[way.kind].short}, real", picture, label, place=place)


def make_way(way: Way, classes: Sequence[str]) -> WayPart:
    """Describe one way."""
    own, other = (classes[label] for label in way.classes)
    frames = make_frames(way.along, own)
    limit = find_limit([way.mask.increase, way.mask.decrease])
    return WayPart(
        title=f"From {other} to {own}, {KINDS[way.kind].title}",
        failure=say_failure(way),
        frames=frames,
        width=max(frame.picture.width for frame in frames),
        sentences=(*say_start(way, classes), *say_path(way.along, own, other)),
        plots=make_plots(way, own, other),
        maps=make_maps(way, limit),
        scale=to_data_uri(draw_scale()),
        limit=f"{limit:.2g}",
        map_sentences=say_gain(way, own),
    )


def say_failure(way: Way) -> tuple[str, ...]:
    """Say what went wrong on a way, nothing where it went well."""
    found = []
    if way.reason is not None:
        rest = "" if way.start is None and way.kind == "memory" else MISSES[way.kind]
        found.append(f"{way.reason} {rest}".strip())
    if way.mask.reason is not None:
        found.append(way.mask.reason)
    return tuple(found)


def say_start(way: Way, classes: Sequence[str]) -> tuple[str, ...]:
    """Say where the classifier does not see the other class at the start of a way."""
    if way.valid:
        return ()
    seen, other = int(way.probabilities.argmax()), way.classes[1]
    return (
        f"The classifier puts the image at the start in {classes[seen]}, not in {classes[other]}: "
        "what the autoencoder makes there is not of the other class.",
    )


MISSES = {
    "morph": "What is shown is the nearest miss.",
    "nearest": "What is shown is the nearest miss.",
    "memory": (
        "What is shown starts at the most similar stored image of another class; it had no part in "
        "the answer."
    ),
}


def make_frames(along: Along, own: str) -> tuple[Frame, ...]:
    """Take some images of the path, with entropy and probability below each."""
    frames = []
    for step in choose_steps(len(along.images)):
        entropy = number(float(along.entropies[step]), "{:.2f}")
        share = share_text(float(along.probabilities[step]))
        share = share.replace("over ", ">").replace("under ", "<")
        inside = along.low <= step <= along.high
        where = ", in the window" if inside else ""
        alt = f"step {step} of the path{where}, entropy {entropy} bits"
        frames.append(
            Frame(
                draw(along.images[step], alt, **SMALL),
                step,
                f"{entropy} bits",
                f"{own} {share}",
                inside,
            )
        )
    return tuple(frames)


def say_path(along: Along, own: str, other: str) -> tuple[str, ...]:
    """Say where on the path the answer is open."""
    last = len(along.images) - 1
    first = (
        f"{len(along.images)} images lead from {other} (step 0) to {own} (step {last}). Below each "
        f"stand the entropy between the two classes and the probability of {own}."
    )
    if not math.isfinite(along.mean):
        return (first, "The classifier is never in doubt between the two: there is no entropy.")
    low, high = max(along.low, 0.0), min(along.high, float(last))
    return (
        first,
        f"The answer is open around step {along.mean:.1f}, the mean of the steps by entropy; "
        f"framed steps lie in its window, {low:.1f} to {high:.1f} (1.96 deviations to both sides).",
    )


def make_plots(way: Way, own: str, other: str) -> tuple[PathPlot, ...]:
    """Draw the answer along the path, and the gain of each step."""
    along, mask = way.along, way.mask
    steps, window = len(along.images), (along.low, along.mean, along.high)
    return (
        plot_path(
            (
                (f"probability of {own}", along.probabilities),
                ("entropy (bits)", along.entropies),
            ),
            steps=steps,
            window=window,
            title="The answer along the path",
            label=f"probability of {own} and entropy between {own} and {other} at every step",
        ),
        plot_path(
            (("only the mask follows", mask.gains), ("every pixel follows", mask.full_gains)),
            steps=steps,
            window=window,
            title=f"Gain of each step in the probability of {own}",
            label=f"growth of the probability of {own} at every step of the path",
        ),
    )


def make_maps(way: Way, limit: float) -> Strip:
    """Show the mask, and what grows and falls in it."""
    mask = way.mask
    other, own = way.along.images[0], way.along.images[-1]
    covered = float(mask.mask.double().mean())
    cards = [
        plain("path, step 0", other, "where the path starts"),
        plain("path, last step", own, "where the path ends"),
        plain(
            "mask",
            shade(mask.mask),
            f"mask of the path, mean {covered:.3f}",
            f"mean {percent(covered)}",
            f"{share_text(1 - below(mask.mask))} of pixels at {HARDLY:g} or more",
        ),
        plain(
            "increase",
            colour(mask.increase, limit),
            "pixels in the mask that become brighter on the path",
            f"sum {float(mask.increase.double().sum()):.3g}",
        ),
        plain(
            "decrease",
            colour(-mask.decrease, limit),
            "pixels in the mask that become darker on the path",
            f"sum {float(mask.decrease.double().sum()):.3g}".replace("-", MINUS),
        ),
    ]
    return make_strip(cards, "")


def plain(badge: str, image: Tensor, alt: str, *lines: str) -> Card:
    """Show a picture without a class."""
    return Card("stored", badge, draw(image, alt, **LARGE), None, lines=lines)


def shade(mask: Tensor) -> Tensor:
    """Draw a mask `(H, W)` in [0, 1]: white at 0, black at 1; `(1, H, W)` uint8."""
    return (255 * (1 - mask.double().clamp(0, 1))).round().to(torch.uint8)[None]


def say_gain(way: Way, own: str) -> tuple[str, ...]:
    """Say how much the mask gains, and where."""
    mask = way.mask
    whole, kept = float(mask.full_gains.double().sum()), share_kept(mask)
    if kept is None:
        gained = f"only {whole:.3f} of probability" if whole > 0 else "nothing"
        return (f"Along this path {own} gains {gained}, so no mask can show where from.",)
    sentences = [
        f"From the first image of the path to the last, {own} gains {whole:.3f} of probability. "
        f"When at every step only the mask follows, the gains add up to "
        f"{float(mask.gains.sum()):.3f}, {share_text(kept)} of that."
    ]
    placed = place_gain(mask.gains)
    if placed is not None:
        sentences.append(
            f"{MOST:.0%} of what the mask gains lies between step {placed[0]} and step "
            f"{placed[1] + 1}."
        )
    return tuple(sentences)


def make_rows(morph: Morph, classes: Sequence[str]) -> tuple[Row, ...]:
    """List every number of every way."""
    columns = [list_numbers(morph, way, classes) for way in morph.ways]
    return tuple(
        Row(name, unit, tuple(column[place][2] for column in columns))
        for place, (name, unit, _) in enumerate(columns[0])
    )


def list_numbers(morph: Morph, way: Way, classes: Sequence[str]) -> list[tuple[str, str, str]]:
    """List name, unit and text of the numbers of one way."""
    own, other = way.classes
    along, mask, code = way.along, way.mask, morph.code
    last = len(along.images) - 1
    kept, placed = share_kept(mask), place_gain(mask.gains)
    open_at = "none"
    if math.isfinite(along.mean):
        open_at = f"{max(along.low, 0.0):.1f} to {min(along.high, float(last)):.1f}"
    low, high = way.norm_range
    bits = float(along.entropies[0])
    return [
        ("other class", "", classes[other]),
        ("probability of self, image", "", share_text(float(morph.probabilities[own]))),
        ("probability of self, reconstruction", "", share_text(float(code.probabilities[own]))),
        ("probability of self, other image", "", share_text(float(way.probabilities[own]))),
        ("probability of other, image", "", share_text(float(morph.probabilities[other]))),
        ("probability of other, reconstruction", "", share_text(float(code.probabilities[other]))),
        ("probability of other, other image", "", share_text(float(way.probabilities[other]))),
        ("entropy of the other image", "bits, two classes", number(bits, "{:.4f}")),
        (
            "steps of the morph",
            "steps of Adam",
            f"{way.steps:,}" if way.kind == "morph" else "none",
        ),
        ("pixels apart", "sum, pixels in 0 to 1", number(way.pixel_distance, "{:.2f}")),
        ("codes apart", "cosine", number(way.cosine, "{:.3f}")),
        ("length of the code", "of the image", number(code.norm, "{:.2f}")),
        ("length of the code", "of the other", number(way.norm, "{:.2f}")),
        ("mean length of codes", "of the other class", number(way.class_norm, "{:.2f}")),
        ("lengths allowed", "of a morph", f"{low:.2f} to {high:.2f}"),
        ("mean step by entropy", f"of 0 to {last}", number(along.mean, "{:.1f}")),
        ("window", "steps", open_at),
        ("gain, every pixel", "probability", number(float(mask.full_gains.sum()), "{:+.3f}")),
        ("gain, mask", "probability", number(float(mask.gains.sum()), "{:+.3f}")),
        ("gain kept by the mask", "share", "none" if kept is None else share_text(kept)),
        (
            f"where {MOST:.0%} of the mask's gain lies",
            "steps",
            "none" if placed is None else f"{placed[0]} to {placed[1] + 1}",
        ),
        ("mask", "mean of its pixels", share_text(float(mask.mask.double().mean()))),
        (
            f"mask below {HARDLY:g}",
            "share of pixels",
            share_text(below(mask.mask)),
        ),
        ("increase", "sum, pixels in 0 to 1", number(float(mask.increase.sum()), "{:.2f}")),
        ("decrease", "sum, pixels in 0 to 1", number(float(mask.decrease.sum()), "{:.2f}")),
    ]


def below(mask: Tensor) -> float:
    """Return the share of a mask's pixels that hardly follow the path."""
    return float(sparsity(mask[None], threshold=HARDLY))


def number(value: float, form: str) -> str:
    """Write a number, or that there is none.

    >>> number(1.25, "{:.1f}"), number(float("nan"), "{:.1f}")
    ('1.2', 'no number')
    """
    return form.format(value).replace("-", MINUS) if math.isfinite(value) else "no number"


def share_text(share: float) -> str:
    """Write a share as a percentage, also one below 0 or above 1.

    >>> share_text(0.5), share_text(1.25), share_text(float("nan"))
    ('50.0%', '125.0%', 'no number')
    """
    if 0 <= share <= 1:
        return percent(share)
    return number(100 * share, "{:.1f}%")
