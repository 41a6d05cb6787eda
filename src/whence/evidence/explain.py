"""Answers with everything they were computed from."""

from dataclasses import asdict
from typing import Literal

import torch
from torch import Tensor

from whence.bounds import BATCH_SIZE, check_number
from whence.data.as_images import Images, as_images
from whence.evidence.judge import judge
from whence.evidence.leave_one_out import leave_one_out
from whence.evidence.predict import answer_without_memory, explain_read, list_left_out, name_answers
from whence.evidence.random_memories import Plan, measure_draws, plan_draws
from whence.evidence.reliance import measure_reliance
from whence.evidence.reread import Cached, cache, read_whole
from whence.kinds import check_arguments
from whence.memory.bank import Bank
from whence.memory.heads import Read
from whence.messages import format_number
from whence.models.classifier import Classifier
from whence.models.evaluating import evaluating
from whence.records.answer_tuple import AnswerTuple
from whence.records.answers import Draws, Evidence, Explanation, Prediction
from whence.shapes import check_batch_size

DRAWS = 20
DRAWN = 100
"""Images in a drawn memory, as in the paper; the whole bank where it holds fewer."""

LIKELY = 3
"""Classes of an answer, the most probable ones, that a nearest stored image is found for."""

NO_MEMORY = "A standard model has no memory."


@check_arguments
def explain(
    model: Classifier,
    images: Images,
    *,
    draws: int = DRAWS,
    memory_size: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> AnswerTuple[Explanation]:
    """Answer for images and show the stored images that each answer was computed from.

    La Rosa et al. (2021), arXiv:2106.01440, section 3.2. A stored image that is the very image to
    be explained (same content hash) is left out for it, and ``left_out`` says so. The class that
    the model itself gives a stored image was predicted once, when it was stored, so that examples
    and counterfactuals never change roles between calls.

    Args:
        model: with a bank, unless it is a standard model.
        images: `(B, C, H, W)` uint8 or float in [0, 1]; or arrays, PIL images, files, or a list of
            these. Files and PIL images are resized as those of a training folder are.
        draws: random memories to answer again with; 0 for none.
        memory_size: images in each of them; None is 100, or the whole bank where it holds fewer.
        seed: of these draws, which are the same for all images of a call.
        batch_size: images, and answers, computed at once; changes memory use, not the result.

    Returns:
        One explanation per image.

    Raises:
        RuntimeError: if the model has no bank that fits it.
        ValueError: if shapes, numbers or pixel values do not fit.
    """
    asked = as_images(images, model)
    check_batch_size(batch_size)
    check_number("draws", draws)
    check_number("seed", seed)
    found: list[Explanation] = []
    if len(asked) == 0:
        return AnswerTuple()
    with evaluating(model):
        plan = None
        if model.has_memory and draws:
            bank = model.checked_bank()
            size = min(DRAWN, len(bank)) if memory_size is None else memory_size
            plan = plan_draws(bank, draws=draws, memory_size=size, seed=seed)
        for batch in asked.split(batch_size):
            if model.has_memory:
                found += explain_batch(model, batch, plan, batch_size=batch_size)
            else:
                found += explain_without_memory(model, batch)
    return name_answers(model, asked, found)


def explain_batch(
    model: Classifier, images: Tensor, plan: Plan | None, *, batch_size: int
) -> list[Explanation]:
    """Explain one batch from features encoded once."""
    bank = model.checked_bank()
    cached = cache(model, images, batch_size=batch_size)
    read, answers = answer_cached(model, cached)
    without = leave_one_out(cached, read, bank.indices, batch_size=batch_size)
    logits = read.logits.float().cpu()
    misses = find_near_misses(cached, read, bank)
    reliance = measure_reliance(cached, read).tolist()
    nearest = find_nearest_of_classes(cached, read, bank)
    draws: list[Draws | None] = [None] * len(answers)
    if plan is not None:
        draws = [*measure_draws(cached, read, bank, plan)]
    return [
        assemble(
            answer,
            model.class_names,
            without=without[row],
            probabilities_without=cached.head.probabilities(logits[row] + without[row]),
            near_miss=misses[row],
            draws=draws[row],
            reliance=reliance[row],
            nearest=nearest[row],
        )
        for row, answer in enumerate(answers)
    ]


def answer_cached(model: Classifier, cached: Cached) -> tuple[Read, list[Prediction]]:
    """Answer for images that are compared with the bank already; what was read, and the records."""
    bank, read, hidden = model.checked_bank(), read_whole(cached), cached.scores.isneginf()
    left_out = [list_left_out(bank, row) for row in hidden]
    errors = judge(model, read, cached.queries, mask=~hidden)
    return read, explain_read(cached.head, read, bank, left_out, errors)


def answer_with_nearest(
    model: Classifier, images: Tensor, queries: Tensor
) -> list[tuple[Prediction, tuple[Evidence, ...]]]:
    """Answer for images that are encoded already, each with the nearest stored images.

    Args:
        model: in eval mode, with a bank unless it is a standard model.
        images: `(B, C, H, W)`.
        queries: `(B, E)` of them.

    Returns:
        For each image its answer, and the most similar stored image of each of its likeliest
        classes; none of a standard model.
    """
    with evaluating(model):
        if not model.has_memory:
            return [(one, ()) for one in answer_without_memory(model, queries)]
        cached = cache(model, images, batch_size=len(images), queries=queries)
        read, answers = answer_cached(model, cached)
        nearest = find_nearest_of_classes(cached, read, model.checked_bank())
    return list(zip(answers, nearest, strict=True))


def assemble(
    answer: Prediction,
    names: tuple[str, ...],
    *,
    without: Tensor,
    probabilities_without: Tensor,
    near_miss: Evidence | None,
    draws: Draws | None,
    reliance: float,
    nearest: tuple[Evidence, ...],
) -> Explanation:
    """Choose example and counterfactuals among the evidence, and say why one is missing."""
    examples = [item for item in answer.evidence if item.role == "example"]
    others: dict[int, Evidence] = {}
    for item in answer.evidence:
        if item.role == "counterfactual":
            others.setdefault(item.predicted, item)
    counterfactuals = tuple(others.values())
    name = names[answer.predicted]
    return Explanation(
        predicted=answer.predicted,
        probabilities=answer.probabilities,
        evidence=answer.evidence,
        threshold=answer.threshold,
        without=without,
        probabilities_without=probabilities_without,
        example=examples[0] if examples else None,
        example_reason=None if examples else describe_missing_example(answer, name),
        counterfactual=counterfactuals[0] if counterfactuals else None,
        counterfactual_reason=(
            None if counterfactuals else describe_missing_counterfactual(answer, names, near_miss)
        ),
        counterfactuals=counterfactuals,
        near_miss=None if counterfactuals else near_miss,
        left_out=answer.left_out,
        draws=draws,
        reliance=reliance,
        flag=answer.flag,
        error_probability=answer.error_probability,
        by_label=answer.by_label,
        nearest=nearest,
        decision=answer.decision,
        handicaps=answer.handicaps,
    )


def describe_missing_example(answer: Prediction, name: str) -> str:
    """Say why no stored image speaks for the answer."""
    total = len(answer.evidence)
    subject = "The one stored image" if total == 1 else f"All {total} stored images"
    verb = "is one" if total == 1 else "are ones"
    return f"{subject} with a weight above 0 {verb} that the model does not put in class {name}."


def describe_missing_counterfactual(
    answer: Prediction, names: tuple[str, ...], near_miss: Evidence | None
) -> str:
    """Say why no stored image speaks for another class, and how close the closest came."""
    total, name = len(answer.evidence), names[answer.predicted]
    subject = "The one stored image" if total == 1 else f"All {total} stored images"
    verb = "is one" if total == 1 else "are ones"
    text = f"{subject} with a weight above 0 {verb} that the model puts in class {name}, too"
    if near_miss is None:
        return f"{text}; the memory holds none of another class."
    least = min(item.similarity for item in answer.evidence)
    return (
        f"{text}; the most similar one of another class ({names[near_miss.predicted]}) has a "
        f"similarity of {format_number(near_miss.similarity, '.3f')}, the last one with a weight "
        f"has {format_number(least, '.3f')}."
    )


def find_near_misses(cached: Cached, read: Read, bank: Bank) -> list[Evidence | None]:
    """Find, for each answer, the most similar image that the model puts in another class.

    It is a near miss where no such image took part; there is none where the memory holds none.
    """
    same = bank.predicted == read.answers[:, None]  # (B, M)
    scores = cached.scores.masked_fill(same, -torch.inf)
    best, places = scores.max(1)
    best = cached.head.unscale(best, bank.labels[places])
    return [
        None
        if similarity == -torch.inf
        else Evidence(**asdict(stored), weight=0.0, similarity=similarity, role="counterfactual")
        for similarity, stored in zip(best.tolist(), bank.stored(places), strict=True)
    ]


def find_nearest_of_classes(cached: Cached, read: Read, bank: Bank) -> list[tuple[Evidence, ...]]:
    """Find, for each answer, the most similar stored image of each of its likeliest classes.

    People over-rely less on wrong answers when they see these (Nguyen et al. 2023,
    arXiv:2308.13651).
    """
    first = read.logits.scatter(1, read.answers[:, None], torch.inf)
    ranked = rank_classes(cached.scores, first, bank.labels)[:, :LIKELY]  # (B, L)
    found: list[list[Evidence]] = [[] for _ in range(len(ranked))]
    for classes in ranked.unbind(1):
        other = bank.labels != classes[:, None]  # (B, M)
        best, places = cached.scores.masked_fill(other, -torch.inf).max(1)
        weights = read.weights.gather(1, places[:, None]).squeeze(1).tolist()
        same = (bank.predicted[places] == ranked[:, 0]).tolist()
        similarities = cached.head.unscale(best, bank.labels[places]).tolist()
        for row, stored in enumerate(bank.stored(places)):
            if similarities[row] != -torch.inf:
                role: Literal["example", "counterfactual"]
                role = "example" if same[row] else "counterfactual"
                found[row].append(
                    Evidence(
                        **asdict(stored),
                        weight=weights[row],
                        similarity=similarities[row],
                        role=role,
                    )
                )
    return [tuple(items) for items in found]


def rank_classes(scores: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Rank the classes of each answer: the answer, then by logit, then by the nearest stored image.

    Of votes, many classes have none.

    Args:
        scores: `(B, M)`.
        logits: `(B, K)`.
        labels: `(M,)` of the stored images, -1 where not known.

    Returns:
        `(B, K)` classes.

    >>> scores, logits = torch.tensor([[0.9, 0.1, 0.3]]), torch.tensor([[1.0, -2.0, -2.0]])
    >>> rank_classes(scores, logits, torch.tensor([0, 1, 2]))
    tensor([[0, 2, 1]])
    """
    known = scores.masked_fill(labels < 0, -torch.inf)
    places = labels.clamp_min(0).expand_as(scores)
    nearest = torch.full_like(logits, -torch.inf, dtype=scores.dtype)
    nearest = nearest.scatter_reduce(1, places, known, "amax").argsort(dim=1, descending=True)
    first = logits.scatter(1, logits.argmax(1, keepdim=True), torch.inf).gather(1, nearest)
    return nearest.gather(1, first.argsort(dim=1, descending=True, stable=True))


def explain_without_memory(model: Classifier, images: Tensor) -> list[Explanation]:
    """Explain the answers of a standard model: there is no evidence to show."""
    return [
        Explanation(
            predicted=answer.predicted,
            probabilities=answer.probabilities,
            evidence=(),
            threshold=None,
            without=answer.probabilities.new_empty(0, len(answer.probabilities)),
            probabilities_without=answer.probabilities.new_empty(0, len(answer.probabilities)),
            example=None,
            example_reason=NO_MEMORY,
            counterfactual=None,
            counterfactual_reason=NO_MEMORY,
            counterfactuals=(),
            near_miss=None,
            left_out=(),
            draws=None,
            reliance=0.0,
            flag=False,
            error_probability=answer.error_probability,
            decision=answer.decision,
        )
        for answer in answer_without_memory(model, model.encode(images))
    ]
