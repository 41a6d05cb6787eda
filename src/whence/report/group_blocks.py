"""The section on groups: how good answers are for each, and what errors of the worst rest on."""

from dataclasses import replace

from whence.messages import count
from whence.records.by_group import ByGroup, GroupMeasures
from whence.records.overview import Overview
from whence.report.blocks import NumberTable, PageBlock, TableCell, TableRow
from whence.report.class_blocks import write_share
from whence.report.numbers import percent
from whence.report.overview_blocks import make_use_strip
from whence.report.trust import ABSENT

MOST_GROUPS = 20
"""Groups that the table has at most, the least accurate ones."""

FEW_CLASSES = 4
"""Classes up to which the recall of each has a column."""

GROUP_WORDS = {
    "reliance": "reliance is how much of an answer comes from the memory",
    "doubt": "doubt is the mean calibrated probability of an error, to be compared with the share "
    "of wrong answers",
    "own_weight": "own evidence is the weight of an answer on stored images of the same group",
}


def show_groups(overview: Overview, found: ByGroup) -> tuple[PageBlock, ...]:
    """Show the answers group by group, and the stored images in errors of the worst group."""
    blocks = [PageBlock(sentences=say_groups(found), shown=(tabulate_groups(overview, found),))]
    worst = found.find(found.worst)
    if found.misleading:
        strip = make_use_strip(overview, found.misleading, wrong=True)
        of = dict(found.stored_groups)
        pairs = zip(strip.cards, found.misleading, strict=True)
        cards = tuple(
            replace(card, lines=(*card.lines, f"group {of[one.index]}"))
            if one.index in of
            else card
            for card, one in pairs
        )
        blocks.append(
            PageBlock(
                f"What the errors in {worst.name} rest on",
                say_misleading_groups(worst),
                shown=(replace(strip, cards=cards),),
            )
        )
    return tuple(blocks)


def say_groups(found: ByGroup) -> tuple[str, ...]:
    """Say which group is the worst, how far it is from the others, and what the columns mean."""
    worst = found.find(found.worst)
    others = [one for one in found.groups if one.name != worst.name]
    images, right = sum(one.images for one in others), sum(one.right for one in others)
    sentences = [
        f"The least accurate group is {worst.name}: {write_share(worst.right, worst.images)} of "
        f"its images are answered right, of all others {write_share(right, images)}. The groups "
        f"are from {found.origin}."
    ]
    words = [
        text
        for name, text in GROUP_WORDS.items()
        if any(getattr(one, name) is not None for one in found.groups)
    ]
    if words:
        first, *rest = words
        sentences.append("; ".join([first[0].upper() + first[1:], *rest]) + ".")
    if len(found.groups) > MOST_GROUPS:
        sentences.append(f"The {MOST_GROUPS} least accurate of {len(found.groups):,} groups.")
    return tuple(sentences)


def tabulate_groups(overview: Overview, found: ByGroup) -> NumberTable:
    """Lay the measures of the groups out, the least accurate one first."""
    names = overview.class_names
    few = len(names) <= FEW_CLASSES
    header = ["right", *(f"recall of {name}" for name in names if few)]
    if not few:
        header.append("balanced accuracy")
    optional = [
        (name, word)
        for name, word in (
            ("reliance", "reliance"),
            ("doubt", "doubt"),
            ("own_weight", "own evidence"),
        )
        if any(getattr(one, name) is not None for one in found.groups)
    ]
    header += [word for _, word in optional]
    rows = []
    for one in found.groups[:MOST_GROUPS]:
        texts = [percent(one.accuracy)]
        texts += list(map(write_optional, one.recalls)) if few else [write_balanced(one)]
        texts += [write_optional(getattr(one, name)) for name, _ in optional]
        stored = "" if one.stored is None else f", {one.stored:,} stored"
        about = f"{count(one.images, 'image')}{stored}"
        rows.append(TableRow(one.name, about, tuple(TableCell(text) for text in texts)))
    return NumberTable("Accuracy of every group", tuple(header), tuple(rows))


def write_balanced(one: GroupMeasures) -> str:
    """Write the mean recall over the classes that a group has images of."""
    known = [recall for recall in one.recalls if recall is not None]
    return percent(sum(known) / len(known))


def write_optional(share: float | None) -> str:
    """Write a share that may be missing."""
    return ABSENT if share is None else percent(min(1.0, share))


def say_misleading_groups(worst: GroupMeasures) -> tuple[str, ...]:
    """Say what the strip shows."""
    wrong = worst.images - worst.right
    return (
        f"The stored images that carry most weight in the {count(wrong, 'wrong answer')} of this "
        "group. Images that stand far above the others are worth a look: a wrong label among them, "
        "or an image unlike its class, misleads the whole group.",
        "Bars compare with the first image.",
    )
