"""What is to be seen: words in the colours of their relevance, and the sentences that voted."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from whence.messages import count
from whence.records.picture import NEGATIVE, POSITIVE
from whence.report.blocks import Card, PageBlock, PageSection, Strip
from whence.report.figures import to_bytes
from whence.report.numbers import percent
from whence.studies.text.ask_networks import VOTES_NAME

INCHES, LINE_INCHES, LINE_BEGINS, LINE_ENDS = 8.6, 0.3, 0.02, 0.99
"""Of the figure: its width, the height of a line of words, and where these begin and end."""

ABOUT_EVIDENCE = (
    "Votes answer with stored sentences: the share of a class is the weight of the stored "
    "sentences that carry it. Below, each asked sentence stands beside the stored ones with the "
    "most weight in its answer.",
)


def draw_words(examples: Sequence[Mapping[str, Any]], network: str) -> bytes:
    """Draw sentences with each word on the colour of its relevance, as in the publication.

    Args:
        examples: as ``keep_examples`` makes them.
        network: whose relevance it is.

    Returns:
        A PNG file. The colours of each sentence end at its largest relevance.
    """
    figure = Figure(figsize=(INCHES, LINE_INCHES * len(examples)))
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    wide = INCHES * figure.dpi
    lines = 0
    placed = []
    for one in examples:
        own = one["answers"][network]
        largest = max(map(abs, own["relevance"]), default=0) or 1
        start = LINE_BEGINS
        for word, value in zip(one["words"], own["relevance"], strict=True):
            text = figure.text(0, 0, word, fontsize=9, parse_math=False, va="center")
            width = text.get_window_extent(renderer).width / wide
            if start + width > LINE_ENDS:
                start, lines = LINE_BEGINS + 0.03, lines + 1
            text.set_bbox({"facecolor": tint(value / largest), "edgecolor": "none", "pad": 1.5})
            placed.append((text, start, lines))
            start += width + 0.008
        truth = "" if own["answer"] == one["label"] else f", but is {one['label']}"
        words = f"[{own['answer']}{truth}]"
        text = figure.text(0, 0, words, fontsize=9, va="center", fontweight="bold")
        if start + text.get_window_extent(renderer).width / wide > LINE_ENDS:
            start, lines = LINE_BEGINS + 0.03, lines + 1
        placed.append((text, start + 0.01, lines))
        lines += 1
    figure.set_figheight(LINE_INCHES * lines)
    for text, start, line in placed:
        text.set_position((start, 1 - (line + 0.5) / lines))
    return to_bytes(figure)


def tint(share: float) -> tuple[float, float, float]:
    """Mix white with red for a positive share in [-1, 1], with blue for a negative one.

    >>> tint(0.0)
    (1.0, 1.0, 1.0)
    """
    end = POSITIVE if share > 0 else NEGATIVE
    strength = 0.85 * min(1.0, abs(share))
    red, green, blue = (1 - strength * (1 - part / 255) for part in end)
    return red, green, blue


def show_sentence_evidence(examples: Sequence[Mapping[str, Any]]) -> tuple[PageSection, ...]:
    """Make a section of the page: asked sentences beside the stored ones that voted."""
    about = PageBlock(sentences=ABOUT_EVIDENCE)
    blocks = [
        PageBlock(shown=(Strip((make_asked_card(one), *make_voter_cards(one)), 190),))
        for one in examples
    ]
    return (PageSection("evidence", "Evidence sentences", (about, *blocks)),)


def make_asked_card(one: Mapping[str, Any]) -> Card:
    """Show a sentence that was asked about, with the answer of the votes."""
    own = one["answers"][VOTES_NAME]
    right = own["answer"] == one["label"]
    return Card(
        role="input",
        badge="asked",
        picture=None,
        label=f"answer: {own['answer']}",
        conflict="" if right else f"It is {one['label']}.",
        lines=(" ".join(one["words"]), f"share {percent(own['probability'])}"),
        share=own["probability"],
        place=count(one["voters"], "stored sentence") + " voted",
    )


def make_voter_cards(one: Mapping[str, Any]) -> tuple[Card, ...]:
    """Show the stored sentences of most weight."""
    answer = one["answers"][VOTES_NAME]["answer"]
    return tuple(
        Card(
            role="example" if stored["label"] == answer else "counterfactual",
            badge="stored",
            picture=None,
            label=stored["label"],
            lines=(" ".join(stored["words"]), f"weight {percent(stored['weight'])}"),
            share=stored["weight"],
        )
        for stored in one["evidence"]
    )
