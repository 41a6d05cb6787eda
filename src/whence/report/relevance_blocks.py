"""The block of an image, its example and its counterfactual, with the relevance of their pixels."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from whence.messages import count, format_number
from whence.records.explained import Answer
from whence.records.picture import colour, draw_scale, to_data_uri
from whence.records.relevance import OUTSIDE, WITHOUT_VOTE, Relevance
from whence.report.blocks import Card, ColourScale, PageBlock, Strip
from whence.report.cards import ROLES, draw_picture, make_evidence_card, make_strip
from whence.report.colours import Colours, find_colours, find_near
from whence.report.numbers import percent, signed

LARGE_ERROR = 0.05
"""A larger share of the score's change that is unexplained needs a word."""

LEAST_CHANGE = 1e-3
"""Of a score, in logits; relevance that is less in all is rounding."""

FLAT = (
    "The relevance of pixels is not shown: the score stays the same all the way from a plain image "
    "to this one, so that no pixel changes it."
)


def show_pair(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Set the image, its example and its counterfactual side by side, relevance below them."""
    explanation, colours = answer.explanation, find_colours(answer)
    if not explanation.evidence and colours is None:
        return ()
    flat = answer.relevance is not None and is_flat(answer.relevance)
    colours = None if flat else colours
    strip = make_pair(answer, classes, colours)
    title = "Example and counterfactual" if explanation.evidence else "Attribution"
    if colours is None or answer.relevance is None:
        told = (FLAT,) if flat else ()
        return (PageBlock(title, say_missing(answer), shown=(strip,), after=told),)
    scale = make_scale(colours, answer.relevance.target[0])
    after = (say_colours(scale, colours), *say_relevance(answer.relevance))
    return (PageBlock(title, say_missing(answer), shown=(strip, scale), after=after),)


def is_flat(relevance: Relevance) -> bool:
    """Say whether one image's relevance adds up to a score that hardly changes: it is rounding."""
    total = float(relevance.images.abs().sum())
    total += sum(float(one.abs().sum()) for one in relevance.evidence)
    return relevance.ledger is not None and total < LEAST_CHANGE


def make_pair(answer: Answer, classes: Sequence[str], colours: Colours | None) -> Strip:
    """Make the cards of the image, its example and its counterfactual, or near miss."""
    explanation = answer.explanation
    alt = f"{answer.name}, the image asked about"
    picture = draw_picture(answer.image, alt, smallest=160, largest=224)
    card = Card("input", ROLES["input"], picture, f"answer: {classes[explanation.predicted]}")
    cards = [card if colours is None else add_relevance(card, colours.image, colours.limit)]
    for item in (explanation.example, explanation.counterfactual or explanation.near_miss):
        if item is None:
            continue
        pixels = answer.find_image(item.index)
        card = make_evidence_card(item, pixels, classes, smallest=160, largest=224)
        place = explanation.evidence.index(item) if item in explanation.evidence else None
        if colours is not None and place in colours.stored:
            card = add_relevance(card, colours.stored[place], colours.limit / colours.factor)
        elif colours is not None and colours.near is not None and item.weight == 0:
            card = add_relevance(card, colours.near, colours.limit / colours.factor)
        cards.append(card)
    return replace(make_strip(cards), layout="pair")


def add_relevance(card: Card, relevance: Tensor, limit: float) -> Card:
    """Put relevance `(H, W)` below a card's picture, as large as that."""
    total = signed(float(relevance.sum()))
    alt = f"relevance of {card.place or ROLES['input']}, sum {total}"
    coloured = draw_picture(colour(relevance, limit), alt, smallest=160, largest=224)
    return replace(card, relevance=coloured, relevance_sum=f"all its pixels: {total}")


def make_scale(colours: Colours, target: str) -> ColourScale:
    """Show the colour scale that all relevance of an answer shares."""
    ends = [("this image", colours.limit)]
    if colours.stored:
        ends.append(("stored images", colours.limit / colours.factor))
    return ColourScale(
        label=f"relevance of each pixel for the score ({target})",
        uri=to_data_uri(draw_scale()),
        ends=tuple(name_ends(what, end) for what, end in ends),
    )


def name_ends(what: str, limit: float) -> tuple[str, str, str]:
    """Name what is coloured, and the numbers at both ends of its colours.

    >>> name_ends("this image", 0.125)
    ('this image', '−0.12', '+0.12')
    """
    return what, format_number(-limit, "+.2g"), format_number(limit, "+.2g")


def say_colours(scale: ColourScale, colours: Colours) -> str:
    """Say what the colours mean."""
    text = (
        f"The colours are the {scale.label}: red above 0, blue below, white 0. "
        "Beyond the ends the colour stays the same."
    )
    if colours.factor > 1:
        text += (
            " Pixels of stored images count less, so their colours are "
            f"{colours.factor:,} times stronger."
        )
    return text


def say_relevance(relevance: Relevance) -> tuple[str, ...]:
    """Say what the numbers of one image mean, and where its score went."""
    score, start = float(relevance.score[0]), float(relevance.start[0])
    if relevance.ledger is None:
        return (
            relevance.words,
            f"The score is {format_number(score, '.3g')}; the numbers do not add up to it.",
        )
    amounts = {name: float(amount[0]) for name, amount in relevance.ledger.items()}
    change, missing = score - start, abs(amounts.pop("unexplained"))
    share = missing / abs(change) if change else float(missing > 0)
    words = {
        "image": "from the image",
        "evidence": f"from {count(len(relevance.evidence[0]), 'evidence image')}",
        OUTSIDE: "from all other stored images",
        WITHOUT_VOTE: "from the most similar image without a vote",
    }
    parts = [f"{signed(value)} {words.get(name, name)}" for name, value in amounts.items()]
    sentences = [
        relevance.words,
        f"The score changed by {signed(change)}, from {format_number(start, '.3g')} to "
        f"{format_number(score, '.3g')}: {', '.join(parts)}.",
        f"The numbers add up to this change with an error of {missing:.2g} "
        f"({percent(min(1.0, share))} of it).",
    ]
    if share > LARGE_ERROR and "steps" in relevance.options:
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
            told = "" if find_near(answer) is None else ", but what is explained is set against it"
            found.append(
                "The most similar stored image of another class is shown in its place; it had "
                f"no part in the answer{told}."
            )
    return tuple(found)


def lower(sentence: str) -> str:
    """Let a sentence go on after a colon."""
    return sentence[:1].lower() + sentence[1:]
