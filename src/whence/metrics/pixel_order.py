"""The order in which pixels are hidden, and curves of what an answer becomes on the way."""

from collections.abc import Callable

import torch
from torch import Tensor

from whence.metrics.attributed import Attributed, Refill, read_class
from whence.metrics.faithfulness_measure import MeasuredFaithfulness


def order_pixels(relevance: Tensor, generator: torch.Generator) -> Tensor:
    """Order pixels by relevance `(B, H, W)`, the highest first; `(B, H * W)` places.

    Pixels of equal relevance stand in an order that is drawn once for all images: as they lie in
    the image, the upper ones would always come first.
    """
    flat = relevance.flatten(1)
    mixed = torch.randperm(flat.shape[1], generator=generator, device=generator.device)
    mixed = mixed.to(flat.device)
    return mixed[flat[:, mixed].argsort(dim=1, descending=True, stable=True)]


def mark_first(order: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    """Mark the first of ordered pixels `(B, P)`; `(B, H, W)` bool."""
    marked = torch.zeros(order.shape, dtype=torch.bool)
    return marked.scatter(1, order[:, :count], True).view(-1, *size)


def count_hidden(pixels: int, steps: int) -> list[int]:
    """Say how many pixels are hidden after 0 to ``steps`` steps of equal size.

    >>> count_hidden(10, 4)
    [0, 2, 5, 8, 10]
    """
    return [round(pixels * step / steps) for step in range(steps + 1)]


def draw_curve(
    attributed: Attributed,
    read: Callable[[Tensor, Tensor], Tensor],
    counts: list[int],
    *,
    most_first: bool,
    generator: torch.Generator,
    refill: Refill | None = None,
) -> Tensor:
    """Hide more and more pixels, and read the answer every time.

    Args:
        attributed: images and their relevance.
        read: logits `(B, K)` and classes `(B,)` to a number each, `(B,)`.
        counts: S numbers of hidden pixels.
        most_first: begin with the most relevant pixels, else with the least relevant ones.
        generator: of the order of pixels with the same relevance.
        refill: what stands in their place; None is that of ``attributed``.

    Returns:
        `(B, S)` float64.
    """
    order = order_pixels(attributed.relevance, generator)
    order = order if most_first else order.flip(1)
    size = (attributed.relevance.shape[1], attributed.relevance.shape[2])
    fill = refill or attributed.refill
    heights = [
        read(
            attributed.answer(fill(attributed.images, mark_first(order, count, size))),
            attributed.classes,
        )
        for count in counts
    ]
    return torch.stack(heights, 1)


def average_fall(
    attributed: Attributed, *, most_first: bool, steps: int, generator: torch.Generator
) -> MeasuredFaithfulness:
    """Average by how much the score has fallen while pixels are hidden, `(B,)`, with the curve.

    Args:
        attributed: images and their relevance.
        most_first: begin with the most relevant pixels, else with the least relevant ones.
        steps: from the whole image to none of it.
        generator: of the order of pixels with the same relevance.
    """
    curve = draw_curve(
        attributed,
        read_class,
        count_hidden(attributed.relevance[0].numel(), steps),
        most_first=most_first,
        generator=generator,
    )
    return MeasuredFaithfulness((curve[:, :1] - curve).mean(1), curve)
