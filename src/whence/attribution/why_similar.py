"""Which pixels of an image and of a stored one make the model find them alike."""

from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.attribute import check_request
from whence.attribution.baseline_images import PathStart, find_start
from whence.attribution.classifier_score import answer_all, stored_pixels
from whence.attribution.found import FoundRelevance
from whence.attribution.path import encode_along, midpoints, pull_back
from whence.attribution.record import ScoreFacts, record
from whence.attribution.score import differentiating
from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.kinds import check_arguments
from whence.memory import SIMILARITIES, VARIANT
from whence.memory.attention import at_least_float32
from whence.memory.bank import take_images
from whence.memory.heads import MemoryHead
from whence.messages import count
from whence.models.classifier import Classifier
from whence.records.relevance import Relevance


@check_arguments
def why_similar(
    model: Classifier,
    images: Images,
    *,
    rank: int = 0,
    steps: int = 32,
    baseline: str | Tensor = "white",
    batch_size: int = BATCH_SIZE,
) -> Relevance:
    """Say how much every pixel adds to the similarity of images to one of their evidence images.

    Integrated Gradients (Sundararajan, Taly and Yan, 2017, arXiv:1703.01365) of the similarity
    that the weights are made from, by the midpoint rule. Both images move from the baseline to
    themselves together.

    Args:
        model: with a bank.
        images: `(B, C, H, W)` uint8 or float in [0, 1]. An image that is itself stored does not
            read itself.
        rank: which evidence image, 0 is the one of highest weight.
        steps: points on the path; more make the sum more exact.
        baseline: where the path starts: a name from ``BASELINES``, or an image `(C, H, W)` in
            [0, 1].
        batch_size: how many images are encoded at once; changes memory use, not the result.

    Returns:
        Relevance on the CPU, in units of the similarity; of the evidence that of one image each.

    Raises:
        ValueError: on an unknown name, a number that is too small, no image, a standard model, a
            bank without pixels, or an image with too few evidence images.
        RuntimeError: if the model has no bank that fits it, or its encoder has no gradient.
    """
    points = midpoints(steps)
    asked = as_images(images, model).detach()
    check_request(model, asked, batch_size)
    start = find_start(baseline, asked, pixels=True)
    if rank < 0:
        raise ValueError(f"rank must be at least 0, the evidence of highest weight, got {rank}.")
    if not model.has_memory:
        raise ValueError(
            "A standard model has no evidence that an image could be similar to; "
            f'build it with variant="{VARIANT}".'
        )
    with differentiating(model):
        partners = find_partners(model, asked, rank, batch_size)
        parts = [
            explain_pairs(model, *pair, points, start, batch_size)
            for pair in zip(asked.split(batch_size), partners.split(batch_size), strict=True)
        ]
    maps, evidence, begin, end = (torch.cat(column) for column in zip(*parts, strict=True))
    name = f"{model.memory_head.similarity} similarity to evidence image {rank + 1}"
    return record(
        FoundRelevance(maps, evidence, say_pair(start, steps), start=begin, lines={}),
        ScoreFacts(end, (name,) * len(asked), [1] * len(asked)),
        "why_similar",
        {"rank": rank, "steps": steps, "baseline": baseline},
    )


def say_pair(start: PathStart, steps: int) -> str:
    """Say what was done."""
    points = count(steps, "step")
    return (
        "A pixel's number is its share of the change of the similarity of the two images on the "
        f"way from {start.words} to both as they are ({points}), in units of the similarity."
    )


def find_partners(model: Classifier, images: Tensor, rank: int, batch_size: int) -> Tensor:
    """Find the evidence image number ``rank`` of every image; `(B,)` places in the bank.

    Raises:
        ValueError: if an image has too few, with its number.
    """
    found = answer_all(model, images, batch_size).places
    for number, places in enumerate(found):
        if len(places) <= rank:
            raise ValueError(
                f"rank must be below {len(places)}, the number of evidence images of image "
                f"{number}, got {rank}."
            )
    return torch.stack([places[rank] for places in found])


class PairPart(NamedTuple):
    """The relevance of one batch of pairs, on the CPU."""

    images: Tensor  # (B, C, H, W)
    evidence: Tensor  # (B, C, h, w)
    start: Tensor  # (B,) the similarity of the baselines
    score: Tensor  # (B,) the similarity of the images


def explain_pairs(
    model: Classifier,
    images: Tensor,
    partners: Tensor,
    points: tuple[Tensor, Tensor],
    start: PathStart,
    batch_size: int,
) -> PairPart:
    """Add up the relevance of images `(B, C, H, W)` and their partners `(B,)` over ``points``."""
    images = images.to(model.mean.device)
    sides = images, take_images(stored_pixels(model.checked_bank()), partners)
    precision = torch.promote_types(model.mean.dtype, torch.float32)
    times, shares = (one.to(images.device, precision) for one in points)
    total, everything = len(images), torch.arange(len(images), device=images.device)
    maps = [times.new_zeros(side.shape) for side in sides]

    def differentiate_at(at: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = [
            encode_along(model, side, everything, at, start.of, batch_size=batch_size).flatten(0, 1)
            for side in sides
        ]
        return differentiate_pairs(model.memory_head, *features)

    together = max(1, batch_size // total)  # as many points as fill a batch
    for some, share in zip(times.split(together), shares.split(together), strict=True):
        _, gradients = differentiate_at(some)
        at, weight = (one.repeat_interleave(total) for one in (some, share))
        for result, side, gradient in zip(maps, sides, gradients, strict=True):
            repeated = side.repeat(len(some), 1, 1, 1)
            found = pull_back(model, repeated, at, weight[:, None] * gradient, start.of)
            result.add_(found.unflatten(0, (len(some), total)).sum(0))
    ends, _ = differentiate_at(times.new_tensor([0.0, 1.0]))
    begin, end = ends.view(2, total)
    return PairPart(maps[0].cpu(), maps[1].cpu(), begin.cpu(), end.cpu())


def differentiate_pairs(
    head: MemoryHead, queries: Tensor, partners: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Compare `(n, D)` with `(n, D)`, row by row; similarities `(n,)` and both gradients."""
    leaves = [at_least_float32(side).detach().requires_grad_() for side in (queries, partners)]
    with torch.autocast(queries.device.type, enabled=False):
        left, right = (leaf[:, None] for leaf in leaves)
        scores = SIMILARITIES[head.similarity](left, right)[:, 0, 0]
        return scores.detach(), list(torch.autograd.grad(scores.sum(), leaves))
