"""The linear probe, against scikit-learn's own answers."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from whence.training import probe as module
from whence.training.labelled import Labelled
from whence.training.probe import PENALTIES, fit_one, fit_probe, loss_of


def draw(rng, total, classes, width=8, noise=1.0):
    labels = torch.arange(total) % classes
    spots = torch.eye(classes, width)[labels] * 3
    return Labelled(spots + noise * torch.randn(total, width, generator=rng) + 5, labels)


@pytest.mark.parametrize("classes", [2, 4])
def test_it_answers_as_scikit_learn_does_on_standardised_features(rng, classes):
    train, asked = draw(rng, 60, classes), draw(rng, 20, classes)
    mean, deviation = train.features.mean(0), train.features.std(0, correction=0) + 1e-3
    fitted = LogisticRegression(C=0.01, max_iter=300)
    fitted.fit(((train.features - mean) / deviation).numpy(), train.labels.numpy())
    expected = fitted.predict_log_proba(((asked.features - mean) / deviation).numpy())
    found = fit_one(train, classes, 0.01).log_probabilities(asked.features)
    assert_close(found, torch.from_numpy(expected).float(), rtol=1e-3, atol=1e-4)


def test_the_penalty_is_the_one_under_which_other_images_are_likeliest(rng):
    train, asked = (draw(rng, total, 3, width=30, noise=3.0) for total in (60, 90))
    losses = {one: loss_of(fit_one(train, 3, one), asked) for one in PENALTIES}
    best = min(losses, key=losses.__getitem__)
    assert best not in (PENALTIES[0], PENALTIES[-1])
    assert fit_probe(train, asked, 3).penalty == best


def test_without_other_images_a_fifth_is_kept_for_the_choice_and_all_are_fitted(rng):
    train = draw(rng, 60, 3, noise=3.0)
    found = fit_probe(train, None, 3)
    assert_close(found.weight, fit_one(train, 3, found.penalty).weight)
    assert_close(found.mean, train.features.mean(0))
    single = train.take(torch.arange(3))
    assert fit_probe(single, None, 3).penalty == PENALTIES[1]


def test_a_class_without_images_is_never_answered(rng):
    train = draw(rng, 40, 3)
    found = fit_one(train.take(train.labels != 1), 3, 0.1).log_probabilities(train.features)
    assert found[:, 1].exp().max() == 0
    assert_close(found.exp().sum(1), torch.ones(40))
    alone = fit_one(train.take(train.labels == 2), 3, 0.1).log_probabilities(train.features)
    assert alone.argmax(1).unique().tolist() == [2]


def test_very_many_images_are_thinned_class_by_class(rng, monkeypatch):
    monkeypatch.setattr(module, "FITTED_IMAGES", 30)
    train = draw(rng, 90, 3)
    found = fit_probe(train, draw(rng, 30, 3), 3)
    assert not torch.equal(found.mean, train.features.mean(0))
    assert_close(found.mean, train.features.mean(0), rtol=0.3, atol=0.5)
