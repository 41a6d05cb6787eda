"""The block on what a person corrected before a run, and what came of it."""

from whence.messages import count, format_number
from whence.records.overview import Corrected
from whence.report.blocks import NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import percent

LISTED_CHANGES = 40


def show_corrected(found: Corrected) -> tuple[PageBlock, ...]:
    """Say how many labels were corrected, which, and the accuracy before and after."""
    blocks = [PageBlock(sentences=say_corrected(found))]
    if found.before is not None and found.after is not None:
        rows = [
            TableRow(
                name,
                "",
                (
                    TableCell(percent(before)),
                    TableCell(percent(after)),
                    TableCell(f"{format_number(100 * (after - before), '+.2f')} points"),
                ),
            )
            for name, before, after in zip(
                ("accuracy", "balanced accuracy"), found.before, found.after, strict=True
            )
        ]
        header = ("before", "after", "change")
        table = NumberTable("Accuracy before and after", header, tuple(rows))
        blocks.append(PageBlock("On the same test images", shown=(table,)))
    if found.changed:
        rows = [
            TableRow(image, "", (TableCell(label), TableCell(corrected or "taken out")))
            for image, label, corrected in found.changed[:LISTED_CHANGES]
        ]
        rest = found.relabelled + found.removed - len(rows)
        table = NumberTable(
            "Corrected images",
            ("label before", "label now"),
            tuple(rows),
            caption=f"Not shown: {count(rest, 'image')}." if rest else "",
        )
        blocks.append(PageBlock("Corrected images", shown=(table,)))
    return tuple(blocks)


def say_corrected(found: Corrected) -> tuple[str, ...]:
    """Say what a person corrected."""
    said = [
        f"With {found.table}, {count(found.relabelled, 'label')} changed and "
        f"{count(found.removed, 'image')} {'was' if found.removed == 1 else 'were'} taken out."
    ]
    if found.confirmed:
        said.append(f"{count(found.confirmed, 'label')} looked at and left as they are.")
    return (" ".join(said),)
