"""The model of a run, or a copy that is tried, fitted to the images of the run."""

from collections.abc import Mapping

from torch import Tensor

from whence.models.classifier import Classifier
from whence.runs.beside import Beside
from whence.runs.prepare import Parts
from whence.storage.checkpoint import Checkpoint
from whence.training.distributed import Team
from whence.training.fit import fit
from whence.training.loop import OnStep
from whence.training.progress import OnEpoch
from whence.training.recipes import Recipe


def fit_parts(
    model: Classifier,
    recipe: Recipe,
    parts: Parts,
    features: Mapping[str, Tensor],
    beside: Beside | None,
    *,
    on_epoch: OnEpoch,
    on_step: OnStep | None = None,
    resume: Checkpoint | None = None,
    team: Team | None = None,
) -> None:
    """Fit a model to the training images of a run, as ``fit`` does.

    Args:
        model: of the run, or a copy.
        recipe: that it is trained by.
        parts: of the run; its own model and recipe are not looked at.
        features: `(n, D)` of the images of each part by a frozen encoder; empty for another.
        beside: what is fitted to them beside the head; None for an encoder that is trained.
        on_epoch: called after every epoch.
        on_step: called after every step.
        resume: where the training goes on.
        team: the processes that train together.
    """
    fit(
        model,
        parts.train,
        recipe=recipe,
        plan=parts.plan,
        features=features.get("train"),
        validation=parts.validation,
        validation_features=features.get("validation"),
        probe=None if beside is None else beside.probe,
        counts=parts.counts,
        resume=resume,
        on_step=on_step,
        on_epoch=on_epoch,
        team=team,
    )
