"""The page of a study: its claim, what was found, the table, the figures."""

import base64
from collections.abc import Mapping
from typing import Any

from whence.report.blocks import (
    Glossary,
    Illustration,
    NumberTable,
    Page,
    PageBlock,
    PageSection,
    TableCell,
    TableRow,
)
from whence.report.embedded import Picture
from whence.report.page import render_page
from whence.studies.parts.findings import Findings, StudyFigure, show_entry

FIGURE_WIDTH = 860
"""CSS pixels of a figure, where there is room."""


def render_findings(name: str, claim: str, source: str, findings: Findings) -> str:
    """Write a page that needs nothing but itself.

    Args:
        name: of the study.
        claim: what it tests.
        source: who published that.
        findings: what was found.
    """
    held = {True: "It was borne out here.", False: "It was not borne out here in full.", None: ""}
    head = (
        PageBlock(
            sentences=(f"After {source}." if findings.holds is None else f"{claim} ({source})",),
        ),
        PageBlock(
            "What was found",
            tuple(filter(None, (held[findings.holds], findings.verdict, *findings.sentences))),
            tone="plain" if findings.holds is None else "calm" if findings.holds else "careful",
        ),
    )
    numbers = PageSection(
        "numbers", "The numbers", (PageBlock(shown=(tabulate_findings(findings),)),)
    )
    pictures = PageBlock(shown=tuple(show_figure(figure) for figure in findings.figures))
    figures = (PageSection("figures", "What it looks like", (pictures,)),)[: len(findings.figures)]
    facts = tuple(
        (write_as_words(word), show_fact(fact)) for word, fact in findings.made_with.items()
    )
    foot = (PageBlock("What it was made with", shown=(Glossary(facts),)),) if facts else ()
    title = name.replace("_", " ").capitalize()
    return render_page(Page(title, head, (*figures, numbers, *findings.sections), foot))


def write_as_words(name: str) -> str:
    """Write the name of a setting as words."""
    return name.replace("_", " ")


def show_fact(fact: Any) -> str:
    """Write a setting for people, those that belong together in one line.

    >>> show_fact({"pair_steps": 1200, "rate": 5e-4, "crop": False})
    'pair steps 1,200, rate 0.0005, crop no'
    >>> show_fact((0.0, 0.5)), show_fact(None)
    ('0, 0.5', 'all')
    """
    if fact is None:
        return "all"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, Mapping):
        return ", ".join(f"{write_as_words(name)} {show_fact(one)}" for name, one in fact.items())
    if isinstance(fact, list | tuple):
        return ", ".join(map(show_fact, fact))
    return show_entry(fact) if isinstance(fact, int | float) else str(fact)


def tabulate_findings(findings: Findings) -> NumberTable:
    """Lay the table out for a page; its first columns name the rows."""
    names = count_names(findings)
    return NumberTable(
        label=findings.verdict,
        header=findings.columns[names:],
        rows=tuple(
            TableRow(
                ", ".join(filter(None, map(show_entry, row[:names]))),
                "",
                tuple(TableCell(show_entry(entry)) for entry in row[names:]),
            )
            for row in findings.rows
        ),
        caption=f"Rows: {', '.join(findings.columns[:names])}." if names > 1 else "",
    )


def count_names(findings: Findings) -> int:
    """Count the columns of text that it takes, from the first on, to tell the rows apart.

    >>> rows = (("rank", "mean", "linear", 1), ("rank", "largest", "linear", 2))
    >>> count_names(Findings(("mapping", "pooling", "kernel", "found"), rows, True, "Found."))
    2
    """
    names, most = 1, len(findings.columns) - 1
    while names < most and len({row[:names] for row in findings.rows}) < len(findings.rows):
        if not all(isinstance(row[names], str | None) for row in findings.rows):
            break
        names += 1
    return names


def show_figure(figure: StudyFigure) -> Illustration:
    """Show a figure as wide as the page."""
    text = base64.b64encode(figure.png).decode()
    uri = f"data:image/png;base64,{text}"
    return Illustration(Picture(uri, figure.caption, FIGURE_WIDTH, enlarged=False), figure.caption)
