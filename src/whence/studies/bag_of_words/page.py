"""The page of the study: tiles, and which of their pixels speak for a polygon."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from whence.messages import format_number
from whence.records.picture import colour, find_limit
from whence.report.blocks import Card, PageBlock, PageSection, Strip
from whence.report.cards import draw_picture
from whence.studies.bag_of_words.tiles import Floats

ABOUT_HEATMAPS = (
    "A classifier was taught to find polygons, whether circles are there or not. It counts visual "
    "words: small patterns of edges, anywhere in a tile. Its decision is divided over the words, "
    "from these over the places where they were seen, and from these over the pixels.",
    "All tiles shown have a polygon and a circle; above each stands what the classifier answers.",
    "Red pixels speak for a polygon, blue ones against it. Each map has a scale of its own, with "
    "its end below. A map shows what the classifier used: red on a circle is a mistake of the "
    "classifier, or of a word that both shapes have, not of the map.",
)


class Heatmap(NamedTuple):
    """A tile `(H, W)` in [0, 1], the relevance of its pixels, and the decision they add up to."""

    image: Floats
    relevance: Floats
    decision: float


def show_heatmaps(maps: Mapping[str, Sequence[Heatmap]]) -> tuple[PageSection, ...]:
    """Make a section of the page for each classifier, below one that says how to read them."""
    about = PageSection("heatmaps", "Heatmaps", (PageBlock(sentences=ABOUT_HEATMAPS),))
    return about, *(
        PageSection(
            f"classifier-{number}",
            name,
            (PageBlock(shown=(Strip(tuple(make_tile_card(one) for one in some), 140),)),),
        )
        for number, (name, some) in enumerate(maps.items(), 1)
    )


def make_tile_card(one: Heatmap) -> Card:
    """Show a tile above its relevance."""
    grey = (torch.from_numpy(one.image)[None] * 255).round().to(torch.uint8)
    relevance = torch.from_numpy(one.relevance)
    limit = find_limit([relevance])
    side = {"smallest": 102, "largest": 128}
    return Card(
        role="stored",
        badge="a polygon" if one.decision > 0 else "no polygon",
        picture=draw_picture(grey, "tile with shapes", **side),
        lines=(f"decision {format_number(one.decision, '+.2f')}",),
        relevance=draw_picture(colour(relevance, limit), "relevance of its pixels", **side),
        relevance_sum=f"full colour at \N{PLUS-MINUS SIGN}{limit:.2g}",
    )
