"""Training of votes on the features of a frozen encoder: all images at once, in seconds."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data.stratify import stratified
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes, build_keys
from whence.seeds import make_generator, seed_global
from whence.training.plan import Plan
from whence.training.progress import DivergedError, EpochReport, OnEpoch, describe_loss
from whence.training.recipes import Recipe, build_optimizer, rate_at

AT_ONCE = 2500
"""Images that vote on each other in one step; of more images every step draws so many."""

HELD_OUT = 5
"""One image of so many is kept for the choices where there are no validation images."""

JUDGED = 1000
"""Validation images that the sharpness is chosen on, at most."""

SHARPNESSES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""By what cosines may be multiplied before sparsemax."""

LARGE_MEMORY = 1000
FEW_VOTERS, MORE_VOTERS = 15, 30
"""Stored images that vote on an answer at most, in the median; the second of large memories."""


class Labelled(NamedTuple):
    """Features and their classes."""

    features: Tensor  # (N, D)
    labels: Tensor  # (N,)


def fit_votes(
    head: Votes,
    train: Labelled,
    validation: Labelled | None,
    *,
    recipe: Recipe,
    plan: Plan,
    on_epoch: OnEpoch | None,
) -> float:
    """Train the keys of a head, and choose its sharpness; returns the last loss.

    In every epoch each image is answered by the votes of all others at once, of which it takes the
    negative logarithm of its class's probability.

    Args:
        head: of a model in training mode; its parameters are replaced.
        train: N images.
        validation: images to choose the sharpness on; None keeps a fifth of the training images
            for the choice, with keys that were not fitted to them, and then trains on all.
        recipe: optimiser and schedule.
        plan: epochs and seed.
        on_epoch: called after every epoch.

    Raises:
        DivergedError: if the loss becomes NaN or infinite.
    """
    if validation is None:
        part, kept = hold_out(train, plan.seed)
        train_keys(head, part, recipe, plan, None)
        sharpness = choose_sharpness(head, part, kept)
        loss = train_keys(head, train, recipe, plan, on_epoch)
    else:
        loss = train_keys(head, train, recipe, plan, on_epoch)
        sharpness = choose_sharpness(head, train, validation)
    head.sharpness.fill_(sharpness)
    return loss


def hold_out(train: Labelled, seed: int) -> tuple[Labelled, Labelled | None]:
    """Divide labelled features in four parts to train on and one to choose on, class by class.

    None in place of the second where no class has an image to spare.
    """
    labels = train.labels.cpu()
    spare = int((labels.bincount() - 1).clamp_min(0).sum())
    count = min(len(labels) // HELD_OUT, spare)
    if count == 0:
        return train, None
    kept = stratified(labels, count, generator=make_generator(seed)).to(train.labels.device)
    stays = torch.ones_like(train.labels, dtype=torch.bool)
    stays[kept] = False
    return (
        Labelled(train.features[stays], train.labels[stays]),
        Labelled(train.features[kept], train.labels[kept]),
    )


def train_keys(
    head: Votes, train: Labelled, recipe: Recipe, plan: Plan, on_epoch: OnEpoch | None
) -> float:
    """Train new keys on N images; nothing but the plan's seed decides how they begin.

    Returns:
        The last loss.

    Raises:
        DivergedError: if the loss becomes NaN or infinite.
    """
    seed_global(plan.seed)
    generator, device = make_generator(plan.seed), train.labels.device
    head.centre(train.features)
    plain = head.level(train.features)  # (N, D)
    head.reset(build_keys(head.features, head.last_layers).to(plain))
    drawn = min(len(plain), AT_ONCE)
    steps = -(-len(plain) // drawn)
    others = ~torch.eye(drawn, dtype=torch.bool, device=device)
    optimizer = build_optimizer(recipe, head.parameters())
    last = 0.0
    for step in range(plan.epochs * steps):
        rate = rate_at(recipe, step=step, steps_per_epoch=steps, epochs=plan.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        places = torch.arange(drawn, device=device)
        if steps > 1:
            places = torch.randperm(len(plain), generator=generator)[:drawn].to(device)
        known, made = train.labels[places], head.scale_keys(head.keys(plain[places]))
        logits = head.logits(made, made, others, labels=known)
        loss = F.cross_entropy(logits, known, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % steps == 0:
            last = float(loss.detach())
            if not math.isfinite(last):
                raise DivergedError(describe_loss(last, step))
            if on_epoch is not None:
                hits = float((logits.detach().argmax(1) == known).double().mean())
                on_epoch(EpochReport((step + 1) // steps, last, hits, rate))
    return last


@torch.no_grad()
def choose_sharpness(head: Votes, stored: Labelled, asked: Labelled | None) -> float:
    """Choose by what cosines are multiplied before sparsemax.

    Of those with which few enough stored images vote, the one with which the true classes are most
    likely; without any, the one with the fewest voters.

    Args:
        head: with trained keys.
        stored: N images that vote.
        asked: images with their true classes, none of them trained on; None asks the stored ones,
            each without its own vote, which finds answers surer than they are.
    """
    was = head.training
    head.eval()
    head.sharpness.fill_(1)
    features, truth = (column[:JUDGED] for column in asked or stored)
    queries, memory = head.embed(features), head.embed(stored.features)
    cosines = queries @ memory.T  # (V, N)
    if asked is None:
        cosines.fill_diagonal_(-torch.inf)
    values = head.values(memory, stored.labels)
    most = FEW_VOTERS if len(memory) <= LARGE_MEMORY else MORE_VOTERS
    found: list[tuple[bool, float, float]] = []
    for sharpness in SHARPNESSES:
        weights = sparsemax(cosines * sharpness)
        voters = float((weights > 0).sum(1).double().median())
        loss = float(F.cross_entropy(head.respond(queries, weights @ values), truth))
        too_many = voters > most
        found.append((too_many, voters if too_many else loss, sharpness))
    head.train(was)
    return min(found)[2]
