"""Fit a classifier: its head alone on features encoded once, or all of it, in place."""

import copy
import math

from torch import Tensor

from whence.kinds import check_arguments
from whence.memory.feature_heads import Standard
from whence.memory.votes import Votes
from whence.models.as_image_set import LabelledImages, as_image_set
from whence.models.classifier import Classifier
from whence.models.sound import check_given_features, find_unsound
from whence.progress_bar import in_notebook, make_bar
from whence.records.images import ImageSet
from whence.records.labels import check_every_label
from whence.shapes import check_shape
from whence.storage.checkpoint import Checkpoint
from whence.training.default_recipe import fill_recipe, name_default
from whence.training.distributed import Team
from whence.training.in_steps import train_in_steps
from whence.training.labelled import Labelled
from whence.training.loop import OnStep, seeded
from whence.training.plan import Plan, check_plan, usual_plan
from whence.training.probe import Probe
from whence.training.progress import (
    LOWER,
    DivergedError,
    EpochReport,
    OnEpoch,
)
from whence.training.recipes import Recipe
from whence.training.shared_step import encode_together
from whence.training.voting import compare_as_learned, fit_votes

FAR = 100
"""Times the loss of a guess at which the training is said to have diverged."""


@check_arguments
def fit(
    model: Classifier,
    train: LabelledImages,
    *,
    recipe: Recipe | str | None = None,
    plan: Plan | None = None,
    features: Tensor | None = None,
    validation: LabelledImages | None = None,
    validation_features: Tensor | None = None,
    probe: Probe | None = None,
    counts: Tensor | None = None,
    resume: Checkpoint | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    team: Team | None = None,
) -> None:
    """Train a classifier in place, on the device that it is on.

    At every step one memory is drawn for the whole batch, without replacement; batch and memory
    go through the encoder as two batches, so that BatchNorm sees them apart, and gradients flow
    through both (La Rosa et al. 2021, A.1.2). A batch image that is in the memory as well may not
    attend to itself unless the plan says so. Votes of a frozen encoder are trained on all images at
    once instead, which takes seconds. Where the encoder learns, it learns for a linear layer, which
    is dropped then, and votes compare its features: an encoder learns worse for votes, and keys
    that are fitted to features which know the labels already are no better than these.

    The global random state is left as it was. With the same arguments on the same CPU the result
    is the same to the bit, also when it was interrupted and went on from a checkpoint.

    Args:
        model: trained in place; left in eval mode, without a bank.
        train: N training images, labelled: an ``ImageSet``, (X, y), or a data set of (image, label)
            such as torchvision's ``ImageFolder``.
        recipe: optimiser, schedule, augmentation, or a name from ``RECIPES``: "paper" is the
            paper's. None is what ``whence train`` takes: "at-once" for votes of a frozen encoder,
            "finetune" for one with weights (``wrap(weights=)``, or frozen), "vit" for that encoder,
            else "default", which mirrors images where they are recognised as well. A module that
            was trained before does not say so: name "finetune".
        plan: epochs, memory and seed; None sees each image 40 times, more often where that is fewer
            steps than the recipe's least, with memories of 100 images.
        features: `(N, D)` of the images by the encoder in eval mode, where the plan freezes it;
            None encodes them.
        validation: labelled images on which a head of votes chooses how many of them count; None,
            or no images, keeps training images for that. Other heads do not learn from them.
        validation_features: `(V, D)` of them, as ``features``.
        probe: a linear probe of the training features, from which votes of a frozen encoder learn
            beside the labels; None fits one. Other heads do not look at it.
        counts: `(N,)` how much each image counts in the loss, 0 or more, by what they are beside
            their mean; None counts all alike. Images of 0 are stored and drawn into memories all
            the same.
        resume: where an earlier training with the same arguments stopped.
        on_step: called after every step with a function that makes a checkpoint of that moment.
        on_epoch: called after every epoch.
        team: the processes that train this model together, each calling this with the same
            arguments (``on_step`` may differ); they end with the same parameters. Batch size and
            memory size are those of all processes together.

    Raises:
        ValueError: if the images are fewer than the memory, or none, or too few to be divided, or
            there is no recipe of that name, or the checkpoint is of another training, or there are
            features for an encoder that is trained, or of another shape.
        DivergedError: if the loss becomes NaN or infinite, or ends far above that of a guess.
    """
    team, device = team or Team(), model.mean.device
    labelled = as_image_set(train, model, name="train").to(str(device))
    recipe = settle_recipe(model, labelled, recipe, frozen=plan is not None and plan.freeze_encoder)
    plan = plan or usual_plan(len(labelled), recipe)
    check_plan(len(labelled), recipe, plan, model.has_memory, team)
    counts = None if counts is None else level_counts(counts, len(labelled)).to(device)
    check_frozen_features("features", features, model, len(labelled), plan)
    held_out = read_validation(model, validation, validation_features, plan)
    if isinstance(model.head, Votes):
        check_every_label("train", labelled.labels, model.class_names)
    model.decision = None  # it was chosen for the parameters before; votes lose their head start
    votes = model.head if isinstance(model.head, Votes) else None
    if votes is not None:
        votes.handicaps = None
    model.eval()
    if plan.freeze_encoder:
        if features is None:
            features = encode_together(model, labelled.images, team)
        features = features.to(device)
    on_epoch = on_epoch or show_epochs(plan.epochs)
    with seeded(plan.seed, device) as randomness:
        if votes is not None and features is not None:
            asked = encode_labelled(model, held_out, validation_features, team)
            model.train()
            stored = Labelled(features, labelled.labels)
            loss = fit_votes(
                votes,
                stored,
                asked,
                recipe=recipe,
                plan=plan,
                probe=probe,
                counts=counts,
                resume=resume,
                on_step=on_step,
                on_epoch=on_epoch,
            )
        else:
            learner = model if votes is None else with_linear_layer(model)
            learner.train()
            loss = train_in_steps(
                learner,
                labelled,
                features,
                randomness,
                recipe=recipe,
                plan=plan,
                counts=counts,
                resume=resume,
                on_step=on_step,
                on_epoch=on_epoch,
                team=team,
            )
            learner.eval()
        model.bank = None
    model.eval()
    check_end(loss, len(labelled.class_names))
    if votes is not None and features is None:
        end_with_votes(model, votes, labelled, held_out, plan, team)


def settle_recipe(
    model: Classifier, train: ImageSet, recipe: Recipe | str | None, *, frozen: bool
) -> Recipe:
    """Return the recipe that is meant: itself, the one of a name, or the default of the model.

    Raises:
        ValueError: if there is none of that name.
    """
    if recipe is None:
        recipe = name_default(
            encoder=model.kind.name if model.kind.family == "whence" else "",
            pretrained=frozen or model.pretrained,
            frozen_votes=frozen and isinstance(model.head, Votes),
        )
    return fill_recipe(recipe, train, frozen=frozen) if isinstance(recipe, str) else recipe


def show_epochs(epochs: int) -> OnEpoch | None:
    """Return what moves a bar in a notebook; None where there is none."""
    if not in_notebook():
        return None
    bar = make_bar(total=epochs, desc="training", unit="epoch", leave=False)

    def move(report: EpochReport) -> None:
        bar.set_postfix(loss=f"{report.loss:.3f}", accuracy=f"{report.accuracy:.3f}")
        bar.update(report.epoch - bar.n)
        if report.epoch == epochs:
            bar.close()

    return move


def end_with_votes(
    model: Classifier,
    votes: Votes,
    train: ImageSet,
    validation: ImageSet | None,
    plan: Plan,
    team: Team,
) -> None:
    """Let votes compare what an encoder has learnt for a linear layer.

    Raises:
        DivergedError: if the encoder went astray.
    """
    check_learned(model)
    stored = Labelled(encode_together(model, train.images, team), train.labels)
    asked = encode_labelled(model, validation, None, team)
    compare_as_learned(votes, stored, asked, plan)


def with_linear_layer(model: Classifier) -> Classifier:
    """Return a model of the same encoder whose head is a linear layer."""
    learner = copy.copy(model)
    head = Standard(model.features, len(model.class_names))
    learner.head = head.to(model.mean.device)
    return learner


def read_validation(
    model: Classifier, images: LabelledImages | None, features: Tensor | None, plan: Plan
) -> ImageSet | None:
    """Read validation images on the model's device, before a long training; None if there are none.

    Args:
        model: that is to be trained.
        images: labelled, or None.
        features: `(V, D)` of them by a frozen encoder, where they are known.
        plan: of the training.

    Raises:
        ValueError: if images, labels or features do not fit.
    """
    known = None if images is None else as_image_set(images, model, name="validation")
    total = 0 if known is None else len(known)
    check_frozen_features("validation_features", features, model, total, plan)
    return None if known is None or total == 0 else known.to(str(model.mean.device))


def encode_labelled(
    model: Classifier, images: ImageSet | None, features: Tensor | None, team: Team
) -> Labelled | None:
    """Encode labelled images by the encoder as it is; None if there are none.

    Args:
        model: in eval mode.
        images: labelled, on the model's device, or None.
        features: `(V, D)` of them, where they are known.
        team: the processes.
    """
    if images is None:
        return None
    if features is None:
        features = encode_together(model, images.images, team)
    return Labelled(features.to(images.labels.device), images.labels)


def level_counts(counts: Tensor, total: int) -> Tensor:
    """Divide how much each of N images counts by the mean; `(N,)` float32.

    Raises:
        ValueError: if they are not N numbers from 0 on, or all of them are 0.
    """
    check_shape("counts", counts, "N", N=total)
    found = counts.detach().float()
    if not bool((found >= 0).all() & found.isfinite().all() & (found > 0).any()):
        raise ValueError("counts must be numbers from 0 on, not all of them 0.")
    return found / found.mean()


def check_frozen_features(
    name: str, features: Tensor | None, model: Classifier, total: int, plan: Plan
) -> None:
    """Refuse features, called so, that are not those of ``total`` images by a frozen encoder.

    Raises:
        ValueError: naming what they must be.
    """
    if features is None:
        return
    if not plan.freeze_encoder:
        raise ValueError(
            f"{name} are those of a frozen encoder, and this plan trains it; "
            "leave them out, or set freeze_encoder."
        )
    check_given_features(name, features, total=total, width=model.features)


def check_learned(model: Classifier) -> None:
    """Refuse an encoder that went astray, before its features are compared.

    Raises:
        DivergedError: naming what is no number.
    """
    problem = find_unsound(model.encoder.state_dict())
    if problem is not None:
        raise DivergedError(f"After the last step the model must hold {problem}; {LOWER}.")


def check_end(loss: float, classes: int) -> None:
    """Refuse the last loss of a training that went astray without becoming NaN.

    Raises:
        DivergedError: if it is far above that of answers with the same probability for all classes.
    """
    guess = math.log(classes)
    if loss > FAR * guess:
        raise DivergedError(
            f"The loss ended at {loss:.3g}, far above the {guess:.3g} of a guess; {LOWER}."
        )
