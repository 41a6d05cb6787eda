"""Records in a notebook: the blocks of pages, without the page around them."""

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from whence.messages import count
from whence.records.answers import Evidence, Explanation, Prediction
from whence.records.images import ImageSet
from whence.records.measures import Evaluation, Mistake
from whence.records.picture import to_uint8
from whence.report.answer_blocks import make_bars
from whence.report.blocks import (
    Bar,
    BarChart,
    Card,
    Glossary,
    NumberTable,
    PageBlock,
    Strip,
    TableCell,
    TableRow,
)
from whence.report.cards import ROLES, draw_picture, make_evidence_card, make_strip
from whence.report.curve_blocks import show_class_curves
from whence.report.decision import say_rule
from whence.report.doubt import find_doubt
from whence.report.numbers import percent
from whence.report.trust import lay_out_evidence, lay_out_signals

VIEWED_ANSWERS, VIEWED_EVIDENCE, VIEWED_IMAGES = 20, 12, 12
"""Answers, stored images of one answer, and images of a set that are shown; the rest is counted."""

MISTAKEN_EVIDENCE = 3
"""Stored images shown of each wrong answer of a measurement."""

CARD_WIDTH = 132


def render_fragment(title: str, blocks: Sequence[PageBlock]) -> str:
    """Write blocks as HTML that keeps its style to itself: no script, no outside request.

    Args:
        title: above the blocks.
        blocks: in order.
    """
    environment = Environment(
        loader=PackageLoader("whence.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("style.html").render()
    inside = re.sub(r"(?m)^(\s*)(:root|body) \{", r"\1& {", strip_tags(style))
    template = environment.get_template("fragment.html")
    return template.render(title=title, blocks=blocks, style=inside)


def strip_tags(style: str) -> str:
    """Take the element around a style sheet away."""
    return style.replace("<style>", "").replace("</style>", "").strip()


def name_all(answer: Prediction | Explanation) -> tuple[str, ...]:
    """Name the classes of an answer, by number where it does not know their names."""
    return answer.class_names or tuple(f"class {k}" for k in range(len(answer.probabilities)))


def view_answers(answers: Sequence[Prediction | Explanation]) -> str:
    """Show several answers as a table, one row an image."""
    rows = []
    for place, one in enumerate(answers[:VIEWED_ANSWERS]):
        names = name_all(one)
        best = one.evidence[0] if one.evidence else None
        error = "" if one.error_probability is None else percent(one.error_probability)
        cells = (
            names[one.predicted],
            percent(float(one.probabilities[one.predicted])),
            error,
            "" if best is None else name_stored(best, names),
        )
        rows.append(TableRow(f"image {place}", "", tuple(map(TableCell, cells))))
    rest = len(answers) - len(rows)
    header = ("answer", "probability", "of an error", "heaviest stored image")
    table = NumberTable("Answers", header, tuple(rows))
    more = (f"Not shown: {count(rest, 'answer')}.",) if rest else ()
    return render_fragment(count(len(answers), "answer"), [PageBlock(shown=(table,), after=more)])


def name_stored(one: Evidence, names: Sequence[str]) -> str:
    """Name a stored image: its file or index, its label and its weight."""
    label = "no label" if one.label is None else names[one.label]
    return f"{one.source or f'image {one.index}'} ({label}, {percent(one.weight)})"


def view_explanation(answer: Prediction | Explanation) -> str:
    """Show one answer: probabilities, how far to trust it, and the stored images behind it.

    An answer that was pickled has no pixels any more, and shows the images by name.
    """
    names = name_all(answer)
    bars = make_bars(answer.probabilities, answer.predicted, names)
    blocks = [PageBlock(shown=(BarChart("Probability of every class", bars),))]
    if isinstance(answer, Explanation):
        doubt = find_doubt(answer, names)
        blocks.append(PageBlock(doubt.title, doubt.sentences, tone=doubt.level))
    pictured = picture_evidence(answer, names, VIEWED_EVIDENCE)
    if pictured is not None:
        rest = max(0, len(answer.evidence) - VIEWED_EVIDENCE)
        more = (f"Not shown: {count(rest, 'stored image')} of lower weight.",) if rest else ()
        title = "Stored images behind the answer"
        blocks.append(PageBlock(title, shown=(pictured,), after=more))
    share = percent(float(answer.probabilities[answer.predicted]))
    return render_fragment(f"{names[answer.predicted]}, {share}", blocks)


def picture_evidence(
    answer: Prediction | Explanation, names: Sequence[str], shown: int, *, asked: str = ""
) -> Strip | None:
    """Give the image and the heaviest stored images behind an answer a card each, with pictures.

    Args:
        answer: that knows its pixels, or not.
        names: of the classes.
        shown: stored images.
        asked: what is said below the image that was asked about.

    Returns:
        None where there is no evidence and no picture.
    """
    seen, cards = answer.seen, []
    if seen.image is not None:
        picture = draw_picture(to_uint8(seen.image.cpu()), "the image asked about")
        said = f"answer: {names[answer.predicted]}"
        cards.append(Card("input", ROLES["input"], picture, label=said, place=asked))
    for one in answer.evidence[:shown]:
        stored = seen.find(one.index)
        pixels = None if stored is None else to_uint8(stored)
        cards.append(make_evidence_card(one, pixels, names))
    return make_strip(cards) if cards else None


def view_evaluation(found: Evaluation) -> str:
    """Show how good answers are for each class, what probabilities find, and signs of doubt."""
    bars, rows = [], []
    for one in found.classes:
        text = f"{one.right:,} of {one.images:,}"
        bars.append(Bar(one.name, one.recall or 0.0, text, strong=bool(one.images)))
        shares = [("none" if s is None else percent(s)) for s in (one.recall, one.precision)]
        rows.append(TableRow(one.name, "", tuple(map(TableCell, shares))))
    table = NumberTable("Recall and precision", ("recall", "precision"), tuple(rows))
    said = [f"Balanced accuracy {percent(found.balanced_accuracy)}."]
    if found.decision is not None:
        said.append(say_rule(found.decision))
    chart = BarChart("Recall of every class", tuple(bars))
    blocks = [PageBlock(sentences=tuple(said), shown=(chart, table)), *show_class_curves(found)]
    evidence = lay_out_evidence(found)
    if evidence is not None:
        note = "Each measure beside its controls: any stored image, and the nearest one."
        blocks.append(PageBlock("Does the evidence fit the answers?", (note,), (evidence,)))
    if found.signals:
        blocks.append(PageBlock("Signs of doubt", shown=(lay_out_signals(found),)))
    wrong = [block for mistake in found.mistakes if (block := view_mistake(mistake)) is not None]
    if wrong:
        note = (
            f"Each with the stored images of highest weight behind it, {MISTAKEN_EVIDENCE} of them."
        )
        blocks += [PageBlock("The surest wrong answers", (note,)), *wrong]
    title = f"{percent(found.whole_memory)} of {count(found.images, 'image')} right"
    return render_fragment(title, blocks)


def view_mistake(mistake: Mistake) -> PageBlock | None:
    """Show a wrong answer beside its heaviest stored images; None without pictures."""
    answer = mistake.answer
    names = name_all(answer)
    said, truth = names[answer.predicted], names[mistake.truth]
    place = f"image {mistake.place}, of class {truth}"
    strip = picture_evidence(answer, names, MISTAKEN_EVIDENCE, asked=place)
    share = percent(float(answer.probabilities[answer.predicted]))
    title = f"{said}, {share}: wrong, it is {truth}"
    return None if strip is None else PageBlock(title, shown=(strip,))


def view_images(images: ImageSet) -> str:
    """Show how many images there are of each class, and some of each."""
    counts = images.labels.bincount(minlength=len(images.class_names)).tolist()
    most = max(counts, default=0) or 1
    bars = [
        Bar(name, number / most, f"{number:,}", strong=bool(number))
        for name, number in zip(images.class_names, counts, strict=True)
    ]
    channels, height, width = images.images.shape[1:]
    kind = "grey" if channels == 1 else "in colour"
    cards = [make_set_card(images, place) for place in choose_shown(images)]
    chart, strip = BarChart("Images of every class", tuple(bars)), Strip(tuple(cards), CARD_WIDTH)
    title = f"{count(len(images), 'image')} of {len(counts):,} classes"
    said = f"{width} x {height} pixels, {kind}."
    block = PageBlock(sentences=(said,), shown=(chart, strip) if cards else (chart,))
    return render_fragment(title, [block])


def choose_shown(images: ImageSet) -> list[int]:
    """Choose the first images of each class, as many of one as of another."""
    classes = max(1, len(images.class_names))
    each = max(1, VIEWED_IMAGES // classes)
    chosen: list[int] = []
    for label in range(classes):
        chosen += (images.labels == label).nonzero().flatten()[:each].tolist()
    return chosen[:VIEWED_IMAGES]


def make_set_card(images: ImageSet, place: int) -> Card:
    """Show one image of a set, with its class and file."""
    name = images.class_names[int(images.labels[place])]
    source = "" if images.sources is None else f", {images.sources[place]}"
    pixels = to_uint8(images.images[place].cpu())
    picture = draw_picture(pixels, f"image {place}")
    return Card("stored", "", picture, label=name, place=f"image {place}{source}")


def view_classifier(model: Any) -> str:
    """Show what a classifier is made of, and what it has stored.

    Args:
        model: a classifier; pages see no model, so only its facts are read.
    """
    names, bank = model.class_names, model.bank
    facts = [
        ("encoder", model.kind.title),
        ("head", model.variant),
        ("classes", ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")),
        ("images", " x ".join(map(str, model.image_shape[::-1])) + " (width, height, channels)"),
        ("memory", "none" if bank is None else count(len(bank), "stored image")),
    ]
    if model.calibration is not None:
        images = count(model.calibration.images, "held-out image")
        facts.append(("probability of an error", f"calibrated on {images}"))
    if model.decision is not None:
        facts.append(("threshold", say_rule(model.decision)))
    blocks = [PageBlock(shown=(Glossary(tuple(facts)),))]
    if bank is not None and bank.images is not None and bool((bank.labels >= 0).all()):
        stored = ImageSet(bank.images, bank.labels.cpu(), names, bank.sources)
        cards = [make_set_card(stored, place) for place in choose_shown(stored)]
        blocks.append(PageBlock("Some stored images", shown=(Strip(tuple(cards), CARD_WIDTH),)))
    return render_fragment("A classifier of images", blocks)
