"""The block of an image, its example and its counterfactual, with their heatmaps."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from whence.records.explained import Answer
from whence.records.relevance import Heatmaps
from whence.report.blocks import Card, ColourScale, PageBlock, Strip
from whence.report.cards import ROLES, draw_picture, make_evidence_card, make_strip
from whence.report.colours import Colours, find_colours
from whence.report.numbers import count, percent, signed
from whence.report.picture import colour, draw_scale, to_data_uri

LARGE_ERROR = 0.05
"""A larger share of the score's change that the heatmaps miss needs a word."""

BASELINES = {
    "white": "white images",
    "black": "black images",
    "mean": "images of their own mean colour",
    "blur": "blurred images",
}


def show_pair(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Set the image, its example and its counterfactual side by side, heatmaps below them."""
    explanation, colours = answer.explanation, find_colours(answer)
    if not explanation.evidence and colours is None:
        return ()
    predicted = classes[explanation.predicted]
    strip = make_pair(answer, classes, colours)
    title = "Example and counterfactual" if explanation.evidence else "Heatmap"
    if colours is None or answer.maps is None:
        return (PageBlock(title, say_missing(answer), shown=(strip,)),)
    scale = make_scale(colours, predicted)
    after = (say_colours(scale, colours), *say_sum(answer.maps, predicted))
    return (PageBlock(title, say_missing(answer), shown=(strip, scale), after=after),)


def make_pair(answer: Answer, classes: Sequence[str], colours: Colours | None) -> Strip:
    """Make the cards of the image, its example and its counterfactual, or near miss."""
    explanation = answer.explanation
    alt = f"{answer.name}, the image asked about"
    picture = draw_picture(answer.image, alt, smallest=160, largest=224)
    card = Card("input", ROLES["input"], picture, f"answer: {classes[explanation.predicted]}")
    cards = [card if colours is None else add_heat(card, colours.image, colours.limit)]
    for item in (explanation.example, explanation.counterfactual or explanation.near_miss):
        if item is None:
            continue
        card = make_evidence_card(item, answer, classes, smallest=160, largest=224)
        if colours is not None and item in explanation.evidence:
            relevance = colours.stored[explanation.evidence.index(item)]
            card = add_heat(card, relevance, colours.limit / colours.factor)
        cards.append(card)
    return replace(make_strip(cards), layout="pair")


def add_heat(card: Card, relevance: Tensor, limit: float) -> Card:
    """Put a heatmap `(H, W)` below a card's picture, as large as that."""
    total = signed(float(relevance.sum()))
    what = card.place or ROLES["input"]
    coloured = colour(relevance, limit)
    heat = draw_picture(coloured, f"heatmap of {what}, sum {total}", smallest=160, largest=224)
    return replace(card, heat=heat, heat_sum=f"all its pixels: {total}")


def make_scale(colours: Colours, predicted: str) -> ColourScale:
    """Show the colour scale that the heatmaps share."""
    ends = [("this image", colours.limit)]
    if colours.stored:
        ends.append(("stored images", colours.limit / colours.factor))
    return ColourScale(
        label=f"change of the score (logit of {predicted}) per pixel",
        uri=to_data_uri(draw_scale()),
        ends=tuple((what, f"{end:.2g}") for what, end in ends),
    )


def say_colours(scale: ColourScale, colours: Colours) -> str:
    """Say what the colours mean."""
    text = (
        f"The colours are the {scale.label}: red pixels raised it, blue ones lowered it, white "
        "ones did nothing. Beyond the ends the colour stays the same."
    )
    if colours.factor > 1:
        text += (
            " Pixels of stored images count less, so their colours are "
            f"{colours.factor:,} times stronger."
        )
    return text


def say_sum(maps: Heatmaps, predicted: str) -> tuple[str, ...]:
    """Say what the heatmaps add up to, and by how much they miss it."""
    change, error = float(maps.score_change[0]), float(maps.completeness_error[0])
    start = BASELINES.get(maps.baseline, f"the baseline {maps.baseline}")
    stored = float(maps.evidence[0].sum())
    parts = [f"{signed(float(maps.images[0].sum()))} from the image"]
    if len(maps.evidence[0]):
        parts.append(f"{signed(stored)} from {count(len(maps.evidence[0]), 'evidence image')}")
    if maps.rest is not None:
        parts.append(f"{signed(float(maps.rest[0]))} from all other stored images")
    share = error / abs(change) if change else float(error > 0)
    sentences = [
        f"On the way from {start} to the images as they are ({count(maps.steps, 'step')}), the "
        f"score of {predicted} changed by {signed(change)}: {', '.join(parts)}.",
        f"The heatmaps add up to this change with an error of {error:.2g} "
        f"({percent(min(1.0, share))} of it).",
    ]
    if share > LARGE_ERROR:
        sentences.append("More steps (--steps) make the error smaller.")
    return tuple(sentences)


def say_missing(answer: Answer) -> tuple[str, ...]:
    """Say why there is no example or no counterfactual."""
    explanation = answer.explanation
    found = []
    if not explanation.evidence:
        return ()
    if explanation.example_reason:
        found.append(f"No example: {lower(explanation.example_reason)}")
    if explanation.counterfactual_reason:
        found.append(f"No counterfactual: {lower(explanation.counterfactual_reason)}")
        if explanation.near_miss is not None:
            found.append(
                "The most similar stored image of another class is shown in its place; it had "
                "no part in the answer."
            )
    return tuple(found)


def lower(sentence: str) -> str:
    """Let a sentence go on after a colon."""
    return sentence[:1].lower() + sentence[1:]
