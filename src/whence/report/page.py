"""One self-contained HTML page: answers, and the evidence that the model used for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor

from whence.records.answers import Draws, Explanation, Removal
from whence.records.explained import Answer, Origin
from whence.records.relevance import Heatmaps
from whence.report.cards import (
    ROLES,
    SHOWN,
    Card,
    Picture,
    Strip,
    draw,
    evidence_card,
    evidence_strip,
    make_strip,
    stored_card,
)
from whence.report.colours import Colours, find_colours
from whence.report.doubt import Doubt, find_doubt
from whence.report.morph_section import MorphPart, make_morph
from whence.report.numbers import add_weights, count, percent, signed
from whence.report.picture import colour, draw_scale, to_data_uri

TOP_CLASSES = 5
"""Classes whose probability has a bar of its own; the others share one."""

LARGE_ERROR = 0.05
"""Share of the score's change from which on the error of the heatmaps needs a word."""

BASELINES = {
    "white": "white images",
    "black": "black images",
    "mean": "images of their own mean colour",
    "blur": "blurred images",
}


@dataclass(frozen=True)
class Bar:
    """A class and its probability; ``answer`` marks the class that the model chose."""

    name: str
    share: float
    text: str
    answer: bool


@dataclass(frozen=True)
class Heat:
    """What stands beside the heatmaps: the colour scale and how far they add up."""

    scale: str
    ends: tuple[tuple[str, str], ...]
    factor: int
    score: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Everything that the page says about one image."""

    name: str
    picture: Picture
    predicted: str
    share: str
    verdict: str
    right: bool
    bars: tuple[Bar, ...]
    doubt: Doubt
    notes: tuple[str, ...]
    evidence: Strip
    evidence_sentences: tuple[str, ...]
    pair: Strip
    pair_sentences: tuple[str, ...]
    heat: Heat | None
    others: Strip | None
    removal_sentences: tuple[str, ...]
    removal: Strip | None
    reliance: float
    reliance_text: str
    reliance_sentence: str
    draws_sentences: tuple[str, ...]
    morph: MorphPart | None


def render(answers: Sequence[Answer], origin: Origin, class_names: Sequence[str]) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        answers: at least one, in the order in which they are shown.
        origin: what they were computed from, for the foot of the page.
        class_names: one name per class.

    Returns:
        HTML; every name and file name in it is escaped.

    Raises:
        ValueError: if there is no answer.
    """
    if not answers:
        raise ValueError("answers must hold at least one answer, got none.")
    sections = tuple(make_section(answer, class_names) for answer in answers)
    one = len(sections) == 1
    title = "An answer and its evidence" if one else f"{len(sections)} answers and their evidence"
    return (
        build_environment()
        .get_template("page.html")
        .render(sections=sections, origin=origin, title=title)
    )


def build_environment() -> Environment:
    """Set Jinja up for pages: every name is escaped, an unknown one is an error."""
    return Environment(
        loader=PackageLoader("whence.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def make_section(answer: Answer, classes: Sequence[str]) -> Section:
    """Turn an answer into texts and pictures."""
    explanation = answer.explanation
    predicted = classes[explanation.predicted]
    colours = find_colours(answer)
    pair = make_pair(answer, classes, colours)
    strip, removal = make_removal(answer, classes)
    return Section(
        name=answer.name,
        picture=draw(
            answer.image, f"{answer.name}, the image asked about", smallest=160, largest=224
        ),
        predicted=predicted,
        share=percent(float(explanation.probabilities[explanation.predicted])),
        verdict=say_verdict(answer, classes),
        right=answer.truth == explanation.predicted,
        bars=make_bars(explanation.probabilities, explanation.predicted, classes),
        doubt=find_doubt(answer, classes),
        notes=answer.notes,
        evidence=evidence_strip(answer, classes),
        evidence_sentences=say_evidence(explanation, predicted),
        pair=pair,
        pair_sentences=say_missing(answer),
        heat=None if colours is None else make_heat(answer, colours, predicted),
        others=make_others(answer, classes),
        removal_sentences=removal,
        removal=strip,
        reliance=explanation.reliance,
        reliance_text=percent(explanation.reliance),
        reliance_sentence=say_reliance(explanation.reliance),
        draws_sentences=say_draws(explanation.draws, explanation.predicted, predicted),
        morph=None if answer.morph is None else make_morph(answer.morph, classes),
    )


def say_verdict(answer: Answer, classes: Sequence[str]) -> str:
    """Compare with the true class where it is known."""
    if answer.truth is None:
        return ""
    right = answer.truth == answer.explanation.predicted
    return "right" if right else f"wrong, it is {classes[answer.truth]}"


def make_bars(probabilities: Tensor, predicted: int, classes: Sequence[str]) -> tuple[Bar, ...]:
    """Take the most probable classes, the answer first, and the sum of the others."""
    order = probabilities.argsort(descending=True, stable=True).tolist()
    order.sort(key=lambda place: place != predicted)  # also where another is as probable
    shown = order if len(order) <= TOP_CLASSES + 1 else order[:TOP_CLASSES]
    shares = [float(probabilities[place]) for place in shown]
    bars = [
        Bar(classes[place], share, percent(share), place == predicted)
        for place, share in zip(shown, shares, strict=True)
    ]
    others = len(order) - len(shown)
    if others:
        rest = float(probabilities[order[len(shown) :]].sum())
        bars.append(Bar(f"all {others:,} other classes", rest, percent(rest), answer=False))
    return tuple(bars)


def say_evidence(explanation: Explanation, predicted: str) -> tuple[str, ...]:
    """Count the evidence and how much of its weight is on the class of the answer."""
    evidence = explanation.evidence
    if not evidence:
        return ("This model has no memory. It answers from the image alone and shows no evidence.",)
    inside = percent(add_weights(evidence, "example"))
    now = percent(float(explanation.probabilities[explanation.predicted]))
    effect = (
        f"\N{LEFT DOUBLE QUOTATION MARK}Without it\N{RIGHT DOUBLE QUOTATION MARK} tells how "
        f"probable {predicted} would be if that one image were left out (now {now})."
    )
    if len(evidence) == 1:
        return ("The answer was computed with 1 stored image, which has all the weight.", effect)
    return (
        f"The answer was computed with {count(len(evidence), 'stored image')}, highest weight "
        f"first. Of the weight, {inside} is on images that the model puts in {predicted} too.",
        f"An example is an image that the model puts in {predicted} too, a counterfactual one "
        "that it puts in another class.",
        effect,
    )


def make_pair(answer: Answer, classes: Sequence[str], colours: Colours | None) -> Strip:
    """Set the image, its example and its counterfactual (or near miss) side by side."""
    explanation = answer.explanation
    if not explanation.evidence and colours is None:
        return Strip((), "", 0)
    picture = draw(answer.image, f"{answer.name}, the image asked about", smallest=160, largest=224)
    card = Card("input", ROLES["input"], picture, f"answer: {classes[explanation.predicted]}")
    cards = [card if colours is None else add_heat(card, colours.image, colours.limit)]
    for item in (explanation.example, explanation.counterfactual or explanation.near_miss):
        if item is None:
            continue
        card = evidence_card(item, answer, classes, smallest=160, largest=224)
        if colours is not None and item in explanation.evidence:
            relevance = colours.stored[explanation.evidence.index(item)]
            card = add_heat(card, relevance, colours.limit / colours.factor)
        cards.append(card)
    return make_strip(cards, "")


def add_heat(card: Card, relevance: Tensor, limit: float) -> Card:
    """Put a heatmap `(H, W)` below a card's picture, as large as that."""
    total = signed(float(relevance.sum()))
    what = card.place or ROLES["input"]
    coloured = colour(relevance, limit)
    heat = draw(coloured, f"heatmap of {what}, sum {total}", smallest=160, largest=224)
    return replace(card, heat=heat, heat_sum=f"all its pixels: {total}")


def make_heat(answer: Answer, colours: Colours, predicted: str) -> Heat:
    """Describe the colour scale that the heatmaps share, and how far they add up."""
    ends = [("this image", colours.limit)]
    if colours.stored:
        ends.append(("stored images", colours.limit / colours.factor))
    maps = answer.maps
    return Heat(
        scale=to_data_uri(draw_scale()),
        ends=tuple((what, f"{end:.2g}") for what, end in ends),
        factor=colours.factor,
        score=f"change of the score (logit of {predicted}) per pixel",
        sentences=() if maps is None else say_heat(maps, predicted),
    )


def say_heat(maps: Heatmaps, predicted: str) -> tuple[str, ...]:
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


def make_others(answer: Answer, classes: Sequence[str]) -> Strip | None:
    """Show the best counterfactual of every other class where there are several."""
    found = answer.explanation.counterfactuals
    if len(found) < 2:
        return None
    cards = [evidence_card(item, answer, classes) for item in found[:SHOWN]]
    more = len(found) - len(cards)
    rest = f"Not shown: those of {more:,} more." if more else ""
    return make_strip(cards, rest)


def make_removal(answer: Answer, classes: Sequence[str]) -> tuple[Strip | None, tuple[str, ...]]:
    """Show the stored images without which the answer would be another one."""
    removal = answer.removal
    if removal is None:
        return None, ()
    places = removal.smallest or removal.removed
    if not places:
        return None, (removal.reason or "",)
    cards = [
        stored_card(index, answer.stored[index], classes)
        for index in places[:SHOWN]
        if index in answer.stored
    ]
    more = len(places) - len(cards)
    rest = f"Not shown: {count(more, 'stored image')}." if more else ""
    return make_strip(cards, rest), say_removal(removal, classes)


def say_removal(removal: Removal, classes: Sequence[str]) -> tuple[str, ...]:
    """Say what the answer becomes, and what is known of smaller sets."""
    if removal.smallest and removal.smallest_becomes is not None:
        images = count(len(removal.smallest), "stored image")
        what = classes[removal.smallest_becomes]
        first = f"Without {images} the answer would be {what}."
        if len(removal.smallest) > 1:
            return (first, "No smaller set of stored images changes it.")
        return (first,)
    images = count(len(removal.removed), "stored image")
    what = "" if removal.becomes is None else classes[removal.becomes]
    sentences = [
        f"Without {images} the answer would be {what}; putting any one of them back restores it."
    ]
    if removal.searched:
        sentences.append(
            f"Every set of up to {count(removal.searched, 'stored image')} was tried: none of them "
            "changes the answer."
        )
    return tuple(sentences)


def say_reliance(reliance: float) -> str:
    """Say how much of the answer comes from the memory."""
    return (
        f"{percent(reliance)} of what speaks for or against this answer comes from the stored "
        f"images, {percent(1 - reliance)} from the image itself."
    )


def say_draws(draws: Draws | None, predicted: int, name: str) -> tuple[str, ...]:
    """Say what becomes of the answer when random parts of the memory are read."""
    if draws is None:
        return ()
    same = draws.draws - round(draws.changed * draws.draws)
    sentences = [
        f"Read with {count(draws.memory_size, 'random stored image')} in place of all of them, "
        f"the answer stayed the same in {same} of {count(draws.draws, 'draw')}; {name} had "
        f"{percent(float(draws.probabilities[predicted]))} on average."
    ]
    if draws.example_kept is not None:
        kept = round(draws.example_kept * draws.example_drawn)
        sentences.append(
            f"The example was drawn {count(draws.example_drawn, 'time')} and was the example "
            f"again in {kept} of them."
        )
    else:
        sentences.append("The example was never drawn.")
    return tuple(sentences)
