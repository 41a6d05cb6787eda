"""Training of votes on the features of a frozen encoder: all images at once, in seconds."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data.balanced_draw import ClassPlaces, draw_alike
from whence.memory.keys import build_keys
from whence.memory.sparsemax import sparsemax
from whence.memory.votes import Votes
from whence.storage.checkpoint import Checkpoint
from whence.training.follow_recipe import follow_recipe
from whence.training.labelled import Labelled, hold_out
from whence.training.loop import OnStep, seeded
from whence.training.plan import Plan
from whence.training.probe import Probe, fit_probe
from whence.training.progress import OnEpoch
from whence.training.reading_of_votes import VoteReading, choose_handicaps
from whence.training.recipes import Recipe
from whence.training.step import Criterion, choose_criterion

TAUGHT = 0.5
"""Share of what votes among three or more classes are trained to say that a probe says."""

JUDGED = 1000
"""Validation images that the sharpness is chosen on, at most."""

SHARPNESSES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""By what cosines may be multiplied before sparsemax."""

LARGE_MEMORY = 1000
FEW_VOTERS, MORE_VOTERS = 15, 30
"""Stored images that vote on an answer at most, in the median; the second of large memories."""


class Ballot(NamedTuple):
    """The images of one step, which vote on each other."""

    features: Tensor  # (B, D) as ``Votes.level`` gives them
    places: Tensor  # (B,) among all images; one may be there twice where batches are balanced
    labels: Tensor  # (B,)
    targets: Tensor  # (B, K) probabilities
    counts: Tensor | None  # (B,) how much each counts, 1 on average over all; None: all alike


def fit_votes(
    head: Votes,
    train: Labelled,
    validation: Labelled | None,
    *,
    recipe: Recipe,
    plan: Plan,
    probe: Probe | None = None,
    counts: Tensor | None = None,
    resume: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> float:
    """Train the keys of a head, and choose its sharpness; returns the last loss.

    In every step each image is answered by the votes of all others of the step. What it is trained
    to say is half its label and half what a linear probe of the same features says (Hinton et al.
    2015, arXiv:1503.02531): which other classes an image resembles is more than its label tells.
    Of two classes there is no such other, and the label is all.

    Args:
        head: of a model in training mode; its parameters are replaced.
        train: N images.
        validation: images to choose the sharpness on; None keeps a fifth of the training images
            for the choice, with keys that were not fitted to them, and then trains on all.
        recipe: optimiser, schedule, images per step.
        plan: epochs and seed.
        probe: fitted to the training images; None fits one.
        counts: `(N,)` how much each training image counts in the loss, 1 on average; None counts
            all alike. Keys that are trained for a choice alone count all alike.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.

    Raises:
        ValueError: if the checkpoint is of another training.
        DivergedError: if the loss becomes NaN or infinite.
    """
    if probe is None:
        probe = fit_probe(train, validation, head.classes, seed=plan.seed)

    reading = None
    if validation is None and (resume is None or plan.balance == "memory"):
        part, kept = hold_out(train, plan.seed)
        train_keys(head, part, probe, recipe, plan)
        reading = choose_reading(head, part, kept, balance=plan.balance)
        head.sharpness.fill_(reading.sharpness)
    # checkpoints hold the sharpness
    loss = train_keys(
        head, train, probe, recipe, plan, counts, resume=resume, on_step=on_step, on_epoch=on_epoch
    )
    if validation is not None:
        reading = choose_reading(head, train, validation, balance=plan.balance)
    if reading is not None:
        set_reading(head, reading)
    return loss


def compare_as_learned(head: Votes, stored: Labelled, asked: Labelled | None, plan: Plan) -> None:
    """Let votes compare features of an encoder that learned, and choose how they are read.

    Arguments as for ``read_votes``.
    """
    head.compare_plainly(stored.features)
    read_votes(head, stored, asked, plan)


def read_votes(head: Votes, stored: Labelled, asked: Labelled | None, plan: Plan) -> None:
    """Choose how keys that need no training are read, and read them so from now on.

    Args:
        head: with its keys.
        stored: N images that vote.
        asked: images to choose on; None asks a fifth of those that are stored, of the others.
        plan: balance and seed.
    """
    voters, judged = (stored, asked) if asked is not None else hold_out(stored, plan.seed)
    set_reading(head, choose_reading(head, voters, judged, balance=plan.balance))


def choose_reading(
    head: Votes, stored: Labelled, asked: Labelled | None, *, balance: str
) -> VoteReading:
    """Choose how votes are read; what large classes lose where memories are balanced, as well.

    Arguments as for ``choose_sharpness``, and the plan's balance.
    """
    if balance != "memory" or asked is None:
        return VoteReading(choose_sharpness(head, stored, asked), None)
    most = FEW_VOTERS if len(stored.labels) <= LARGE_MEMORY else MORE_VOTERS
    features, truth = (column[:JUDGED] for column in asked)
    return choose_handicaps(head, *stored, features, truth, sharpnesses=SHARPNESSES, most=most)


def set_reading(head: Votes, reading: VoteReading) -> None:
    """Read votes so from now on."""
    head.sharpness.fill_(reading.sharpness)
    head.handicaps = reading.handicaps


def train_keys(
    head: Votes,
    train: Labelled,
    probe: Probe,
    recipe: Recipe,
    plan: Plan,
    counts: Tensor | None = None,
    *,
    resume: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> float:
    """Train new keys on N images, from the seed or a checkpoint; returns the last loss.

    Arguments as for ``fit_votes``.
    """
    device = train.labels.device
    head.fit_features(train.features)
    plain = head.level(train.features)  # (N, D)
    targets = mix_targets(head, train, probe, plain.dtype)  # (N, K)
    classes = ClassPlaces.of(train.labels)
    with seeded(plan.seed, device) as randomness:

        def draw(places: Tensor, step: int) -> Ballot:
            if plan.balance == "sampling":
                places = draw_alike(classes, places, generator=randomness.generator)
            picked = places.to(device)
            counted = None if counts is None else counts[picked]
            return Ballot(plain[picked], picked, train.labels[picked], targets[picked], counted)

        head.reset(build_keys(head.features, head.last_layers).to(plain))
        return follow_recipe(
            head,
            draw,
            Vote(head, choose_criterion(recipe, plan, train.labels, head.classes)),
            randomness,
            total=len(train.labels),
            recipe=recipe,
            plan=plan,
            resume=resume,
            on_step=on_step,
            on_epoch=on_epoch,
        )


def mix_targets(head: Votes, train: Labelled, probe: Probe, dtype: torch.dtype) -> Tensor:
    """Return what votes are trained to say of N images, `(N, K)`: labels, and a probe's answers."""
    sure = F.one_hot(train.labels, head.classes).to(dtype)
    said = probe.log_probabilities(train.features).exp().to(dtype)
    return torch.lerp(sure, said, TAUGHT if head.classes > 2 else 0.0)


@dataclass(frozen=True)
class Vote:
    """A step in which all images vote on each other.

    Attributes:
        head: whose keys are trained.
        criterion: makes the loss.
    """

    head: Votes
    criterion: Criterion

    def loss(self, batch: Ballot) -> tuple[Tensor, Tensor]:
        """Return the loss of a step, with gradients, and the fraction of it that is right."""
        keys = self.head.scale_keys(self.head.keys(batch.features))
        others = batch.places[:, None] != batch.places  # (B, B)
        logits = self.head.logits(keys, keys, others, labels=batch.labels)
        return self.criterion.judge(logits, batch.labels, batch.targets, batch.counts)

    def finish(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Return loss and fraction as they are, after the parameters were changed."""
        return numbers


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
