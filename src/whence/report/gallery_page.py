"""The page of several attribution methods on the same images."""

from collections.abc import Sequence

from whence.messages import count
from whence.records.explained import Origin
from whence.records.gallery import Gallery
from whence.records.picture import draw_scale, to_data_uri
from whence.records.relevance import Relevance
from whence.report.blocks import (
    ColourScale,
    Contents,
    ContentsEntry,
    Glossary,
    Page,
    PageBlock,
    PageSection,
)
from whence.report.cards import draw_picture
from whence.report.gallery_blocks import anchor_of, attributed_section, name_method
from whence.report.numbers import percent
from whence.report.page import list_facts, list_words, note_all, render_page

ABOUT_COLOURS = (
    "Red pixels raise the number that is explained, blue pixels lower it, white pixels do neither. "
    "Below each map stands the number from which on a colour is full."
)
ABOUT_SCALES = (
    f"{ABOUT_COLOURS} Every method has a scale of its own: compare where the colours are, not how "
    "strong they look from one method to the next."
)

TRUST = (
    "A map says what the model used by one method's account, never whether the answer is right.",
    "Methods disagree, and none is right because it looks sharp or convincing: a map that follows "
    "every edge may show the image, not the reasons. Look for what several methods share.",
    "Compare with the control called random where it is on the page: a method that tells no more "
    "than it tells nothing.",
    "Where much is unexplained, or the lines of a bar are far longer than the score and cancel "
    "each other, the map is not reliable for this image.",
    "How far each method can be trusted on this model as a whole is measured by: "
    "whence faithfulness RUN.",
)

GALLERY_WORDS = (
    ("map", "one number for each pixel, in colour; the numbers of its colour channels are added"),
    (
        "score",
        "the number that is explained: the model's output for one class before it becomes a "
        "probability, or the difference of two such outputs",
    ),
    (
        "bar",
        "where the score went. What lowers it is left of the mark, what raises it right of it; "
        "the lines below name the pieces in order, and add up to the score",
    ),
    ("image, evidence", "what fell on the pixels of the image, and of its evidence images"),
    (
        "other lines",
        "what fell on no pixel: numbers that the network adds by itself (biases), or stored images "
        "that are not shown",
    ),
    ("unexplained", "what the method lost on the way; the smaller, the better"),
    (
        "no shares of the score",
        "the method says which pixels matter, not how much of the score each makes up, so that "
        "there is no bar",
    ),
    ("evidence", "a stored training image that the answer was computed with"),
)


def render_gallery(gallery: Gallery, origin: Origin, class_names: Sequence[str]) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        gallery: at least one image and one method.
        origin: what the maps were computed from, for the foot of the page.
        class_names: one name per class.

    Returns:
        HTML; every name and file name in it is escaped.
    """
    methods, images = gallery.images[0].relevance, gallery.images
    one = len(methods) == 1
    what = "an image" if len(images) == 1 else count(len(images), "image")
    sections = (
        *(
            attributed_section(gallery, asked, class_names, number)
            for number, asked in enumerate(images, 1)
        ),
        tell_methods(methods),
        *tell_left_out(gallery),
        PageSection(
            "trust", "When not to trust a map", (PageBlock(sentences=TRUST),), jump="trust"
        ),
    )
    ends = (("a pixel", "lowers the number", "raises it"),)
    scale = ColourScale("relevance", to_data_uri(draw_scale()), ends)
    return render_page(
        Page(
            title=f"What {count(len(methods), 'method')} {'says' if one else 'say'} of {what}",
            head=(
                PageBlock(sentences=(introduce_gallery(origin, one=one),)),
                PageBlock(sentences=(ABOUT_COLOURS if one else ABOUT_SCALES,), shown=(scale,)),
                *note_all(origin),
                *(() if len(images) == 1 else (list_attributed(gallery, class_names),)),
            ),
            sections=sections,
            foot=(list_words(*GALLERY_WORDS), list_facts(origin)),
        )
    )


def introduce_gallery(origin: Origin, *, one: bool) -> str:
    """Say what the page shows, by one method or by several."""
    how = (
        "by one method. Its name"
        if one
        else "by several methods. Each column is a method; its name"
    )
    text = (
        f"Which pixels counted for the run {origin.run}, {how} leads to one sentence on what its "
        "numbers mean."
    )
    if origin.has_memory:
        text += " Below each image are the stored training images that its answer was read from."
    return text


def tell_methods(methods: Sequence[Relevance]) -> PageSection:
    """Tell every column in one sentence, with its options."""
    blocks = tuple(
        PageBlock(name_method(one.method), (one.sentence,), anchor=anchor_of(one.method))
        for one in methods
    )
    return PageSection("methods", "What each method's numbers mean", blocks, jump="the methods")


def tell_left_out(gallery: Gallery) -> tuple[PageSection, ...]:
    """Say of each method that could not be used why."""
    if not gallery.reasons:
        return ()
    entries = tuple((name_method(name), reason) for name, reason in gallery.reasons.items())
    block = PageBlock(shown=(Glossary(entries, strong=True),))
    return (PageSection("left-out", "Methods that do not apply here", (block,), jump="left out"),)


def list_attributed(gallery: Gallery, classes: Sequence[str]) -> PageBlock:
    """Link to every image of the page."""
    entries = []
    for number, asked in enumerate(gallery.images, 1):
        predicted = asked.prediction.predicted
        share = percent(float(asked.prediction.probabilities[predicted]))
        entries.append(
            ContentsEntry(
                anchor=f"image-{number}",
                picture=draw_picture(asked.image, "", smallest=60, largest=120),
                name=asked.name,
                answer=f"{classes[predicted]} ({share})",
                lines=(f"explained: {asked.relevance[0].target[0]}",),
            )
        )
    return PageBlock(shown=(Contents("Images on this page", tuple(entries)),))
