"""The page of two runs on the same images."""

from collections.abc import Sequence

from torch import Tensor

from whence.messages import count
from whence.records.answers import Evidence
from whence.records.compared import Compared, MovedImage, ShownAnswer
from whence.records.explained import Origin
from whence.report.blocks import (
    Card,
    NumberTable,
    Page,
    PageBlock,
    PageSection,
    TableCell,
    TableRow,
)
from whence.report.cards import ROLES, draw_picture, make_strip, name_label, name_place
from whence.report.compared import (
    SIDE_ROWS,
    say_both_answers,
    say_changed,
    say_drift,
    say_shared,
    say_stored_moves,
    write_side,
)
from whence.report.numbers import percent
from whence.report.page import list_facts, list_words, note_all, render_page

COMMON_WORDS = (
    ("stored image", "a training image in the memory that a model reads to answer"),
    (
        "drift",
        "whether the images are as near to the stored images as those are to each other; far "
        "images are answered from evidence that resembles them little",
    ),
    (
        "chance, p",
        "how often one of the images is farther from the stored ones than one of the images that "
        "it is compared with (0.5: they are alike), and how often luck alone would make so large "
        "a difference (Mann and Whitney's test)",
    ),
    (
        "probability of an error",
        "that an answer is wrong, calibrated on the validation images of the run; the AUROC says "
        "how well it tells wrong answers from right ones (0.5 is a coin), the ECE how far it is "
        "from the share that is wrong",
    ),
)

CHANGE_WORDS = (
    ("weight", "a stored image's share of what was read; all weights of an answer are 100%"),
    ("example", "a stored image that the run itself puts in the class of its answer"),
    ("counterfactual", "one that took part although the run itself puts it in another class"),
    (
        "weight shared",
        "for every stored image the smaller of its weights in both answers, added up: 100% when "
        "both runs read the same images alike, 0% when they read none in common",
    ),
    ("came, went", "stored images that only the second, or only the first run has"),
)
"""Words of a page of two runs."""


def render_compared(found: Compared, origin: Origin) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        found: the comparison.
        origin: what it was computed from, for the foot of the page.

    Returns:
        HTML; every name and file name in it is escaped.
    """
    runs = [side.run for side in found.sides]
    title = f"{runs[0]} on {found.data}" if len(runs) == 1 else f"From {runs[0]} to {runs[1]}"
    words = COMMON_WORDS if len(runs) == 1 else (*COMMON_WORDS, *CHANGE_WORDS)
    head: tuple[str, ...] = (f"Both runs answered the images of {found.data}.", say_changed(found))
    if len(runs) == 1:
        head = (f"How far the images of {found.data} are from what the run has stored.",)
    else:
        head = (*head, *say_shared(found), say_stored_moves(found))
    sections = [measure_section(found)]
    if found.shown:
        sections.append(changed_section(found))
    sections += moved_sections(found)
    return render_page(
        Page(
            title=title,
            head=(PageBlock(sentences=head), *note_all(origin)),
            sections=tuple(sections),
            foot=(list_words(*words), list_facts(origin)),
        )
    )


def measure_section(found: Compared) -> PageSection:
    """Show the measures of both runs beside each other, and the drift of the images."""
    rows = []
    for name, text in SIDE_ROWS:
        if any(getattr(side, name) is not None for side in found.sides):
            cells = tuple(TableCell(write_side(side, name)) for side in found.sides)
            rows.append(TableRow(text, "", cells))
    stored = tuple(TableCell(f"{side.stored:,}") for side in found.sides)
    rows.append(TableRow("stored images", "", stored))
    header = tuple(side.run for side in found.sides)
    table = NumberTable("Measures of the runs", header, tuple(rows))
    drift = tuple(sentence for one in found.drift for sentence in say_drift(one))
    blocks = [PageBlock(shown=(table,))]
    if drift:
        blocks.append(PageBlock("Are the images like those it was trained on?", drift))
    return PageSection("measures", "Accuracy, calibration, drift", tuple(blocks), jump="Measures")


def changed_section(found: Compared) -> PageSection:
    """Show changed answers with the evidence of both runs."""
    blocks = tuple(show_both_answers(one, found) for one in found.shown)
    more = len(found.changed) - len(found.shown)
    if more > 0:
        blocks += (PageBlock(sentences=(f"Not shown: {count(more, 'changed answer')}.",)),)
    return PageSection("changed", "Answers that changed", blocks, jump="Changed answers")


def show_both_answers(one: ShownAnswer, found: Compared) -> PageBlock:
    """Show an image and the stored images of highest weight of each run."""
    runs = [side.run for side in found.sides]
    alt = f"{one.answer.name}, the image asked about"
    cards = [Card("input", "this image", draw_picture(one.image, alt), place=one.answer.name)]
    for run, evidence in zip(runs, one.evidence, strict=True):
        cards += [show_read(run, item, image, found.class_names) for item, image in evidence]
    said = say_both_answers(one.answer, found.class_names)
    return PageBlock(one.answer.name, (said,), shown=(make_strip(cards),))


def show_read(run: str, item: Evidence, image: Tensor | None, classes: Sequence[str]) -> Card:
    """Show a stored image that a run read."""
    label, place = name_label(item.label, classes), name_place(item.index, item.source)
    alt = f"{place}, labelled {label}, weight {percent(item.weight)} in {run}"
    return Card(
        role=item.role,
        badge=f"{run}: {ROLES[item.role]}",
        picture=None if image is None else draw_picture(image, alt),
        label=label,
        lines=(f"weight {percent(item.weight)}",),
        place=place,
    )


def moved_sections(found: Compared) -> list[PageSection]:
    """Show the stored images that got another label, those that came, and those that went."""
    sections = []
    changed = "Stored images with another label"
    for anchor, title, images, total in (
        ("relabelled", changed, found.relabelled, found.relabelled_count),
        ("came", "Stored images that came", found.came, found.came_count),
        ("went", "Stored images that went", found.went, found.went_count),
    ):
        if images:
            more = total - len(images)
            rest = f"Not shown: {count(more, 'stored image')} used less." if more else ""
            strip = make_strip([show_move(one, found.class_names) for one in images], rest)
            block = PageBlock(
                sentences=("Their weights are added up over all answers; most used first.",),
                shown=(strip,),
            )
            sections.append(PageSection(anchor, title, (block,), jump=title))
    return sections


def show_move(one: MovedImage, classes: Sequence[str]) -> Card:
    """Show a stored image that one run alone has, or has with another label."""
    label, place = name_label(one.label, classes), name_place(one.index, one.file)
    picture = None if one.image is None else draw_picture(one.image, f"{place}, labelled {label}")
    was = () if one.was is None else (f"was {classes[one.was]}",)
    return Card(
        role="stored",
        badge="",
        picture=picture,
        label=label,
        lines=(*was, f"total weight {one.weight:.3g}"),
        place=place,
    )
