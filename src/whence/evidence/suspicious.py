"""Stored images whose label is probably wrong, found from their features alone."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.bounds import BATCH_SIZE
from whence.evidence.held_out import PART, RIDGES, answer_held_out, divide_evenly
from whence.kinds import check_arguments
from whence.memory import VARIANT
from whence.memory.attend import attend
from whence.memory.bank import Bank
from whence.memory.cosine import cosine, unit_scale
from whence.models.classifier import Classifier
from whence.models.sound import check_given_features, check_outputs
from whence.models.using import encode_frozen
from whence.records.measures import Suspicion
from whence.shapes import check_batch_size

TEMPERATURE = 0.1
"""Of the votes: a cosine that is 0.1 higher counts 2.7 times as much."""

LEAST = 0.5
"""Listed from this score on: half of the usual support for the label is missing."""


class Ballots(NamedTuple):
    """What `R` stored images look like to the others."""

    predicted: Tensor  # (R,) int64
    probabilities: Tensor  # (R,) of the label
    masses: Tensor  # (R,) evidence weight on images of the label
    shares: Tensor  # (R, K), rows sum to one


@check_arguments
def find_suspicious(
    model: Classifier,
    *,
    least: float = LEAST,
    batch_size: int = BATCH_SIZE,
    features: Tensor | None = None,
) -> tuple[Suspicion, ...]:
    """List stored images whose label is probably wrong, most suspicious first.

    Two things support a label. Every labelled image votes for its label on every other image, with
    weight ``exp(10 cosine)`` of their features; and a ridge regression on all images but this one
    gives the label some probability (``answer_held_out``). Of each, images of one label get some
    share on average, and an image some part of that. The support is the geometric mean of the two
    parts, the score says how much of it is missing. Classes that are hard to tell apart have a low
    average, so that their images are not all suspicious.

    The model's own answer is told as well, but does not decide: it has seen the wrong labels in
    training. The fewer epochs an encoder was trained, the more of them are found. The features are
    those in the bank; only for a head whose keys are learned from the labels, as those of votes,
    stored images are encoded once again, as far as their pixels are kept.

    Images without a label neither vote nor are listed; neither is the only image of its label.

    Args:
        model: with a bank.
        least: score from which on an image is listed, in [0, 1]; 0 lists every labelled image.
        batch_size: images compared with the memory at once; changes memory use, not the result.
        features: `(M, D)` of the stored images, by which they are compared; None takes those that
            were said.

    Returns:
        The images listed, by falling score, equal ones by index.

    Raises:
        ValueError: for a standard model, or if ``least`` is out of range.
        RuntimeError: without a bank that fits the model, or if none of its images has a label.
    """
    if not model.has_memory:
        raise ValueError(
            "A standard model stores no images whose labels could be checked; "
            f'build it with variant="{VARIANT}".'
        )
    check_batch_size(batch_size)
    if features is not None:
        check_given_features("features", features, total=len(model.fitting_bank()), width=None)
    if not 0 <= least <= 1:
        raise ValueError(f"least must be in [0, 1], got {least}.")
    bank = model.fitting_bank()
    with torch.no_grad():
        if not bool((bank.labels >= 0).any()):
            raise RuntimeError(
                "The stored images have no labels that could be checked; "
                "give them with model.remember(memory_images, labels)."
            )
        groups = bank.groups
        rows = find_comparable(bank, groups)
        if len(rows) == 0:
            return ()
        plain = features
        if plain is None:
            plain = find_plain_features(model, bank, batch_size=batch_size)
        lengths = unit_scale(plain)  # (M,)
        parts = [
            collect_votes(model, bank, groups, part, plain, lengths)
            for part in rows.split(batch_size)
        ]
        held_out = compare_held_out(plain, bank.labels, groups, len(model.class_names))[rows]
    votes = Ballots(*(torch.cat(column) for column in zip(*parts, strict=True)))
    return describe(bank, rows, votes, held_out, least)


def find_plain_features(model: Classifier, bank: Bank, *, batch_size: int) -> Tensor:
    """Return features `(M, D)` of the stored images that know as little of labels as can be had."""
    if not model.memory_head.reads_labels or bank.images is None:
        return bank.features
    return encode_frozen(model, bank.images, batch_size=batch_size).to(bank.features.device)


def compare_held_out(features: Tensor, labels: Tensor, groups: Tensor, classes: int) -> Tensor:
    """Compare what a regression on the others says of every image with what is usual.

    Args:
        features: `(M, D)`.
        labels: `(M,)`, -1 for none; such images take no part.
        groups: `(M,)` numbers that copies share.
        classes: K.

    Returns:
        `(M, K)` as ``compare_with_usual``; 0 for images without a label.
    """
    known = (labels >= 0).nonzero().squeeze(1)
    numbers = divide_evenly(labels[known], -(-len(known) // PART))
    ridges: tuple[float, ...] = RIDGES
    found = torch.zeros(len(labels), classes, device=features.device)
    for number in range(int(numbers.max()) + 1):
        part = known[numbers == number]
        own = labels[part]
        shares, ridge = answer_held_out(features[part], own, groups[part], classes, ridges=ridges)
        found[part], ridges = compare_with_usual(shares, own), (ridge,)
    return found


def find_comparable(bank: Bank, groups: Tensor) -> Tensor:
    """List the places `(R,)` of labelled images that another image has the label of.

    Args:
        bank: of `M` stored images.
        groups: `(M,)` numbers that copies share; a copy is not another image.
    """
    pairs = torch.stack([bank.labels, groups], dim=1).unique(dim=0)  # (P, 2), each once
    different = (pairs[:, 0] + 1).bincount()  # (K + 1,) images of each label, without one first
    found: Tensor = (different[bank.labels + 1] > 1) & (bank.labels >= 0)  # (M,)
    return found.nonzero().squeeze(1)


def collect_votes(
    model: Classifier, bank: Bank, groups: Tensor, rows: Tensor, plain: Tensor, lengths: Tensor
) -> Ballots:
    """Ask the model and the other stored images about those at ``rows`` `(b,)`.

    Args:
        model: with the bank.
        bank: of `M` stored images.
        groups: `(M,)` numbers that copies share.
        rows: places of the images that are asked about.
        plain: `(M, D)` features that the other images vote by.
        lengths: `(M,)` scale of these for cosines.
    """
    queries, labels = bank.features[rows], bank.labels[rows]
    others = groups[rows, None] != groups  # (b, M)
    head = model.memory_head.without_decision()
    scale = bank.scale(head.similarity)
    asked, stored = head.pair(queries, bank.features, bank.labels)
    vectors, pairs = attend(
        asked,
        stored,
        similarity=head.similarity,
        mask=others,
        scale=scale,
        values=head.values(bank.features, bank.labels),
    )
    logits = head.respond(queries, vectors)
    check_outputs("logits", logits, head)
    same = bank.labels[pairs.places] == labels[pairs.rows]  # (N,)
    alike = cosine(plain[rows], plain, scale=lengths)  # (b, M)
    silent = ~others | (bank.labels < 0)
    ballots = (alike / TEMPERATURE).masked_fill(silent, -torch.inf).softmax(1)
    shares = ballots.new_zeros(logits.shape)  # (b, K)
    return Ballots(
        predicted=logits.argmax(1),
        probabilities=head.probabilities(logits).gather(1, labels[:, None]).squeeze(1),
        masses=vectors.new_zeros(len(rows)).index_add_(0, pairs.rows, pairs.weights * same),
        shares=shares.index_add_(1, bank.labels.clamp_min(0), ballots),
    )


def compare_with_usual(shares: Tensor, labels: Tensor) -> Tensor:
    """Divide each class's share of the votes by what images with that label get on average.

    Args:
        shares: `(R, K)`, rows sum to one.
        labels: `(R,)`.

    Returns:
        `(R, K)`, 1 where the share is the usual one, 0 in classes that no image here has.

    >>> shares = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    >>> compare_with_usual(shares, torch.tensor([0, 0, 1]))
    tensor([[1.5000, 0.5000],
            [0.5000, 1.5000],
            [1.0000, 1.0000]])
    """
    members = F.one_hot(labels, shares.shape[1]).to(shares.dtype)  # (R, K)
    usual = (members * shares).sum(0) / members.sum(0)  # (K,), NaN without an image
    return (shares / usual).nan_to_num(nan=0.0)


def describe(
    bank: Bank, rows: Tensor, votes: Ballots, held_out: Tensor, least: float
) -> tuple[Suspicion, ...]:
    """Turn what is said of the images at ``rows`` into records of those listed, in their order.

    Args:
        bank: of the stored images.
        rows: `(R,)` places.
        votes: on them.
        held_out: `(R, K)` what a regression says of them, as part of what is usual.
        least: score from which on an image is listed.
    """
    labels = bank.labels[rows]
    relative = (compare_with_usual(votes.shares, labels) * held_out).sqrt()  # (R, K)
    scores = (1 - relative.gather(1, labels[:, None]).squeeze(1)).clamp_min(0)  # (R,)
    rivals = relative.scatter(1, labels[:, None], -torch.inf).argmax(1)
    stored = bank.stored(rows)
    columns = zip(
        [one.index for one in stored],
        labels.tolist(),
        votes.predicted.tolist(),
        rivals.tolist(),
        [one.source for one in stored],
        scores.tolist(),
        votes.probabilities.tolist(),
        votes.masses.tolist(),
        strict=True,
    )
    found = [suspicion for row in columns if (suspicion := Suspicion(*row)).score >= least]
    return tuple(sorted(found, key=lambda one: (-one.score, one.index)))
