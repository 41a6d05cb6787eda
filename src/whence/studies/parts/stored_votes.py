"""Votes beside a study's own networks: keys of features that stay as they are."""

from torch import Tensor

from whence.memory.votes import Votes
from whence.training.labelled import Labelled
from whence.training.plan import Plan
from whence.training.recipes import RECIPES
from whence.training.voting import fit_votes


def train_votes(features: Tensor, labels: Tensor, classes: int, *, epochs: int, seed: int) -> Votes:
    """Train votes on what is stored, all of it at once; in eval mode and without gradients.

    Args:
        features: `(N, D)` of the stored ones, where the votes are trained.
        labels: `(N,)` their classes.
        classes: K.
        epochs: of the training.
        seed: of that.
    """
    head = Votes(features.shape[1], classes).to(features.device)
    head.train()
    plan = Plan(epochs, seed=seed, freeze_encoder=True)
    known = Labelled(features, labels.to(features.device))
    fit_votes(head, known, None, recipe=RECIPES["at-once"], plan=plan)
    return head.eval().requires_grad_(requires_grad=False)
