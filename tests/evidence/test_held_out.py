"""Ridge regression with each image left out: against fits on the other images alone."""

import math

import pytest
import torch
from torch.nn import functional as F

from whence.evidence import held_out
from whence.evidence.held_out import answer_held_out, divide_evenly, even_out

CLASSES = 3


def make(count=17, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    return torch.randn(count, width, generator=generator) + 2 * F.one_hot(labels, width), labels


def even_slowly(features):
    columns = features.double() - features.double().mean(0)
    deviations = [float(column.square().mean().sqrt()) for column in columns.T]
    least = sum(deviations) / len(deviations) / 100
    for k, one in enumerate(deviations):
        columns[:, k] /= math.sqrt(max(one, least))
    return [row / row.norm() if row.norm() else row for row in columns]


def refit(features, labels, groups, ridge):
    """Fit the others anew for every image; answers `(N, K)`."""
    even, found = even_slowly(features), []
    for k, own in enumerate(even):
        others = [j for j in range(len(even)) if groups[j] != groups[k]]
        kernel = torch.tensor([[math.exp(even[i] @ even[j] - 1) for j in others] for i in others])
        ridged = kernel.double() + ridge * torch.eye(len(others)).double()
        weights = torch.linalg.solve(ridged, F.one_hot(labels[others], CLASSES).double())
        asked = torch.tensor([math.exp(own @ even[j] - 1) for j in others]).double()
        found.append(asked @ weights)
    return torch.stack(found)


@pytest.mark.parametrize("copies", [False, True])
def test_is_a_fit_on_the_others_alone(copies):
    features, labels = make()
    groups = torch.arange(len(labels))
    if copies:
        groups[[3, 9, 12]] = 40
        features[[9, 12]] = features[3].clone()
    features[:, 4] = 0.5  # says nothing
    found = answer_held_out(features, labels, groups, CLASSES)
    losses = {
        (ridge, sureness): float(F.cross_entropy(sureness * answers, labels))
        for ridge in held_out.RIDGES
        for answers in [refit(features, labels, groups, ridge)]
        for sureness in held_out.SURENESSES
    }
    ridge, sureness = min(losses, key=losses.get)
    assert found.ridge == ridge
    expected = (sureness * refit(features, labels, groups, ridge)).softmax(1).float()
    torch.testing.assert_close(found.shares, expected, atol=1e-5, rtol=1e-4)
    assert answer_held_out(features, labels, groups, CLASSES, ridges=(7.0,)).ridge == 7.0


def test_features_that_never_change_say_nothing():
    assert even_out(torch.full((4, 3), 2.0)).abs().sum() == 0
    labels = torch.tensor([0, 0, 1, 1])
    found = answer_held_out(torch.full((4, 3), 2.0), labels, torch.arange(4), 2)
    assert found.shares.isfinite().all()
    torch.testing.assert_close(found.shares[0], found.shares[1])


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_every_part_has_its_share_of_a_class(parts):
    _, labels = make(40)
    numbers = divide_evenly(labels, parts)
    sizes = torch.stack([numbers[labels == c].bincount(minlength=parts) for c in range(CLASSES)])
    assert (sizes.amax(1) - sizes.amin(1)).max() <= 1
    assert numbers.bincount(minlength=parts).max() - numbers.bincount(minlength=parts).min() <= 1
