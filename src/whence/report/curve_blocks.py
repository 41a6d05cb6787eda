"""The blocks on what the probability of a class finds at every threshold."""

from collections.abc import Sequence

from whence.messages import count
from whence.records.class_curves import ClassCurve, ThresholdTable
from whence.records.measures import Evaluation
from whence.report.blocks import LinePlot, NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import percent
from whence.report.plots import STYLES, Points, plot_lines

MARKS = [(part / 5, f"{part / 5:.0%}") for part in range(6)]

CURVE_WORDS = (
    "Each class is ranked by its probability against all others. AUROC says how often an image of "
    "the class has a higher probability of it than another image (0.5 is a coin); average "
    "precision is the mean precision over all recalls (a coin has the share of the class)."
)


def show_class_curves(found: Evaluation) -> tuple[PageBlock, ...]:
    """Draw ROC and precision-recall curves, and lay out what thresholds give."""
    blocks: list[PageBlock] = []
    if found.curves:
        drawn = choose_curves(found.curves)
        hidden = len(found.curves) - len(drawn)
        less = f"Drawn are the {len(drawn)} classes of lowest AUROC." if hidden else ""
        blocks.append(
            PageBlock(
                "What the probabilities find",
                (CURVE_WORDS, less) if less else (CURVE_WORDS,),
                shown=(plot_roc(drawn), plot_precision(drawn), table_rankings(found.curves)),
            )
        )
    if found.thresholds is not None:
        blocks.append(show_thresholds(found.thresholds))
    return tuple(blocks)


def choose_curves(curves: Sequence[ClassCurve]) -> list[ClassCurve]:
    """Take all classes in their order, of many those of lowest AUROC."""
    if len(curves) <= len(STYLES):
        return list(curves)
    return sorted(curves, key=lambda curve: curve.auroc)[: len(STYLES)]


def plot_roc(curves: Sequence[ClassCurve]) -> LinePlot:
    """Draw the share of a class that is found over the share of others taken for it."""
    lines = [(one.name, pair(one.false_alarms, one.hits)) for one in curves]
    return plot_lines(
        lines,
        ends=(0.0, 1.0),
        ticks=MARKS,
        percent=True,
        title="ROC curves",
        label="Share of the images of a class that are found, over the share of other images that "
        "are taken for it, for every threshold",
        up_name="images of the class found",
        across_name="other images taken for it",
        caption="The nearer a line is to the upper left, the better; a coin is the diagonal.",
    )


def plot_precision(curves: Sequence[ClassCurve]) -> LinePlot:
    """Draw precision over recall."""
    lines = [(one.name, step_down(one.recalls, one.precisions)) for one in curves]
    return plot_lines(
        lines,
        ends=(0.0, 1.0),
        ticks=MARKS,
        percent=True,
        title="Precision and recall",
        label="Share of the answers with a class that are right, over the share of its images that "
        "are found, for every threshold",
        up_name="answers with the class that are right",
        across_name="images of the class found",
        caption="The nearer a line is to the upper right, the better; the area below it is the "
        "average precision.",
    )


def step_down(recalls: Sequence[float], precisions: Sequence[float]) -> Points:
    """Draw precision as steps, each of which ends at the recall of its threshold.

    >>> step_down((0.5, 1.0), (0.75, 0.6))
    ((0.0, 0.75), (0.5, 0.75), (0.5, 0.6), (1.0, 0.6))
    """
    starts = (0.0, *recalls[:-1])
    steps = zip(starts, recalls, precisions, strict=True)
    return tuple(point for start, end, up in steps for point in ((start, up), (end, up)))


def pair(across: Sequence[float], up: Sequence[float]) -> Points:
    """Make points of places across and up."""
    return tuple(zip(across, up, strict=True))


def table_rankings(curves: Sequence[ClassCurve]) -> NumberTable:
    """Set AUROC and average precision of the classes side by side, with a coin's precision."""
    rows = [
        TableRow(
            one.name,
            "",
            (
                TableCell(f"{one.auroc:.3f}"),
                TableCell(f"{one.average_precision:.3f}"),
                TableCell(f"{one.images / (one.images + one.others):.3f}"),
                TableCell(f"{one.images:,}"),
            ),
        )
        for one in curves
    ]
    header = ("AUROC", "average precision", "that of a coin", "images")
    return NumberTable("AUROC and average precision of every class", header, tuple(rows))


def show_thresholds(table: ThresholdTable) -> PageBlock:
    """Show what answering a class from other thresholds on would give."""
    rows = [
        TableRow(
            f"from {percent(row.threshold)} on",
            "",
            (
                TableCell(write_part(row.found, table.images)),
                TableCell(write_part(row.found, row.found + row.false_alarms)),
                TableCell(f"{row.false_alarms:,}"),
                TableCell(f"{table.images - row.found:,}"),
                TableCell(f"{row.cost:,.6g}"),
            ),
            mark="used" if row.chosen else "",
        )
        for row in table.rows
    ]
    header = ("recall", "precision", "false alarms", "missed", "cost")
    return PageBlock(
        f"Thresholds for {table.name}",
        (
            f"What answering {table.name} from a probability on gives, for "
            f"{count(table.images, 'image')} of it and {count(table.others, 'other image')}. "
            f"{say_cost(table)} A threshold that is chosen on these images is flattered by them; "
            "choose it with --target-recall or --cost, on the validation images.",
        ),
        shown=(NumberTable(f"Thresholds for {table.name}", header, tuple(rows)),),
    )


def say_cost(table: ThresholdTable) -> str:
    """Say what the cost of a threshold is."""
    return (
        f"Missing an image costs {table.cost:g} and a false alarm 1."
        if table.cost != 1
        else "Every mistake costs 1."
    )


def write_part(part: int, whole: int) -> str:
    """Write a share, or nothing of nothing."""
    return percent(part / whole) if whole else "\N{EN DASH}"
