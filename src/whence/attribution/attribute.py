"""Any attribution method, on any classifier, for any target."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from whence.attribution.classifier_score import ClassifierScore, score_classifier
from whence.attribution.found import FoundRelevance
from whence.attribution.method import find_method
from whence.attribution.odds_score import has_odds, score_odds
from whence.attribution.record import ScoreFacts, record
from whence.attribution.score import (
    FunctionScore,
    Score,
    ScoreFunction,
    check_floats,
    differentiating,
)
from whence.attribution.score_kinds import SCORE_KINDS, ScoreKind
from whence.attribution.target import TargetLike, find_target
from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.kinds import check_arguments
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.models.sound import check_outputs
from whence.models.using import check_images
from whence.records.relevance import Relevance
from whence.shapes import check_batch_size, check_shape


@check_arguments
def attribute(
    model: nn.Module,
    images: Images,
    method: str = "integrated_gradients",
    target: TargetLike = None,
    *,
    score: ScoreKind | None = None,
    batch_size: int = BATCH_SIZE,
    **options: Any,
) -> Relevance:
    """Say how much every pixel of images, and of their evidence, matters to a model's score.

    Args:
        model: a classifier of ours, with its bank if it has a memory; or any module in eval mode
            from images to logits `(B, K)`.
        images: `(B, C, H, W)`; of a classifier of ours uint8 or float in [0, 1], and an image that
            is itself stored does not read itself; of any other module what it takes, in its units.
        method: a name from ``whence.attribution.METHODS``.
        target: what the score is. None: the logit of the predicted class; a class (index or name);
            a list, array or tensor of one class per image; a tuple (a, b): logit a minus logit b,
            why a rather than b; or a function of the logits `(n, K)` that gives `(n,)`.
        score: "logit" explains the logits. "similarity", for votes, whose logits stay as they are
            where all votes agree, explains the log-odds of the target's class against the class
            that is next, or of a against b, by a softmax over the similarities to the stored images
            that vote for either, or else to the most similar one. None is "similarity" for votes
            unless the target is a function, and "logit" for all others.
        batch_size: how many images go through the network at once; changes memory use and time,
            not the result.
        **options: of the method, by name; its docstring lists them.

    Returns:
        Relevance with the ledger of where the score went, on the CPU.

    Raises:
        ValueError: on an unknown method, option or class, no image, images that do not fit, or a
            score that is not finite.
        TypeError: if the model is no module, or the target of no known kind.
        RuntimeError: if the model is in training mode, has no bank that fits it, or no gradient.
    """
    return ask_method(
        model,
        images,
        method,
        target,
        score=score,
        batch_size=batch_size,
        options=options,
        evidence=True,
    )


def ask_method(
    model: nn.Module,
    images: Images,
    method: str,
    target: TargetLike,
    *,
    score: ScoreKind | None,
    batch_size: int,
    options: Mapping[str, object],
    evidence: bool,
) -> Relevance:
    """Do what ``attribute`` does, with or without relevance of the evidence.

    Args:
        model: a classifier of ours, or any module.
        images: `(B, C, H, W)`.
        method: a name from ``whence.attribution.METHODS``.
        target: what the score is, as there.
        score: of what it is, as there.
        batch_size: how many images go through the network at once.
        options: of the method.
        evidence: False leaves evidence images out where the numbers of images stay the same
            without them, which is most of the work with many of them. The ledger then misses them.
    """
    chosen = find_method(method)
    used = chosen.complete(options)
    asked = take_asked(model, images)
    check_request(model, asked, batch_size)
    with differentiating(model):
        kind = choose_kind(model, target, score)
        made, facts = make_score(model, asked, target, kind, batch_size)
        check_scores(facts.values)
        if isinstance(made, ClassifierScore) and made.model.has_memory and not evidence:
            alone, encoded = chosen.lighter == "evidence", chosen.lighter == "pixels"
            made = replace(made, alone=alone, encoded=encoded)
        found = chosen.compute(made, asked, **used)
    check_found(found, method)
    return record(found, facts, method, used)


def take_asked(model: nn.Module, images: Images) -> Tensor:
    """Return images as a tensor; a classifier of ours takes them in any form.

    Raises:
        TypeError: if another module is to take what is no tensor.
    """
    if isinstance(model, Classifier):
        return as_images(images, model).detach()
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images must be a tensor (B, C, H, W) as the model takes it, got "
            f"{type(images).__name__}."
        )
    return images.detach()


def check_request(model: nn.Module, images: Tensor, batch_size: int) -> None:
    """Refuse images that do not fit a model, no image at all, and a batch size below 1.

    Raises:
        ValueError: with what came.
    """
    if isinstance(model, Classifier):
        check_images(model, images)
    else:
        check_shape("images", images, "B C H W")
    check_batch_size(batch_size)
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none.")


def choose_kind(model: nn.Module, target: TargetLike, kind: str | None) -> ScoreKind:
    """Choose what is explained, if that was not said.

    Raises:
        ValueError: on an unknown kind, or similarity of a model without votes.
    """
    if kind is None:
        votes = isinstance(model, Classifier) and not callable(target) and has_odds(model)
        return "similarity" if votes else "logit"
    if kind not in SCORE_KINDS:
        raise ValueError(f"Unknown score {quote(kind)}. Choose from: {', '.join(SCORE_KINDS)}.")
    if kind == "similarity" and not (isinstance(model, Classifier) and has_odds(model)):
        raise ValueError(
            "score must be logit for a model that is not of votes on stored images of several "
            "classes, got similarity."
        )
    return cast("ScoreKind", kind)


def make_score(
    model: nn.Module, images: Tensor, target: TargetLike, kind: str, batch_size: int
) -> tuple[Score, ScoreFacts]:
    """Make a score of a model, of images `(B, C, H, W)`, of a target and of what it is of."""
    if isinstance(model, Classifier) and kind == "similarity":
        odds, voters, compared = score_odds(model, images, target, batch_size=batch_size)
        return odds, ScoreFacts(odds.values, odds.target.names, voters, compared)
    if isinstance(model, Classifier):
        own = score_classifier(model, images, target, batch_size=batch_size)
        return own, ScoreFacts(own.values, own.target.names, own.counts)
    check_floats(images)
    logits = find_first_logits(model, images, batch_size)
    check_outputs("logits", logits, model)
    goal = find_target(target, logits, [f"class {one}" for one in range(logits.shape[1])])
    values = goal.of(logits, torch.arange(len(images)))

    def score_by(network: nn.Module) -> ScoreFunction:
        return lambda some, known: goal.of(find_logits(network, some), known)

    score = FunctionScore(
        score_by(model), batch_size, network=model, by=score_by, values=values.detach()
    )
    return score, ScoreFacts(values, goal.names, [0] * len(images))


def find_first_logits(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    """Run a module on images `(B, C, H, W)` for the first time, without a gradient.

    Raises:
        ValueError: if it cannot take them, or something else than logits comes out.
    """
    try:
        with torch.no_grad():
            return torch.cat([find_logits(model, some) for some in images.split(batch_size)])
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ValueError(
            f"images must be what the model takes, it refuses {tuple(images.shape)} of "
            f"{images.dtype}: {str(error).splitlines()[0]}"
        ) from error


def find_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Run a module on images `(n, C, H, W)`, on its device; logits `(n, K)`.

    Raises:
        ValueError: if something else comes out.
    """
    first = next(model.parameters(), images)
    logits = model(images.to(first.device))
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        raise ValueError(
            f"model must map {len(images)} images (B, C, H, W) to logits (B, K), got {shape}."
        )
    return logits


def check_scores(values: Tensor) -> None:
    """Refuse a score `(B,)` that holds NaN or infinity.

    Raises:
        ValueError: with the number of the first image.
    """
    broken = (~values.isfinite()).nonzero()
    if len(broken):
        row = int(broken[0])
        raise ValueError(
            f"target must give finite scores, that of image {row} is {float(values[row])}."
        )


def check_found(found: FoundRelevance, method: str) -> None:
    """Refuse relevance that holds NaN or infinity, as slopes of a root at 0 do.

    Raises:
        ValueError: with the number of the first image.
    """
    broken = (~found.images.isfinite().flatten(1).all(1)).nonzero()
    if len(broken):
        raise ValueError(
            f"{method} must find finite numbers, those of image {int(broken[0])} have NaN or "
            "infinity: the score has no finite slope there; occlusion needs none."
        )
    if found.evidence is not None and not bool(found.evidence.isfinite().all()):
        raise ValueError(
            f"{method} must find finite numbers, those of an evidence image have NaN or infinity: "
            "the score has no finite slope there; occlusion needs none."
        )
