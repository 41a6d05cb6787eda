"""How many of the most relevant pixels must be flipped until another class wins."""

import torch

from whence.metrics.attributed import Attributed
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, MeasuredFaithfulness
from whence.metrics.pixel_order import count_hidden, mark_first, order_pixels


def class_flip(
    attributed: Attributed,
    *,
    generator: torch.Generator,
    steps: int = 100,
    other: int | None = None,
) -> MeasuredFaithfulness:
    """Flip pixels, the most relevant first, until the answer is another class.

    Bach, Binder, Montavon, Klauschen, Mueller and Samek (2015), "On pixel-wise explanations for
    non-linear classifier decisions by layer-wise relevance propagation", section on MNIST: a
    flipped pixel is as far below the highest value as it was above the lowest.

    Args:
        attributed: images and their relevance.
        generator: of the order of pixels with the same relevance.
        steps: numbers of flipped pixels that are tried, up to all of them.
        other: the class that must be more probable than the explained one; None takes any.

    Returns:
        Shares of the pixels, lower is better; 1 also where the answer stays to the end.

    Raises:
        ValueError: if there is no such class.
    """
    order = order_pixels(attributed.relevance, generator)
    height, width = attributed.relevance.shape[1:]
    pixels = height * width
    flipped = attributed.low + attributed.high - attributed.images
    found = torch.ones(len(order), dtype=torch.float64)
    waiting = torch.arange(len(order))
    for count in count_hidden(pixels, min(steps, pixels)):
        marked = mark_first(order[waiting], count, (height, width))[:, None]
        variants = flipped[waiting].where(marked, attributed.images[waiting])
        logits, classes = attributed.logits(variants, waiting), attributed.classes[waiting]
        if other is not None and not 0 <= other < logits.shape[1]:
            raise ValueError(f"other must be in 0 to {logits.shape[1] - 1}, got {other}.")
        if other is None:
            lost = logits.argmax(1) != classes
        else:
            lost = logits[:, other] > logits.gather(1, classes[:, None])[:, 0]
        found[waiting[lost]] = count / pixels
        waiting = waiting[~lost]
        if len(waiting) == 0:
            break
    return MeasuredFaithfulness(found)


CLASS_FLIP = FaithfulnessMeasure(
    "class_flip",
    class_flip,
    better="lower",
    question="Which share of the pixels must be flipped (black to white), the most relevant first, "
    "until another class wins.",
)
