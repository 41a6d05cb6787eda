"""One self-contained HTML page, written from its blocks."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from whence.records.explained import Origin
from whence.report.blocks import Glossary, Page, PageBlock


def render_page(page: Page) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        page: what it shows.

    Returns:
        HTML; every name and file name in it is escaped.
    """
    environment = Environment(
        loader=PackageLoader("whence.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(page=page)


def note_all(origin: Origin) -> tuple[PageBlock, ...]:
    """Repeat what concerns all images of a page."""
    return (PageBlock(sentences=origin.notes, tone="note"),) if origin.notes else ()


def list_facts(origin: Origin) -> PageBlock:
    """List what answers were computed from, so that they can be computed again."""
    return PageBlock("What the answers were computed from", shown=(Glossary(origin.facts),))


def list_words(*words: tuple[str, str]) -> PageBlock:
    """Explain the words of a page."""
    return PageBlock("How to read this page", shown=(Glossary(words, strong=True),))


EVIDENCE_WORDS = (
    ("stored image", "a training image in the memory that the model reads to answer"),
    (
        "weight",
        "the stored image's share of what was read; all weights together are 100%",
    ),
    (
        "similarity",
        "how alike the model finds the stored image and the image asked about, before weights "
        "are given",
    ),
    ("example", "a stored image that the model itself puts in the class of its answer"),
    (
        "counterfactual",
        "a stored image that took part although the model itself puts it in another class",
    ),
    (
        "evidence",
        "what the answer was computed with; it does not prove that the answer is right",
    ),
)
"""Words of every page with stored images."""
