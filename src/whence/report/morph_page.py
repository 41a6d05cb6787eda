"""One self-contained HTML page: the ways from another class to images."""

from collections.abc import Sequence

from whence.records.explained import Origin
from whence.records.morphed import Morph
from whence.report.morph_section import make_morph
from whence.report.page import build_environment


def render_morphs(morphs: Sequence[Morph], origin: Origin, class_names: Sequence[str]) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        morphs: at least one, in the order in which they are shown.
        origin: what they were computed from, for the foot of the page.
        class_names: one name per class.

    Returns:
        HTML; every name and file name in it is escaped.

    Raises:
        ValueError: if there is none.
    """
    if not morphs:
        raise ValueError("morphs must hold at least one image, got none.")
    parts = tuple(make_morph(morph, class_names) for morph in morphs)
    one = len(parts) == 1
    title = "The way to an answer" if one else f"The ways to {len(parts)} answers"
    return (
        build_environment()
        .get_template("morph.html")
        .render(parts_of=parts, sections=(), origin=origin, title=title)
    )
