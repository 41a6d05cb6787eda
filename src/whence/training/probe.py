"""A linear probe: what the features of a frozen encoder say about the classes by themselves."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from whence.data.stratify import stratified
from whence.seeds import make_generator
from whence.training.labelled import Labelled, hold_out

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""What the sum of the losses counts beside half the squared weights, tried in turn."""

LEAST_DEVIATION = 1e-3
"""Added to the deviation of every feature, so that one that never changes stays 0."""

FITTED_IMAGES = 10_000
"""Images that a probe is fitted to; of more so many are drawn, class by class."""

ITERATIONS = 300


@dataclass(frozen=True)
class Probe:
    """A linear layer on standardised features.

    Attributes:
        mean, deviation: `(D,)` of the features that it was fitted to.
        weight: `(K, D)`.
        bias: `(K,)`; minus infinity for a class without images.
        penalty: the one chosen, of ``PENALTIES``.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor
    penalty: float

    def log_probabilities(self, features: Tensor) -> Tensor:
        """Answer for features `(N, D)`; `(N, K)`."""
        standard = (features.float() - self.mean) / self.deviation
        return (standard @ self.weight.T + self.bias).log_softmax(1)


def fit_probe(
    train: Labelled, validation: Labelled | None, classes: int, *, seed: int = 0
) -> Probe:
    """Fit logistic regression to features, with a penalty under which other images are likeliest.

    Args:
        train: N images.
        validation: images that the penalty is chosen on; None keeps a fifth of the training images
            for the choice, and then fits all.
        classes: K.
        seed: of the images that are kept, and of those drawn where there are very many.

    Returns:
        The probe, on the device of the features.
    """
    if len(train.labels) > FITTED_IMAGES:
        drawn = stratified(train.labels.cpu(), FITTED_IMAGES, generator=make_generator(seed))
        train = train.take(drawn.to(train.labels.device))
    part, asked = (train, validation) if validation is not None else hold_out(train, seed)
    if asked is None:
        return fit_one(train, classes, PENALTIES[1])
    probes = [fit_one(part, classes, penalty) for penalty in PENALTIES]
    best = min(probes, key=lambda probe: loss_of(probe, asked))
    return best if part is train else fit_one(train, classes, best.penalty)


def loss_of(probe: Probe, asked: Labelled) -> float:
    """Compute the mean negative logarithm of the true class's probability."""
    return float(F.cross_entropy(probe.log_probabilities(asked.features), asked.labels))


def fit_one(train: Labelled, classes: int, penalty: float) -> Probe:
    """Fit a probe with one penalty."""
    from sklearn.linear_model import LogisticRegression  # takes a second; reading needs none

    features = train.features.float()
    mean = features.mean(0)
    deviation = features.std(0, correction=0) + LEAST_DEVIATION
    weight = torch.zeros(classes, features.shape[1])
    bias = torch.full((classes,), -torch.inf)
    present = train.labels.unique().cpu()
    if len(present) == 1:
        bias[present] = 0
    else:
        standard = ((features - mean) / deviation).cpu().numpy()
        fitted = LogisticRegression(C=penalty, max_iter=ITERATIONS)
        fitted.fit(standard, train.labels.cpu().numpy())
        rows, offsets = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
        if len(present) == 2:  # one row, of the second class against the first
            rows, offsets = torch.cat([-rows, rows]) / 2, torch.cat([-offsets, offsets]) / 2
        weight[present], bias[present] = rows.float(), offsets.float()
    device = features.device
    return Probe(mean, deviation, weight.to(device), bias.to(device), penalty)
