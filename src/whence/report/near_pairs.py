"""The block on near-duplicates: which images look the same, and what to do about them."""

from collections.abc import Sequence

from whence.messages import count
from whence.records.near_pairs import NearPair, NearPairs
from whence.report.blocks import NumberTable, PageBlock, TableCell, TableRow
from whence.report.numbers import percent

LISTED_PAIRS = 30
"""Pairs that a page lists; the rest is counted."""

SECTION = "Near-duplicates"


def show_near_pairs(found: NearPairs) -> tuple[PageBlock, ...]:
    """Say which images look the same within the memory and the measured images, and across."""
    if found.reason is not None:
        return (PageBlock(sentences=(found.reason,)),)
    across = [pair for pair in found.pairs if pair.across]
    clashing = [pair for pair in found.pairs if pair.differ and not pair.across]
    alike = [pair for pair in found.pairs if not pair.differ and not pair.across]
    blocks = [PageBlock(sentences=(say_pairs(found, across),))]
    for title, advice, pairs in (
        ("A stored image and a measured one", ACROSS, across),
        ("Two of one part with different labels", CLASHING, clashing),
        ("Two of one part with the same label", ALIKE, alike),
    ):
        if pairs:
            blocks.append(PageBlock(title, (advice,), shown=(list_pairs_found(pairs),)))
    return tuple(blocks)


ACROSS = (
    "Accuracy on such images says little about new ones. If they are of one object (a module, a "
    "patient), name it in a column group, so that it is never divided, and train again; if a file "
    "is there twice, take one out."
)
CLASHING = "At least one of the two labels is wrong, or the class hangs on a detail: look at both."
ALIKE = "They vote twice where one would do; take one out, or give both one group."


def say_pairs(found: NearPairs, across: Sequence[NearPair]) -> str:
    """Say how many pairs there are, and what the accuracy is without those across parts."""
    if not found.pairs:
        return "No two images look the same (by a perceptual hash of 256 bits)."
    what = (
        f"{count(len(found.pairs), 'pair')} of images look the same: their perceptual hashes "
        "differ in at most 12 of 256 bits."
    )
    if not across:
        return what
    others = found.accuracy_of_others
    without = "" if others is None else f"; of the others {percent(others)} are right"
    verb = "looks" if found.measured == 1 else "look"
    return f"{what} {count(found.measured, 'measured image')} {verb} like a stored one{without}."


def list_pairs_found(pairs: Sequence[NearPair]) -> NumberTable:
    """List pairs, nearest first."""
    rows = [
        TableRow(
            f"{pair.names[0]} \N{ALMOST EQUAL TO} {pair.names[1]}",
            "",
            (TableCell(" / ".join(dict.fromkeys(pair.labels))), TableCell(str(pair.distance))),
        )
        for pair in pairs[:LISTED_PAIRS]
    ]
    rest = len(pairs) - len(rows)
    caption = f"The first {len(rows)} of {len(pairs):,}." if rest else ""
    return NumberTable("Images that look the same", ("label", "bits"), tuple(rows), caption=caption)
