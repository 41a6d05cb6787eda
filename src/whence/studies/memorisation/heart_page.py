"""The verdict on a run, and the images whose labels it has learnt by heart."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from whence.metrics.bootstrap import MeanInterval
from whence.records.images import ImageSet
from whence.report.blocks import Card, PageBlock, PageSection
from whence.report.cards import draw_picture, make_strip, name_place
from whence.report.numbers import percent
from whence.studies.memorisation.count_heart import HeartCount
from whence.studies.parts.findings import Findings

SHOWN_BY_HEART = 24

ABOUT_BY_HEART = (
    "The run gives these images the labels that they have, but trainings without them give other "
    "answers: nothing in the other images speaks for these labels. Some are hard, and some are "
    "wrong. Look at them, the least likely label first."
)


def report_heart(
    images: ImageSet,
    counted: HeartCount,
    told: Tensor,
    given: Tensor,
    copies: int,
    made_with: Mapping[str, Any],
) -> Findings:
    """Lay out what a run has learnt by heart, class by class, with the images.

    Args:
        images: N training images.
        counted: which labels were learnt by heart.
        told: `(N,)` answers of the trainings without the image.
        given: `(N,)` probability of the given label, by them.
        copies: images that were never left out wholly.
        made_with: what it takes to find it again.
    """
    rows = []
    for label, name in enumerate(images.class_names):
        own = images.labels == label
        if bool(own.any()):
            hits = int(counted.by_heart[own].sum())
            rows.append((name, int(own.sum()), hits, hits / int(own.sum())))
    rows.append(("all", len(images), int(counted.by_heart.sum()), counted.share.mean))
    sentences = [
        f"It answers {percent(counted.inside)} of its training images as they are labelled; "
        f"trained again without them, {percent(counted.outside)}.",
        f"For comparison, {say_interval(counted.control)} of the labels are given by the run and "
        "not by a training that had the image but lacked another fifth: so many change by chance, "
        "or because there are fewer images.",
    ]
    if counted.share.low <= counted.control.high:
        sentences.append("The two shares do not differ clearly.")
    if copies:
        sentences.append(
            f"{copies:,} images have a copy in another fifth, so that they were never left out "
            "wholly; the share may be too low."
        )
    return Findings(
        columns=("class", "images", "learnt by heart", "share"),
        rows=tuple(rows),
        holds=None,
        verdict=f"This run has learnt {say_interval(counted.share)} of its labels by heart.",
        made_with=made_with,
        sentences=tuple(sentences),
        sections=show_by_heart(images, counted.by_heart, told, given),
    )


def say_interval(found: MeanInterval) -> str:
    """Write a share with its 95 % interval.

    >>> say_interval(MeanInterval(0.04, 0.02, 0.061))
    '4.0% (95% interval 2.0% to 6.1%)'
    """
    return f"{percent(found.mean)} (95% interval {percent(found.low)} to {percent(found.high)})"


def show_by_heart(
    images: ImageSet, by_heart: Tensor, told: Tensor, given: Tensor
) -> tuple[PageSection, ...]:
    """Show the images whose labels were learnt by heart, those of the least likely label first."""
    places = by_heart.nonzero().flatten()
    places = places[given[places].argsort(stable=True)]
    if len(places) == 0:
        return ()
    cards = []
    for place in places[:SHOWN_BY_HEART].tolist():
        label, other = (images.class_names[int(one[place])] for one in (images.labels, told))
        source = None if images.sources is None else images.sources[place]
        where = name_place(place, source)
        cards.append(
            Card(
                role="stored",
                badge="",
                picture=draw_picture(images.images[place], f"{where}, labelled {label}"),
                label=label,
                lines=(
                    f"without it: {other}",
                    f"{label} is then {percent(float(given[place]))} likely",
                ),
                place=where,
            )
        )
    left = len(places) - len(cards)
    strip = make_strip(cards, f"{left:,} more are not shown." if left else "")
    block = PageBlock(sentences=(ABOUT_BY_HEART,), shown=(strip,))
    return (PageSection("by-heart", "Learnt by heart", (block,)),)
