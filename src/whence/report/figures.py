"""Figures for papers and talks, laid out like figures 3 and 4 of La Rosa et al. (2021)."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from whence.messages import count
from whence.records.answers import Evidence
from whence.records.explained import Answer
from whence.records.picture import colour
from whence.report.cards import name_label
from whence.report.colours import find_colours
from whence.report.numbers import add_weights, percent

Grid = NDArray[np.object_]
"""Axes in rows and columns."""

COLUMNS = 8
"""Stored images side by side before a new line begins."""

SHOWN = 48
"""Stored images that a figure shows of one answer; the rest is counted."""

WIDEST = 22
"""Letters above a picture."""

CELL, LINE, DPI = 1.25, 0.13, 150
"""Inches of a picture's side and of a line of text; dots an inch."""


def draw_evidence(answers: Sequence[Answer], class_names: Sequence[str]) -> bytes:
    """Draw each image, then all stored images with a weight in order of weight.

    Args:
        answers: at least one; each begins a new line.
        class_names: one name per class.

    Returns:
        A PNG file.
    """
    lines = [-(-max(1, len(a.explanation.evidence[:SHOWN])) // COLUMNS) for a in answers]
    columns = 1 + max(min(COLUMNS, len(a.explanation.evidence)) for a in answers)
    figure, axes = make_grid([4] * sum(lines), columns)
    start = 0
    for answer, height in zip(answers, lines, strict=True):
        fill_evidence(axes[start : start + height], answer, class_names)
        start += height
    return to_bytes(figure)


def fill_evidence(
    axes: Grid,
    answer: Answer,
    classes: Sequence[str],
) -> None:
    """Draw one answer into lines of axes, the first column for the image itself."""
    explanation = answer.explanation
    show(axes[0, 0], answer.image, [classes[explanation.predicted], answer.name], bold=True)
    for place, item in enumerate(explanation.evidence[:SHOWN]):
        label = name_label(item.label, classes)
        words = [percent(item.weight), label]
        if item.label != item.predicted:
            words.append(f"model: {classes[item.predicted]}")
        if item.role == "counterfactual":
            words.append("counterfactual")
        show(axes[place // COLUMNS, 1 + place % COLUMNS], stored_image(item, answer), words)
    more = explanation.evidence[SHOWN:]
    if more:
        share = percent(add_weights(more))
        axes[-1, 0].text(
            0.5,
            0.5,
            f"and {count(len(more), 'more image')},\n{share} of the weight",
            ha="center",
            va="center",
            fontsize=7,
            parse_math=False,
        )


def draw_relevance(answers: Sequence[Answer], class_names: Sequence[str]) -> bytes:
    """Draw each image beside its example and counterfactual, positive relevance beneath.

    As in the paper only what speaks for the answer is coloured; the page shows both signs. The
    pictures of one answer share a colour scale, in which stored images may be coloured stronger
    by a factor that is written above them.

    Args:
        answers: at least one; two lines for each.
        class_names: one name per class.

    Returns:
        A PNG file.
    """
    figure, axes = make_grid([2, 1] * len(answers), 3)
    for row, answer in enumerate(answers):
        fill_relevance(axes[2 * row : 2 * row + 2], answer, class_names)
    return to_bytes(figure)


def fill_relevance(axes: Grid, answer: Answer, classes: Sequence[str]) -> None:
    """Draw one answer into two lines of three axes."""
    explanation, colours = answer.explanation, find_colours(answer)
    predicted = classes[explanation.predicted]
    show(axes[0, 0], answer.image, [predicted, answer.name], bold=True)
    if colours is not None:
        show_positive(axes[1, 0], colours.image, colours.limit, "")
    for column, role in enumerate(("example", "counterfactual"), start=1):
        item: Evidence | None = getattr(explanation, role)
        if item is None:
            show(axes[0, column], None, [f"no {role}"])
            continue
        words = [f"{role}, {percent(item.weight)}", name_label(item.label, classes)]
        show(axes[0, column], stored_image(item, answer), words)
        place = explanation.evidence.index(item)
        if colours is not None and place in colours.stored:
            relevance = colours.stored[place]
            text = f"{colours.factor:,} times stronger" if colours.factor > 1 else ""
            show_positive(axes[1, column], relevance, colours.limit / colours.factor, text)


def show_positive(axes: Axes, relevance: Tensor, limit: float, text: str) -> None:
    """Draw the positive part of relevance `(H, W)`, white at 0 and below."""
    show(axes, colour(relevance.clamp_min(0), limit), [text] if text else [])
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="silver", linewidth=0.5)


def stored_image(item: Evidence, answer: Answer) -> Tensor | None:
    """Find the pixels of an evidence image, None where the memory has none."""
    return answer.stored[item.index].image if item.index in answer.stored else None


def make_grid(lines: Sequence[int], columns: int) -> tuple[Figure, Grid]:
    """Make a figure of empty cells, without touching matplotlib's global state.

    Args:
        lines: lines of text above the pictures of every row.
        columns: pictures side by side.
    """
    heights = [CELL + LINE * (number + 1) for number in lines]
    figure = Figure(figsize=(columns * (CELL + 0.15), sum(heights)))
    FigureCanvasAgg(figure)
    axes = np.empty((len(lines), columns), dtype=np.object_)
    width, total, top = 1 / columns, sum(heights), 1.0
    margin = 0.075 / (CELL + 0.15) * width
    for row, height in enumerate(heights):
        bottom = top - height / total + 0.5 * LINE / total
        for column in range(columns):
            box = (column * width + margin, bottom, width - 2 * margin, CELL / total)
            axes[row, column] = figure.add_axes(box)
            axes[row, column].set_axis_off()
        top -= height / total
    return figure, axes


def show(axes: Axes, image: Tensor | None, words: Sequence[str], *, bold: bool = False) -> None:
    """Draw `(C, H, W)` pixels with short lines above; a grey box where there are no pixels."""
    text = "\n".join(shorten(word) for word in words)
    axes.set_title(
        text, fontsize=7, pad=3, parse_math=False, fontweight="bold" if bold else "normal"
    )
    if image is None:
        return
    pixels = image.cpu().permute(1, 2, 0).numpy()  # (H, W, C)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    axes.imshow(pixels, interpolation="nearest")


def shorten(text: str) -> str:
    """Cut the middle out of what is wider than a picture.

    >>> shorten("a_long_name_of_some_file.png")
    'a_long_na...e_file.png'
    """
    return text if len(text) <= WIDEST else f"{text[:9]}...{text[-10:]}"


def to_bytes(figure: Figure) -> bytes:
    """Encode a figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
