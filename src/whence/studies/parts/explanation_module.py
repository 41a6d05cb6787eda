"""Explanation modules: from the features of a layer to a few that say one answer."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import lars_path
from torch import Tensor, nn

from whence.seeds import seed_global

MODULE_WIDTH = 32
"""Of the hidden layer on both sides."""


FIRST_BIAS = 1.0
"""Of the embedding before training: no feature begins at 0, where it could not learn."""


@dataclass(frozen=True)
class ModuleLoss:
    """What a module is trained by; the letters are those of the publication.

    Attributes:
        faithful: the squared error of the answer counts.
        sparse: q, of the logarithm that lets whole dimensions go without reconstruction; None
            counts the mean squared error of all dimensions.
        rebuild: beta, of the reconstruction.
        apart: eta, of the pull-away term.
        active: of the mean of the features, so that few are active (the sparse autoencoder).
        decay: lambda, of the squares of all parameters.
    """

    faithful: bool = True
    sparse: float | None = None
    rebuild: float = 0.0
    apart: float = 0.0
    active: float = 0.0
    decay: float = 1e-5


MODULE_LOSSES = {
    "SRAE": ModuleLoss(sparse=10.0, rebuild=1.0, apart=10.0),
    "NN": ModuleLoss(),
    "SAE": ModuleLoss(rebuild=1.0, active=0.1),
    "CAE": ModuleLoss(faithful=False, rebuild=1.0, apart=10.0),
}
"""The module of the publication and those it is compared with, but for the lasso: a network of the
answer alone, a sparse autoencoder that answers as well, and an autoencoder that does not."""


class ExplanationModule(nn.Module):
    """Features `(N, Z)` to a few `(N, n)`, none below 0, and back; and the answer from these.

    Qi, Khorram and Li (2018), "Embedding deep networks into visual explanations",
    arXiv:1709.05360.

    Args:
        features: Z.
        concepts: n, numbers of the embedding.
    """

    def __init__(self, features: int, concepts: int) -> None:
        super().__init__()
        last = nn.Linear(MODULE_WIDTH, concepts)
        nn.init.constant_(last.bias, FIRST_BIAS)
        self.embed = nn.Sequential(nn.Linear(features, MODULE_WIDTH), nn.ReLU(), last, nn.ReLU())
        self.rebuild = nn.Sequential(
            nn.Linear(concepts, MODULE_WIDTH), nn.ReLU(), nn.Linear(MODULE_WIDTH, features)
        )
        self.say = nn.Linear(concepts, 1, bias=False)

    @property
    def weights(self) -> Tensor:
        """Return by what each feature adds to the answer, `(n,)`."""
        return self.say.weight[0].detach()

    def forward(self, features: Tensor) -> Tensor:
        """Say the answer `(N,)` of features `(N, Z)`."""
        said: Tensor = self.say(self.embed(features)).squeeze(-1)
        return said


def pull_away(concepts: Tensor) -> Tensor:
    """Average the squared cosine of all pairs of features `(N, n)` over the images.

    Zhao, Mathieu and LeCun (2017), arXiv:1609.03126, equation 4, as the explanation module has it.

    >>> float(pull_away(torch.tensor([[1.0, 1.0], [0.0, 1.0]])).round(decimals=4))
    0.5
    """
    unit = concepts / concepts.norm(dim=0).clamp_min(1e-8)
    squares = (unit.T @ unit).square()
    count = concepts.shape[1]
    summed: Tensor = squares.sum() - squares.diagonal().sum()
    return summed / (count * (count - 1))


def log_penalty(errors: Tensor, sharpness: float) -> Tensor:
    """Average ``log(1 + q Q_k)`` of the mean squared errors `(Z,)` of all dimensions."""
    return torch.log1p(sharpness * errors).mean()


def measure_loss(
    module: ExplanationModule, features: Tensor, answers: Tensor, by: ModuleLoss
) -> Tensor:
    """Compute the loss of a module on all images: the sum of what ``by`` counts.

    Args:
        module: to be trained.
        features: `(N, Z)`.
        answers: `(N,)` of the network.
        by: what counts.
    """
    concepts = module.embed(features)
    errors = (module.rebuild(concepts) - features).square().mean(0)  # (Z,) Q_k
    loss: Tensor = by.decay * torch.stack([one.square().sum() for one in module.parameters()]).sum()
    if by.faithful:
        loss = loss + (module.say(concepts).squeeze(-1) - answers).square().mean()
    rebuilt = errors.mean() if by.sparse is None else log_penalty(errors, by.sparse)
    loss = loss + by.rebuild * rebuilt + by.active * concepts.mean()
    return loss + by.apart * pull_away(concepts) if by.apart else loss


def fit_module(
    features: Tensor,
    answers: Tensor,
    by: ModuleLoss,
    *,
    concepts: int,
    steps: int,
    seed: int,
) -> ExplanationModule:
    """Train a module on all images at once, by Adam at 5e-3, its rate falling to zero.

    A module without a loss of its answer gets the best linear answer afterwards.

    Args:
        features: `(N, Z)`.
        answers: `(N,)`.
        by: what counts.
        concepts: n.
        steps: of Adam.
        seed: of the parameters.
    """
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        module = ExplanationModule(features.shape[1], concepts)
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3, fused=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            loss = measure_loss(module, features, answers, by)
            loss.backward()
            optimizer.step()
            falling.step()
    module.requires_grad_(False)
    if not by.faithful:
        found = torch.linalg.lstsq(
            module.embed(features), answers[:, None], driver="gelsd"
        ).solution
        module.say.weight.copy_(found.T)
    return module.eval()


class ChosenFeatures(nn.Module):
    """Features of the layer itself, chosen by the lasso; what says the answer is linear in them."""

    def __init__(self, places: Tensor, weights: Tensor, constant: float) -> None:
        super().__init__()
        self.places, self.weights, self.constant = places, weights, constant

    def embed(self, features: Tensor) -> Tensor:
        """Take the chosen ones, `(N, n)`."""
        return features[:, self.places]

    def forward(self, features: Tensor) -> Tensor:
        """Say the answer `(N,)`."""
        return self.embed(features) @ self.weights + self.constant


def choose_features(features: Tensor, answers: Tensor, concepts: int) -> ChosenFeatures:
    """Take the last step of the lasso's path with at most so many features (Tibshirani 1996)."""
    inputs, outputs = features.double().numpy(), answers.double().numpy()
    means = inputs.mean(0)
    _, _, paths = lars_path(inputs - means, outputs - outputs.mean(), method="lasso")
    counts = (paths != 0).sum(0)
    step = int(np.flatnonzero(counts <= concepts)[-1])
    places = np.flatnonzero(paths[:, step])
    weights = paths[places, step]
    constant = float(outputs.mean() - means[places] @ weights)
    return ChosenFeatures(torch.from_numpy(places), torch.from_numpy(weights).float(), constant)
