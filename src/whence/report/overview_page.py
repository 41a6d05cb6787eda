"""One self-contained HTML page about a whole run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from whence.memory.heads import find_head
from whence.records.explained import Answer, Origin
from whence.records.measures import Evaluation, Suspicion
from whence.records.overview import LISTED, Made, MemoryUse, Overview, Used
from whence.report.cards import Card, Picture, Strip, draw, make_strip, stored_card
from whence.report.confusion import FEW_PAIRS, LARGEST, PAIRS, Row, say_pairs, shade
from whence.report.curve import Plot, plot
from whence.report.dependence import decides, say_dependence
from whence.report.known import say_known
from whence.report.numbers import count, percent
from whence.report.page import Bar, Section, build_environment, make_section
from whence.report.trust import (
    SIGNAL_NAMES,
    Grid,
    lay_out_evidence,
    lay_out_signals,
    say_doubt,
    say_evidence,
)

KINDS = {"sure": "Wrong with high confidence", "doubtful": "Most doubtful"}

CONTROLS = (
    "The last two columns are controls: the same measures with another stored image in place of "
    "the one with the highest weight, any one of them by chance, or the one whose features are "
    "nearest. Evidence that tells something of the answers does better than chance. whence "
    "evaluate adds a third control, the network before training."
)

LEFT, RIGHT = "\N{LEFT DOUBLE QUOTATION MARK}", "\N{RIGHT DOUBLE QUOTATION MARK}"


@dataclass(frozen=True)
class Case:
    """A hard case in the table of contents; its full explanation stands at ``#image-number``."""

    number: int
    picture: Picture
    name: str
    predicted: str
    truth: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """Everything that the page says above the explanations."""

    title: str
    head: tuple[str, ...]
    accuracy: str
    classes: tuple[Bar, ...]
    classes_sentences: tuple[str, ...]
    matrix: tuple[Row, ...]
    pairs: tuple[str, ...]
    evidence: Grid | None
    evidence_sentences: tuple[str, ...]
    controls_sentence: str
    signals: Grid
    doubt_sentences: tuple[str, ...]
    plot: Plot
    used: Strip | None
    used_sentences: tuple[str, ...]
    misleading: Strip | None
    misleading_sentences: tuple[str, ...]
    suspicious: Strip | None
    suspicious_sentences: tuple[str, ...]
    cases: tuple[tuple[str, tuple[Case, ...]], ...]


def render_overview(overview: Overview, answers: Sequence[Answer], origin: Origin) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        overview: the run in numbers.
        answers: one per hard case, in their order.
        origin: what all was computed from, for the foot of the page.

    Returns:
        HTML; every name and file name in it is escaped.

    Raises:
        ValueError: if there is not one answer per hard case.
    """
    if len(answers) != len(overview.hard):
        raise ValueError(
            f"answers must be one per hard case ({len(overview.hard)}), got {len(answers)}."
        )
    sections = tuple(make_section(answer, overview.class_names) for answer in answers)
    parts = make_parts(overview, answers, sections, origin.run)
    return (
        build_environment()
        .get_template("overview.html")
        .render(found=parts, sections=sections, origin=origin, title=parts.title)
    )


def make_parts(
    overview: Overview, answers: Sequence[Answer], sections: Sequence[Section], run: str
) -> Parts:
    """Turn the numbers into texts, tables and pictures."""
    found, names = overview.evaluation, overview.class_names
    small = len(names) <= LARGEST
    memory, suspicious = overview.memory, overview.suspicious
    curve_names = [SIGNAL_NAMES[curve.signal] for curve in overview.curves]
    return Parts(
        title=f"The run {run} as a whole",
        head=say_head(overview),
        accuracy=percent(found.whole_memory),
        classes=make_class_bars(overview),
        classes_sentences=say_classes(overview),
        matrix=shade(overview.confusion, names) if small else (),
        pairs=say_pairs(overview.confusion, names, pairs=FEW_PAIRS if small else PAIRS),
        evidence=lay_out_evidence(found),
        evidence_sentences=say_all_evidence(found),
        controls_sentence=CONTROLS,
        signals=lay_out_signals(found),
        doubt_sentences=say_doubt(found),
        plot=plot(overview.curves, curve_names),
        used=None if memory is None else use_strip(overview, memory.most, wrong=False),
        used_sentences=() if memory is None else say_use(memory),
        misleading=None if memory is None else use_strip(overview, memory.misleading, wrong=True),
        misleading_sentences=() if memory is None else say_misleading(overview, memory),
        suspicious=None if suspicious is None else suspicious_strip(overview, suspicious),
        suspicious_sentences=say_suspicious(suspicious),
        cases=make_cases(overview, answers, sections),
    )


def say_head(overview: Overview) -> tuple[str, ...]:
    """Say what the run is and how good its answers are."""
    made, found = overview.made, overview.evaluation
    wrong = found.images - round(found.whole_memory * found.images)
    low, high = interval(found.images - wrong, found.images)
    whole = "" if overview.memory is None else f" with its whole memory of {memory_size(overview)}"
    sentences = [
        say_made(made),
        f"It answers {percent(found.whole_memory)} of {count(found.images, 'test image')} right"
        f"{whole}; {wrong:,} {'answer is' if wrong == 1 else 'answers are'} wrong. With so many "
        f"test images, the accuracy on new images of the same kind is between {percent(low)} and "
        f"{percent(high)} (95% interval).",
    ]
    known = None if found.known is None else say_known(found.known)
    if known is not None:
        sentences.append(known)
    if found.reliance is not None and not decides(found.reliance):
        sentences += say_dependence(found.reliance)[-2:]
    if found.draws_mean is not None and found.draws_std is not None and found.draws is not None:
        images = count(made.drawn, "random stored image")
        sentences.append(
            f"By the paper's way, with {images} for every {made.draw_batch:,} test images in place "
            f"of the whole memory, it is {percent(found.draws_mean)} "
            f"(mean of {len(found.draws)} passes, standard "
            f"deviation {100 * found.draws_std:.2f} percentage points)."
        )
    if overview.memory is None:
        sentences.append(
            "This model has no memory: there are no stored images to show, and no evidence to "
            "measure."
        )
    return tuple(sentences)


def say_all_evidence(found: Evaluation) -> tuple[str, ...]:
    """Say what the measures of the evidence mean, and how far answers hang on it."""
    sentences = () if found.evidence is None else say_evidence(found.evidence)
    return sentences if found.reliance is None else (*sentences, *say_dependence(found.reliance))


def say_made(made: Made) -> str:
    """Say how the run was made."""
    other = "" if made.measured_on == made.trained_on else f"; measured on {made.measured_on}"
    head = find_head(made.variant)
    kind = head.title if head.has_memory else "no memory"
    return (
        f"Trained on {count(made.train_images, 'training image')} from {made.trained_on}: encoder "
        f"{made.encoder}, {kind}, seed {made.seed}{other}."
    )


def memory_size(overview: Overview) -> str:
    """Count the stored images."""
    return "" if overview.memory is None else count(overview.memory.size, "stored image")


def interval(hits: int, images: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share after Wilson (1927), which also holds for few images.

    >>> [round(end, 4) for end in interval(8, 10)], interval(0, 4)[0]
    ([0.4902, 0.9433], 0.0)
    """
    z, share = 1.959964, hits / images
    scale = 1 + z**2 / images
    middle = (share + z**2 / (2 * images)) / scale
    half = z * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2)) / scale
    low = 0.0 if hits == 0 else middle - half
    return low, 1.0 if hits == images else middle + half


def make_class_bars(overview: Overview) -> tuple[Bar, ...]:
    """Give every class a bar, or the worst ones where there are many."""
    totals = overview.confusion.sum(1).tolist()
    bars = []
    for place in choose_classes(overview):
        accuracy = overview.evaluation.per_class[place]
        name, images = overview.class_names[place], f"{totals[place]:,}"
        if accuracy is None:
            bars.append(Bar(name, 0.0, "no image", answer=False))
        else:
            bars.append(Bar(name, accuracy, f"{percent(accuracy)} of {images}", answer=True))
    return tuple(bars)


def choose_classes(overview: Overview) -> list[int]:
    """Take all classes in their order; of many only the ones with the lowest accuracy."""
    per_class = overview.evaluation.per_class
    if len(per_class) <= LARGEST:
        return list(range(len(per_class)))
    known = [place for place, accuracy in enumerate(per_class) if accuracy is not None]
    return sorted(known, key=lambda place: per_class[place] or 0.0)[:LARGEST]


def say_classes(overview: Overview) -> tuple[str, ...]:
    """Say which classes are shown where not all are."""
    total = len(overview.class_names)
    if total <= LARGEST:
        return ()
    shown = len(choose_classes(overview))
    return (f"The {shown} of {total:,} classes with the lowest accuracy.",)


def use_strip(overview: Overview, items: Sequence[Used], *, wrong: bool) -> Strip:
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
    return make_strip(cards, "")


def show_stored(index: int, overview: Overview) -> Card:
    """Show a stored image with label, own class and place."""
    return stored_card(index, overview.stored[index], overview.class_names)


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
    )


def suspicious_strip(overview: Overview, suspicious: Sequence[Suspicion]) -> Strip | None:
    """Show the most suspicious stored images with what speaks against their labels."""
    if not suspicious:
        return None
    names = overview.class_names
    cards = []
    for item in suspicious[:LISTED]:
        card = show_stored(item.index, overview)
        lines = (
            f"resembles {names[item.resembles]}",
            f"the model says {names[item.predicted]}",
            f"label probability {percent(min(1.0, item.probability))}",
            f"score {item.score:.2f}",
        )
        cards.append(replace(card, own="", lines=lines))
    more = len(suspicious) - len(cards)
    rest = f"Not shown: {count(more, 'stored image')} with lower scores." if more else ""
    return make_strip(cards, rest)


def say_suspicious(suspicious: Sequence[Suspicion] | None) -> tuple[str, ...]:
    """Say what the list is, and what it is not."""
    if suspicious is None:
        return ()
    if not suspicious:
        return ("No stored image has a label that the other stored images speak against.",)
    images = count(len(suspicious), "stored image")
    return (
        f"{images} in all, most suspicious first: {LEFT}resembles{RIGHT} names the class whose "
        "stored images look most like it, the score says how much of the usual support for its "
        "label is missing, and the model's own class was computed with the image itself left out.",
        "This is a list to look at, not a list of errors: many of these labels will be right, on "
        "images that are unusual or hard. Wrong labels can be missing from it.",
    )


def make_cases(
    overview: Overview, answers: Sequence[Answer], sections: Sequence[Section]
) -> tuple[tuple[str, tuple[Case, ...]], ...]:
    """Group the hard cases by kind, each with a picture and where its explanation stands."""
    groups: dict[str, list[Case]] = {}
    names = overview.class_names
    columns = zip(overview.hard, answers, sections, strict=True)
    for number, (hard, answer, section) in enumerate(columns, 1):
        lines = [f"the model gives it {percent(hard.probability)}"]
        if hard.error_probability is not None:
            lines.append(f"probability of an error {percent(hard.error_probability)}")
        truth = "right" if hard.truth == hard.predicted else f"it is {names[hard.truth]}"
        groups.setdefault(KINDS[hard.kind], []).append(
            Case(
                number=number,
                picture=draw(answer.image, "", smallest=72, largest=96),
                name=section.name,
                predicted=names[hard.predicted],
                truth=truth,
                lines=tuple(lines),
            )
        )
    return tuple((kind, tuple(cases)) for kind, cases in groups.items())
