"""How far the answers of a run hang on its stored images, in sentences."""

from whence.records.measures import Reliance
from whence.report.numbers import percent

DECORATION_BOUND = 0.1
"""Share of right answers that change without their class, below which the evidence hardly decides.

Chosen between what was reported of frozen pretrained features: 1 to 6 % with Memory Wrap, 25 to
77 % with Only Memory. One run on solar cells with Only Memory had 18 %.
"""


LEAST_RIGHT = 30
"""Right answers below which nothing is concluded: of fewer, none may change by chance."""


def decides(reliance: Reliance) -> bool:
    """Say whether the evidence decides answers, as far as that was measured."""
    share, right = reliance.changed_share, reliance.right
    return share is None or right is None or right < LEAST_RIGHT or share >= DECORATION_BOUND


def say_dependence(reliance: Reliance) -> tuple[str, ...]:
    """Say how much of the answers comes from the memory, and what follows where that is little."""
    sentences = []
    alone = reliance.mean == 1  # by construction: the head is given nothing else
    if not alone:
        sentences.append(
            f"Of an answer, {percent(reliance.median)} comes from the stored images (median "
            f"reliance; for the middle half of the images {percent(reliance.lower_quartile)} to "
            f"{percent(reliance.upper_quartile)})."
        )
    if reliance.changed_share is not None:
        sentences.append(
            f"Without any stored image of the answered class, {reliance.changed:,} of "
            f"{reliance.right:,} right answers change ({percent(reliance.changed_share)})."
        )
    if decides(reliance):
        return tuple(sentences)
    if alone:
        sentences.append(
            "So these answers hardly depend on the class of the stored images that are shown: "
            "images of other classes lead to the same answers."
        )
    else:
        sentences.append(
            "So the evidence hardly decides: the stored images that are shown resemble the image, "
            "but the answer would mostly be the same without them. For answers that come from the "
            "evidence, train with --variant votes."
        )
    return tuple(sentences)
