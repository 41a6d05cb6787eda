"""The blocks of a whole run: images used most, images used in errors, labels, hard cases."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from whence.messages import count
from whence.records.explained import Answer
from whence.records.measures import Suspicion
from whence.records.memory_use import MemoryUse, Used
from whence.records.overview import LISTED, Overview
from whence.report.blocks import Card, Contents, ContentsEntry, PageBlock, Strip
from whence.report.cards import draw_picture, make_stored_card, make_strip
from whence.report.numbers import percent

KINDS = {"sure": "Wrong with high confidence", "doubtful": "Most doubtful"}

LEFT, RIGHT = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"


def show_used(overview: Overview, memory: MemoryUse) -> PageBlock:
    """Show the stored images that all answers together read most."""
    strip = make_use_strip(overview, memory.most, wrong=False)
    return PageBlock(sentences=say_use(memory), shown=(strip,))


def show_misleading(overview: Overview, memory: MemoryUse) -> PageBlock:
    """Show the stored images that wrong answers read most."""
    strip = make_use_strip(overview, memory.misleading, wrong=True)
    shown = (strip,) if memory.misleading else ()
    return PageBlock(sentences=say_misleading(overview, memory), shown=shown)


def make_use_strip(overview: Overview, items: Sequence[Used], *, wrong: bool) -> Strip:
    """Show stored images with how much they were used, in all answers or in wrong ones."""
    images = overview.evaluation.images
    largest = max((item.wrong if wrong else item.weight for item in items), default=1.0)
    cards = []
    for item in items:
        card = show_stored(item.index, overview)
        amount = item.wrong if wrong else item.weight
        lines = [f"total weight {write_weight(amount)}{' in wrong answers' if wrong else ''}"]
        if wrong:
            lines.append(f"{percent(min(1.0, item.wrong_share))} of its use")
        else:
            lines.append(f"in {count(item.answers, 'answer')} ({percent(item.answers / images)})")
        cards.append(replace(card, lines=tuple(lines), share=amount / largest))
    return make_strip(cards)


def show_stored(index: int, overview: Overview) -> Card:
    """Show a stored image with label, own class and place."""
    return make_stored_card(index, overview.stored[index], overview.class_names)


def write_weight(weight: float) -> str:
    """Write a sum of weights.

    >>> write_weight(1234.56), write_weight(3.14159), write_weight(0.0123)
    ('1,235', '3.1', '0.012')
    """
    if weight >= 100:
        return f"{weight:,.0f}"
    return f"{weight:.1f}" if weight >= 1 else f"{weight:.2g}"


def say_use(memory: MemoryUse) -> tuple[str, ...]:
    """Say how evenly the stored images are used."""
    images = count(memory.size, "stored image")
    unused = "Every one" if memory.unused == 0 else f"All but {memory.unused:,}"
    half = "1 carries" if memory.half == 1 else f"{memory.half:,} carry"
    return (
        "The weights of every answer sum to 1; here they are added up over all test images. "
        f"{unused} of {images} took part in some answer; {half} half of all weight.",
        "Bars compare with the first image.",
    )


def say_misleading(overview: Overview, memory: MemoryUse) -> tuple[str, ...]:
    """Say what an image that takes part in errors means, and what is usual."""
    errors = 1 - overview.evaluation.whole_memory
    if not memory.misleading:
        return ("No answer is wrong, so no stored image was used in an error.",)
    return (
        f"On average {percent(errors)} of the use of a stored image goes into wrong answers, "
        "because so many answers are wrong. An image far above that share may lie between classes "
        "or have a wrong label.",
        "Bars compare with the first image.",
    )


def show_suspicious(overview: Overview, suspicious: Sequence[Suspicion]) -> PageBlock:
    """Show the stored images whose labels the other stored images speak against."""
    shown = (make_suspicious_strip(overview, suspicious),) if suspicious else ()
    return PageBlock(sentences=say_suspicious(suspicious), shown=shown)


def make_suspicious_strip(overview: Overview, suspicious: Sequence[Suspicion]) -> Strip:
    """Show the most suspicious stored images with what speaks against their labels."""
    names = overview.class_names
    cards = []
    for item in suspicious[:LISTED]:
        card = show_stored(item.index, overview)
        lines = (
            f"resembles {names[item.resembles]}",
            f"the model says {names[item.predicted]}",
            f"label probability {percent(min(1.0, item.probability))}",
            f"score {item.score:.2f}",
            *say_nearest(overview, item),
        )
        cards.append(replace(card, conflict="", lines=lines))
    more = len(suspicious) - len(cards)
    rest = f"Not shown: {count(more, 'stored image')} with lower scores." if more else ""
    return make_strip(cards, rest)


def say_nearest(overview: Overview, item: Suspicion) -> tuple[str, ...]:
    """Say which labels the most similar stored images have; nothing where they are not known."""
    near = overview.nearest.get(item.index, ())
    if not near:
        return ()
    counts = Counter(one.label for one in near)
    names = overview.class_names
    parts = [
        f"{number} {'without a label' if label is None else names[label]}"
        for label, number in counts.most_common()
    ]
    return (f"the {len(near)} most alike: {', '.join(parts)}",)


def say_suspicious(suspicious: Sequence[Suspicion]) -> tuple[str, ...]:
    """Say what the list is, and what it is not."""
    if not suspicious:
        return ("No stored image has a label that the other stored images speak against.",)
    images = count(len(suspicious), "stored image")
    return (
        f"{images} in all, most suspicious first: {LEFT}resembles{RIGHT} names the class whose "
        "stored images look most like it, and the score says how much of the usual support for "
        "its label is missing. What the model says, and how probable it finds the label, was "
        "computed with the image itself left out.",
        "This is a list to look at, not a list of errors: many of these labels will be right, on "
        "images that are unusual or hard. Wrong labels can be missing from it.",
    )


def show_hard(overview: Overview, answers: Sequence[Answer]) -> tuple[PageBlock, ...]:
    """Link to the hard cases by kind, each with a picture."""
    groups: dict[str, list[ContentsEntry]] = {}
    names = overview.class_names
    for number, (hard, answer) in enumerate(zip(overview.hard, answers, strict=True), 1):
        lines = [f"the model gives it {percent(hard.probability)}"]
        if hard.error_probability is not None:
            lines.append(f"probability of an error {percent(hard.error_probability)}")
        truth = "right" if hard.truth == hard.predicted else f"it is {names[hard.truth]}"
        groups.setdefault(KINDS[hard.kind], []).append(
            ContentsEntry(
                anchor=f"image-{number}",
                picture=draw_picture(answer.image, "", smallest=60, largest=120),
                name=answer.name,
                answer=f"{names[hard.predicted]}; {truth}",
                lines=tuple(lines),
            )
        )
    text = "Each picture leads to the full explanation of its answer, further down this page."
    lists = (PageBlock(kind, shown=(Contents(kind, tuple(one)),)) for kind, one in groups.items())
    return (PageBlock(sentences=(text,)), *lists)
