"""The blocks of the ways from another class to one image."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from whence.messages import format_number
from whence.records.morphed import Along, Mask, Morph, Start, Way
from whence.records.picture import colour, draw_scale, find_limit, to_data_uri
from whence.report.blocks import Card, ColourScale, PageBlock, Strip
from whence.report.cards import ROLES, draw_picture, make_strip, name_label, name_place
from whence.report.morph_numbers import HARDLY, low_share, show_numbers
from whence.report.numbers import any_share, number_or_none, percent
from whence.report.path_numbers import MOST, place_gain, share_kept, spread_steps
from whence.report.plots import plot_path
from whence.report.relevance_blocks import name_ends


class Kind(NamedTuple):
    """How a choice of other is named."""

    short: str
    title: str


KINDS = {
    "morph": Kind("morph", "by semantic morphing"),
    "nearest": Kind("nearest", "from the nearest training image"),
    "memory": Kind("memory", "from the memory's counterfactual"),
}
"""Every choice of other by its name in ``whence.morphing.OTHERS``."""


def show_ways(morph: Morph, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the image as the autoencoder sees it, every way to it, and all numbers."""
    sides = (make_sides(morph, classes),)
    if morph.code.reason is not None:
        return (
            PageBlock("This image cannot be morphed", (morph.code.reason,), tone="doubtful"),
            PageBlock("The image and what the autoencoder makes of it", shown=sides),
        )
    found = [PageBlock("The image and the other side", say_code(morph), sides)]
    for way in morph.ways:
        found += show_way(way, classes)
    return (*found, *show_numbers(morph, [way for way in morph.ways if way.valid], classes))


def say_code(morph: Morph) -> tuple[str, ...]:
    """Say how the reconstruction was chosen, and how far it is from the image."""
    first = (
        "Every image on the path is made by an autoencoder, so the path ends at the image as the "
        "autoencoder makes it: its reconstruction."
    )
    if morph.code.how == "sampled":
        how = (
            "Of several tries it is the closest in which the model sees the same two classes "
            "first, in the same order."
        )
    else:
        how = (
            "In none of several tries did the model see the same two classes first, in the same "
            "order, so the best try was improved until it did."
        )
    off = f"It is off by {percent(morph.code.distance)} of the range of a pixel on average."
    return (f"{first} {how} {off}",)


def make_sides(morph: Morph, classes: Sequence[str]) -> Strip:
    """Set the image, its reconstruction, every other and its real image side by side."""
    top = morph.probabilities.topk(2).indices.tolist()
    shown = list(dict.fromkeys(label for way in morph.ways for label in way.classes)) or top
    role = "stored" if morph.code.reason is None else "near"
    cards = [
        make_side("input", ROLES["input"], morph.image, morph.probabilities, shown, classes),
        make_side(
            role, "reconstruction", morph.code.image, morph.code.probabilities, shown, classes
        ),
    ]
    for way in morph.ways:
        badge = KINDS[way.kind].short + ("" if way.found else ", near miss")
        role = "counterfactual" if way.found else "near"
        cards.append(make_side(role, badge, way.image, way.probabilities, way.classes, classes))
        if way.start is not None:
            cards.append(make_real_side(way, way.start, classes))
    return make_strip(cards)


def make_side(
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
    picture = draw_picture(image, alt, smallest=112, largest=168)
    return Card(role, badge, picture, classes[best], lines=tuple(lines))


def make_real_side(way: Way, start: Start, classes: Sequence[str]) -> Card:
    """Show the real image that an other was made from."""
    label, place = name_label(start.label, classes), name_place(start.index, start.source)
    picture = draw_picture(start.image, f"{place}, labelled {label}", smallest=112, largest=168)
    return Card("stored", f"{KINDS[way.kind].short}, real", picture, label, place=place)


def show_way(way: Way, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show one way: the images on it, the mask, and the answer along it; or why it failed."""
    own, other = (classes[label] for label in way.classes)
    title = f"From {other} to {own}, {KINDS[way.kind].title}"
    if not way.valid:  # then it does not lead from the other class
        return (PageBlock(f"{title}: failed", say_failure(way, classes), tone="doubtful"),)
    sentences = (*say_instead(way, other), *say_path(way.along, own, other))
    blocks = [PageBlock(title, sentences, (make_frames(way.along, own),))]
    if way.mask.reason is None:
        limit = find_limit([way.mask.increase, way.mask.decrease])
        maps = (make_maps(way, limit), make_map_scale(limit))
        blocks.append(PageBlock(shown=maps, after=(MAP_WORDS, *say_gain(way.mask, own))))
    else:
        blocks.append(PageBlock("The mask failed", (way.mask.reason,), tone="doubtful"))
    return (*blocks, show_answers_along(way, own, other))


def say_failure(way: Way, classes: Sequence[str]) -> tuple[str, ...]:
    """Say why a way leads nowhere, and what to do."""
    found = [way.reason] if way.reason else []
    if way.found:
        seen, other = int(way.probabilities.argmax()), way.classes[1]
        found.append(
            f"The model sees {classes[seen]}, not {classes[other]}, in what the autoencoder makes "
            "of the image at the start."
        )
    rest = [kind for kind in KINDS if kind != way.kind]
    return (
        *found,
        f"Try another start (--other {rest[0]} or --other {rest[1]}) or another class (--to), or "
        "train the autoencoder longer.",
    )


def say_instead(way: Way, other: str) -> tuple[str, ...]:
    """Say what a way starts from where the image that was asked for was not found."""
    if way.reason is None:
        return ()
    if way.kind == "morph":
        return (f"{way.reason} The way starts where it came to, which the model sees as {other}.",)
    return (
        f"{way.reason} So the way starts at the most similar stored image of another class, which "
        "had no part in the answer.",
    )


def make_frames(along: Along, own: str) -> Strip:
    """Take some images of the path, with entropy and probability below each."""
    cards = []
    for step in spread_steps(len(along.images)):
        entropy = number_or_none(float(along.entropies[step]), ".2f")
        share = any_share(float(along.probabilities[step]))
        share = share.replace("over ", ">").replace("under ", "<")
        inside = along.low <= step <= along.high
        where = ", in the window" if inside else ""
        alt = f"step {step} of the path{where}, entropy {entropy} bits"
        picture = draw_picture(along.images[step], alt, smallest=84, largest=112)
        lines = (f"{entropy} bits", f"{own}: {share}")
        cards.append(Card("inside" if inside else "step", f"step {step}", picture, lines=lines))
    widest = max(card.picture.width for card in cards if card.picture)
    return replace(make_strip(cards), width=widest + 4, layout="frames")


def say_path(along: Along, own: str, other: str) -> tuple[str, ...]:
    """Say where on the path the answer turns."""
    last = len(along.images) - 1
    first = (
        f"{len(along.images)} images lead from {other} (step 0) to {own} (step {last}). Below each "
        f"stand the entropy between the two classes, which is 1 bit where the model cannot tell "
        f"them apart and 0 where it is sure, and the probability of {own}."
    )
    if not math.isfinite(along.mean):
        return (first, "The model is never in doubt between the two.")
    low, high = max(along.low, 0.0), min(along.high, float(last))
    return (
        first,
        f"The answer turns around step {along.mean:.1f}, the mean of the steps by entropy; framed "
        f"steps lie in the window around it, {low:.1f} to {high:.1f} (1.96 deviations to both "
        "sides).",
    )


def make_maps(way: Way, limit: float) -> Strip:
    """Show the mask, and what grows and falls in it."""
    mask, images = way.mask, way.along.images
    covered = float(mask.mask.double().mean())
    cards = [
        make_plain("path, step 0", images[0], "where the path starts"),
        make_plain("path, last step", images[-1], "where the path ends"),
        make_plain(
            "mask",
            shade_mask(mask.mask),
            f"mask of the path, mean {covered:.3f}",
            f"mean {percent(covered)}",
            f"{any_share(1 - low_share(mask.mask))} of pixels at {HARDLY:g} or more",
        ),
        make_plain(
            "increase",
            colour(mask.increase, limit),
            "pixels in the mask that become brighter on the path",
            f"sum {float(mask.increase.double().sum()):.3g}",
        ),
        make_plain(
            "decrease",
            colour(-mask.decrease, limit),
            "pixels in the mask that become darker on the path",
            f"sum {format_number(float(mask.decrease.double().sum()), '.3g')}",
        ),
    ]
    return make_strip(cards)


def make_plain(badge: str, image: Tensor, alt: str, *lines: str) -> Card:
    """Show a picture without a class."""
    picture = draw_picture(image, alt, smallest=112, largest=168)
    return Card("stored", badge, picture, lines=lines)


def shade_mask(mask: Tensor) -> Tensor:
    """Draw a mask `(H, W)` in [0, 1]: white at 0, black at 1; `(1, H, W)` uint8."""
    return (255 * (1 - mask.double().clamp(0, 1))).round().to(torch.uint8)[None]


def make_map_scale(limit: float) -> ColourScale:
    """Show the colour scale of increase and decrease."""
    ends = name_ends("mask times change", limit)
    return ColourScale("increase and decrease", to_data_uri(draw_scale()), (ends,))


MAP_WORDS = (
    "Black pixels of the mask follow the path, white ones stay. Red pixels of the mask become "
    "brighter on the way, blue ones darker; the unit is the whole range of a pixel, from black to "
    "white."
)


def say_gain(mask: Mask, own: str) -> tuple[str, ...]:
    """Say how much the mask gains, and where."""
    whole, kept = float(mask.full_gains.double().sum()), share_kept(mask)
    if kept is None:
        gained = f"only {whole:.3f} of probability" if whole > 0 else "nothing"
        return (f"Along this path {own} gains {gained}, so no mask can show where from.",)
    sentences = [
        f"From the first image of the path to the last, {own} gains {whole:.3f} of probability. "
        f"When at every step only the mask follows, the gains add up to "
        f"{float(mask.gains.sum()):.3f}, {any_share(kept)} of that."
    ]
    placed = place_gain(mask.gains)
    if placed is not None:
        sentences.append(
            f"{MOST:.0%} of what the mask gains lies between step {placed[0]} and step "
            f"{placed[1] + 1}."
        )
    return tuple(sentences)


def show_answers_along(way: Way, own: str, other: str) -> PageBlock:
    """Draw the answer along the path, and the gain of each step where there is a mask."""
    along, mask = way.along, way.mask
    steps, window = len(along.images), (along.low, along.mean, along.high)
    plots = [
        plot_path(
            (
                (f"probability of {own}", along.probabilities),
                ("entropy (bits)", along.entropies),
            ),
            steps=steps,
            window=window,
            title="The answer along the path",
            label=f"probability of {own} and entropy between {own} and {other} at every step",
        )
    ]
    if mask.reason is None:
        gains = (("only the mask follows", mask.gains), ("every pixel follows", mask.full_gains))
        plots.append(
            plot_path(
                gains,
                steps=steps,
                window=window,
                title=f"Gain of each step in the probability of {own}",
                label=f"growth of the probability of {own} at every step of the path",
            )
        )
    return PageBlock(shown=tuple(plots))
