"""The page of the ways from another class to images."""

from collections.abc import Sequence

from whence.records.explained import Origin
from whence.records.morphed import Morph
from whence.report.answer_blocks import say_verdict
from whence.report.blocks import Contents, ContentsEntry, Headline, Page, PageBlock, PageSection
from whence.report.cards import draw_picture
from whence.report.morph_blocks import show_ways
from whence.report.numbers import percent
from whence.report.page import list_facts, list_words, note_all, render_page

WORDS = (
    ("self, other", "the class of the answer, and the class where the path starts"),
    (
        "code",
        "the numbers that the autoencoder keeps of an image; decoding them makes an image again",
    ),
    (
        "morph",
        "an other that is made by changing the image's own code until the model is sure of the "
        "other class",
    ),
    (
        "nearest",
        "an other that is the training image of the other class whose code points most in the "
        "same direction",
    ),
    ("memory", "an other that is the stored counterfactual, which took part in the answer"),
    (
        "entropy",
        "how open the answer is between the two classes: 0 bits is sure, 1 bit is a coin",
    ),
    (
        "mask",
        "pixels that must follow the path, step by step, for self to gain; as few as possible",
    ),
    ("gain", "growth of the probability of self from one image of the path to the next"),
)


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
    one = len(morphs) == 1
    text = (
        f"Computed by the run {origin.run}. A path leads from an image of another class to the "
        "image asked about; every image on it is made by an autoencoder. The mask shows which "
        "pixels must follow the path for the answer to win."
    )
    contents = () if one else (list_morphs(morphs, class_names),)
    return render_page(
        Page(
            title="The way to an answer" if one else f"The ways to {len(morphs)} answers",
            head=(PageBlock(sentences=(text,)), *note_all(origin), *contents),
            sections=tuple(
                morph_section(morph, class_names, number) for number, morph in enumerate(morphs, 1)
            ),
            foot=(list_words(*WORDS), list_facts(origin)),
        )
    )


def morph_section(morph: Morph, classes: Sequence[str], number: int) -> PageSection:
    """Describe the ways to one image; ``number`` is its place on the page, from 1."""
    headline = Headline(
        pictures=((draw_picture(morph.image, f"{morph.name}, the image asked about"), ""),),
        answer=classes[morph.predicted],
        share=percent(float(morph.probabilities[morph.predicted])),
        verdict=say_verdict(morph.truth, morph.predicted, classes),
        right=morph.truth == morph.predicted,
    )
    notes = (PageBlock(sentences=morph.notes, tone="note"),) if morph.notes else ()
    blocks = (PageBlock(shown=(headline,)), *notes, *show_ways(morph, classes))
    return PageSection(f"image-{number}", morph.name, blocks)


def list_morphs(morphs: Sequence[Morph], classes: Sequence[str]) -> PageBlock:
    """Link to every image of the page."""
    entries = []
    for number, morph in enumerate(morphs, 1):
        share = percent(float(morph.probabilities[morph.predicted]))
        others = dict.fromkeys(classes[way.classes[1]] for way in morph.ways)
        lines = [f"from {', '.join(others)}" if others else "cannot be morphed"]
        verdict = say_verdict(morph.truth, morph.predicted, classes)
        entries.append(
            ContentsEntry(
                anchor=f"image-{number}",
                picture=draw_picture(morph.image, "", smallest=60, largest=120),
                name=morph.name,
                answer=f"{classes[morph.predicted]} ({share})",
                lines=(*lines, verdict) if verdict else tuple(lines),
            )
        )
    return PageBlock(shown=(Contents("Images on this page", tuple(entries)),))
