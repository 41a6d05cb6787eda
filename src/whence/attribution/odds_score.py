"""The log-odds of a class of votes by similarity, as a score of images and of what votes for it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from whence.attribution.classifier_score import ClassifierScore, answer_all
from whence.attribution.target import Target, TargetLike, find_classes
from whence.memory import SIMILARITIES
from whence.memory.bank import Bank
from whence.memory.votes import Votes
from whence.messages import quote
from whence.models.classifier import Classifier


class OddsOfVotes(NamedTuple):
    """A score of B images, and what it compares them with."""

    score: ClassifierScore
    voters: list[int]  # how many of each image's places have a vote
    compared: tuple[tuple[int, ...], ...]  # dataset indices of those that follow them


def has_odds(model: Classifier) -> bool:
    """Say whether a model's answers are votes, on stored images of two classes at least."""
    if not isinstance(model.head, Votes):
        return False
    return len(model.checked_bank().labels.unique()) > 1


def score_odds(
    model: Classifier, images: Tensor, target: TargetLike, *, batch_size: int
) -> OddsOfVotes:
    """Set the similarity to what votes for a class against that to what votes for another.

    Where nothing votes for one of the two, its most similar stored image takes that place.

    Args:
        model: of votes, in eval mode.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        target: None, a class or a list of classes, each set against the class that has the most
            votes beside it, or else the most similar image; or a pair of these.
        batch_size: images encoded at once.

    Raises:
        ValueError: if a class has no stored image, or the target is no class.
    """
    if callable(target):
        raise ValueError(
            "target must be a class or a pair of classes to be explained by similarity, not a "
            'function; pass score="logit".'
        )
    answered = answer_all(model, images, batch_size)
    bank, head = model.checked_bank(), model.memory_head
    wanted, against = target if isinstance(target, tuple) else (target, None)
    given = isinstance(target, tuple)
    names = model.class_names
    first = find_classes(wanted, answered.logits, names)
    second = find_classes(against, answered.logits, names) if given else None
    shares = head.probabilities(answered.logits)
    places, sides, words, compared = [], [], [], []
    for row, own in enumerate(answered.places):
        similar = rate_stored(model, answered.queries[row], answered.mask, row)  # (M,)
        one = int(first[row])
        other = find_other(shares[row], similar, bank, one) if second is None else int(second[row])
        if one == other:
            raise ValueError(
                f"target must be a pair of two classes, got {quote(names[one])} twice."
            )
        added = add_nearest((one, other), own, similar, bank, names)
        found = torch.cat([own, *added])
        labels = bank.labels[found]
        places.append(found)
        compared.append(tuple(int(bank.indices[place]) for place in added))
        sides.append((labels == one).int() - (labels == other).int())
        words.append(f"log-odds of {names[one]} against {names[other]} by similarity")
    score = ClassifierScore(
        model=model,
        target=Target(refuse_logits, tuple(words)),
        rows=torch.arange(len(images), device=answered.logits.device),
        values=answered.logits[:, 0],
        answers=head.decide(answered.logits),
        places=tuple(places),
        mask=answered.mask,
        batch_size=batch_size,
        sides=tuple(sides),
    )
    with torch.no_grad():
        values = score.read(answered.queries, None)
    voters = [len(own) for own in answered.places]
    return OddsOfVotes(score.with_values(values), voters, tuple(compared))


def refuse_logits(logits: Tensor, rows: Tensor) -> Tensor:
    """Refuse to make log-odds by similarity of logits, which have no similarities in them."""
    raise TypeError(f"The score must be made of similarities, got logits {tuple(logits.shape)}.")


def rate_stored(model: Classifier, query: Tensor, mask: Tensor | None, row: int) -> Tensor:
    """Compare a query `(D,)` with all stored images, `(M,)`; minus infinity for its copies."""
    bank, head = model.checked_bank(), model.memory_head
    with torch.no_grad():
        asked, stored = head.pair(query[None], bank.features, bank.labels)
        similar: Tensor = SIMILARITIES[head.similarity](asked, stored)[0]
    return similar if mask is None else similar.masked_fill(~mask[row], -torch.inf)


def find_other(shares: Tensor, similar: Tensor, bank: Bank, one: int) -> int:
    """Find the class with the most votes beside one, or else that of the most similar image."""
    others = shares.index_fill(0, torch.tensor([one], device=shares.device), 0)
    if float(others.max()) > 0:
        return int(others.argmax())
    place = int(similar.masked_fill(bank.labels == one, -torch.inf).argmax())
    return int(bank.labels[place])


def add_nearest(
    classes: Sequence[int], own: Tensor, similar: Tensor, bank: Bank, names: Sequence[str]
) -> list[Tensor]:
    """Find the most similar stored image of each class that has no vote, each `(1,)`.

    Raises:
        ValueError: if a class has no stored image.
    """
    found = []
    for one in classes:
        if bool((bank.labels[own] == one).any()):
            continue
        known = similar.masked_fill(bank.labels != one, -torch.inf)
        place = known.argmax(keepdim=True)
        if bool(known[place].isinf()):
            raise ValueError(
                f"target must be a class that has a stored image, {quote(names[one])} has none; "
                'pass score="logit".'
            )
        found.append(place)
    return found
