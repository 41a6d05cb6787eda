"""The blocks of one explained image, and their order: answer, doubt, evidence, and the rest."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from whence.messages import count
from whence.records.answers import Explanation, Removal
from whence.records.explained import Answer
from whence.report.blocks import Bar, BarChart, Card, Headline, PageBlock, PageSection, Strip
from whence.report.cards import (
    SHOWN,
    draw_picture,
    make_evidence_card,
    make_strip,
)
from whence.report.decision import say_decision
from whence.report.dependence_blocks import show_reliance, show_removal
from whence.report.doubt import find_doubt
from whence.report.embedded import Picture
from whence.report.morph_blocks import show_ways
from whence.report.numbers import add_weights, percent
from whence.report.reading import say_reading
from whence.report.relevance_blocks import show_pair

TOP_CLASSES = 5
"""Classes whose probability has a bar of its own; the others share one."""


def explain_section(answer: Answer, classes: Sequence[str], number: int) -> PageSection:
    """Describe one explained image.

    Args:
        answer: the record.
        classes: names.
        number: of the image on its page, from 1.
    """
    blocks = [block for make in ANSWER_BLOCKS for block in make(answer, classes)]
    return PageSection(f"image-{number}", answer.name, tuple(blocks))


def show_answer(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the image, the answer, and the probabilities of the classes."""
    explanation = answer.explanation
    headline = Headline(
        pictures=show_image(answer),
        answer=classes[explanation.predicted],
        share=percent(float(explanation.probabilities[explanation.predicted])),
        verdict=say_verdict(answer.truth, explanation.predicted, classes),
        right=answer.truth == explanation.predicted,
        bars=BarChart(
            "Probability of every class",
            make_bars(explanation.probabilities, explanation.predicted, classes),
        ),
    )
    decided = say_decision(explanation, classes)
    blocks = () if decided is None else (PageBlock(sentences=(decided,)),)
    return (PageBlock(shown=(headline,)), *blocks)


def show_image(answer: Answer) -> tuple[tuple[Picture, str], ...]:
    """Show the image as the model saw it, and the original where that has another size."""
    alt = f"{answer.name}, the image asked about"
    seen = draw_picture(answer.image, alt, smallest=160, largest=224)
    if answer.original is None:
        return ((seen, ""),)
    alt = f"{answer.name}, the original"
    original = draw_picture(answer.original, alt, smallest=160, largest=224)
    height, width = answer.image.shape[1:]
    return ((original, "the original"), (seen, f"as the model saw it: {width} x {height} pixels"))


def say_verdict(truth: int | None, predicted: int, classes: Sequence[str]) -> str:
    """Compare an answer with the true class where that is known."""
    if truth is None:
        return ""
    return "right" if truth == predicted else f"wrong, it is {classes[truth]}"


def make_bars(probabilities: Tensor, predicted: int, classes: Sequence[str]) -> tuple[Bar, ...]:
    """Take the most probable classes, the answer first, and the sum of the others.

    Of many classes, those that nothing speaks for, as with votes, are among the others.
    """
    order = probabilities.argsort(descending=True, stable=True).tolist()
    order.sort(key=lambda place: place != predicted)  # also where another is as probable
    likely = [place for place in order if place == predicted or probabilities[place] > 0]
    shown = order if len(order) <= TOP_CLASSES + 1 else likely[:TOP_CLASSES]
    shares = [float(probabilities[place]) for place in shown]
    bars = [
        Bar(classes[place], share, percent(share), place == predicted)
        for place, share in zip(shown, shares, strict=True)
    ]
    others = len(order) - len(shown)
    if others:
        rest = float(probabilities[order[len(shown) :]].sum())
        bars.append(Bar(f"all {others:,} other classes", rest, percent(rest)))
    return tuple(bars)


def show_doubt(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Say how far to trust the answer, and what happened to the image before."""
    doubt = find_doubt(answer.explanation, classes)
    sentences = doubt.sentences
    wrong = answer.truth is not None and answer.truth != answer.explanation.predicted
    if wrong and doubt.level == "calm":
        sentences += ("The true class is known here, and the answer is wrong all the same.",)
    blocks = [PageBlock(doubt.title, sentences, tone=doubt.level)]
    if answer.notes:
        blocks.append(PageBlock(sentences=answer.notes, tone="note"))
    return tuple(blocks)


def show_evidence(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the stored images that the answer was computed with, in order of weight."""
    strip = make_evidence_strip(answer, classes)
    sentences = say_evidence(answer.explanation, answer.removal, classes)
    return (
        PageBlock("The evidence the model used", sentences, shown=(strip,) if strip.cards else ()),
    )


def make_evidence_strip(answer: Answer, classes: Sequence[str]) -> Strip:
    """Give every evidence image a card; say on it what leaving it out would change."""
    explanation = answer.explanation
    left = explanation.probabilities_without
    cards: list[Card] = []
    for item, after in zip(explanation.evidence[:SHOWN], left, strict=False):
        card = make_evidence_card(item, answer.find_image(item.index), classes)
        effect = say_without(explanation, after, classes)
        lines = (*card.lines, effect) if effect else card.lines
        cards.append(replace(card, lines=lines, share=min(1.0, item.weight)))
    more = explanation.evidence[SHOWN:]
    rest = ""
    if more:
        share = percent(add_weights(more))
        rest = f"Not shown: {count(len(more), 'stored image')} with {share} of the weight together."
    return make_strip(cards, rest)


def say_without(explanation: Explanation, after: Tensor, classes: Sequence[str]) -> str:
    """Say what the answer would be without one stored image, "" where it stays.

    Args:
        explanation: of the answer.
        after: `(K,)` probabilities without the image; NaN when it is the whole memory.
        classes: names.
    """
    if bool(torch.isnan(after).any()):
        return "without it nothing would be left to read"
    changed = int(explanation.decide(after[None]))
    if changed == explanation.predicted:
        return ""
    return f"without it the answer is {classes[changed]}, {percent(float(after[changed]))}"


def say_evidence(
    explanation: Explanation, removal: Removal | None, classes: Sequence[str]
) -> tuple[str, ...]:
    """Count the evidence, say how much of its weight is on the answer, and which of it decides."""
    evidence, predicted = explanation.evidence, classes[explanation.predicted]
    if not evidence:
        return ("This model has no memory. It answers from the image alone and shows no evidence.",)
    decides = say_deciding(explanation, removal, classes)
    if len(evidence) == 1:
        return ("The answer was computed with 1 stored image, which has all the weight.", *decides)
    reading = say_reading(explanation, classes)
    inside = percent(add_weights(evidence, "example"))
    own = f" Of the weight, {inside} is on images that the model itself puts in {predicted}, too."
    return (
        f"The answer was computed with {count(len(evidence), 'stored image')}, highest weight "
        f"first; a full bar would be all of the weight.{'' if explanation.by_label else own}",
        "The frame follows what the model itself sees in a stored image, not its label: an example "
        f"is an image that it puts in {predicted}, too, a counterfactual one that it puts in "
        "another class.",
        *(() if reading is None else (reading,)),
        *decides,
    )


def say_deciding(
    explanation: Explanation, removal: Removal | None, classes: Sequence[str]
) -> tuple[str, ...]:
    """Say whether a single stored image decides, and how many do together."""
    predicted = explanation.predicted
    left = explanation.probabilities_without  # (A, K)
    if bool(left.isnan().any()):
        return ()
    changing = int((explanation.decide(left) != predicted).sum())
    now = percent(float(explanation.probabilities[predicted]))
    low, high = (percent(float(end)) for end in left[:, predicted].aminmax())
    if changing:
        verb = "changes" if changing == 1 else "change"
        return (
            f"{changing:,} of these stored images {verb} the answer when left out alone; the "
            "others do not.",
        )
    span = f"between {low} and {high}" if low != high else f"at {low}"
    before = "" if low == high == now else f" (now {now})"
    together = 0 if removal is None else len(removal.smallest or removal.removed)
    end = "."
    if together > 1:
        end = f"; it takes {together:,} stored images together, as shown further down."
    return (
        f"No single stored image decides: whichever one is left out, {classes[predicted]} stays "
        f"the answer, {span}{before}{end}",
    )


def show_others(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the best counterfactual of every other class where there are several."""
    found = answer.explanation.counterfactuals
    if len(found) < 2:
        return ()
    cards = [
        make_evidence_card(item, answer.find_image(item.index), classes) for item in found[:SHOWN]
    ]
    more = len(found) - len(cards)
    rest = f"Not shown: those of {more:,} more." if more else ""
    title = "The best counterfactual of every other class"
    return (PageBlock(title, shown=(make_strip(cards, rest),)),)


def show_nearest(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the most similar stored image of each likely class, to compare with."""
    found = answer.explanation.nearest
    if len(found) < 2:
        return ()
    cards = [make_evidence_card(item, answer.find_image(item.index), classes) for item in found]
    title = "The most similar stored image of each likely class"
    text = "Compare them with the image: is it really more like the first than like the others?"
    return (PageBlock(title, (text,), shown=(make_strip(cards, ""),)),)


def show_morph(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the ways to the image from another class, where they were asked for."""
    return () if answer.morph is None else show_ways(answer.morph, classes)


ANSWER_BLOCKS = (
    show_answer,
    show_doubt,
    show_evidence,
    show_pair,
    show_others,
    show_nearest,
    show_removal,
    show_reliance,
    show_morph,
)
"""Every block of an explained image, in order; each gives none where it has nothing to show."""
