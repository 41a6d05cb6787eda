"""Training images are answered by votes that were trained without them."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.explaining import draw_images
from whence.evidence.answers import signals_of
from whence.evidence.calibrate import fit_calibration
from whence.evidence.out_of_fold import THIRDS, Encoded, answer_out_of_fold
from whence.models.using import encode_frozen
from whence.records.images import ImageSet
from whence.training.plan import Plan
from whence.training.recipes import RECIPES

NAMES = ("ant", "bee", "cow")
RECIPE = RECIPES["at-once"]
PLAN = Plan(3, memory_size=10, seed=5, freeze_encoder=True)


def draw_set(labels, seed):
    return ImageSet(draw_images(len(labels), seed=seed), torch.as_tensor(labels), NAMES)


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 9))
    model = whence.wrap(
        encoder, NAMES, variant="votes", image_shape=(1, 3, 4), drop_classifier=False
    )
    train, validation = draw_set([0, 1, 2] * 12, 1), draw_set([0, 1, 2] * 8, 2)
    whence.fit(model, train, recipe=RECIPE, plan=PLAN, validation=validation)
    model.remember(train.images, train.labels)
    return model, *(Encoded(one, encode_frozen(model, one.images)) for one in (train, validation))


def ask(model, train, validation, **options):
    return answer_out_of_fold(model, train, validation, recipe=RECIPE, plan=PLAN, **options)


def by_hand(model, train, validation, folds):
    """Errors, and how far the nearest stored image is, in the order of the folds."""
    wrong, nearest = [], []
    for fold in range(THIRDS):
        stays = (folds != fold).nonzero()[:, 0]
        learner = copy.deepcopy(model)
        kept = train.images.take(stays)
        whence.fit(learner, kept, recipe=RECIPE, plan=PLAN, validation=validation.images)
        learner.remember(kept.images, kept.labels)
        learner.decision = model.decision
        out = train.images.take((folds == fold).nonzero()[:, 0])
        answers = whence.predict(learner, out.images)
        wrong += [one.predicted != int(y) for one, y in zip(answers, out.labels, strict=True)]
        explained = whence.explain(learner, out.images)
        best = [max(item.similarity for item in one.nearest) for one in explained]
        nearest += [1 - one for one in best]
    return torch.tensor(wrong), torch.tensor(nearest, dtype=torch.float64)


def test_they_are_the_answers_of_three_trainings(trained):
    found = ask(*trained)
    folds = torch.arange(36) // 3 % 3  # every third image of each class
    wrong, nearest = by_hand(*trained, folds)
    assert torch.equal(found.wrong, wrong)
    assert 3 < int(wrong.sum()) < 33, "the case is degenerate"
    assert found.doubts.shape == (36, len(signals_of(trained[0])))
    assert_close(found.doubts[:, 0], nearest, atol=1e-3, rtol=1e-4)


def test_groups_are_not_divided_and_the_threshold_decides(trained):
    model, train, validation = trained
    model = copy.deepcopy(model)
    model.decision = whence.choose_threshold(model, validation.images, "bee", recall=1.0)
    groups = torch.arange(36) // 6 + 7
    found = ask(model, train, validation, groups=groups)
    wrong, _ = by_hand(model, train, validation, (groups - 7) % 3)
    assert torch.equal(found.wrong, wrong)
    assert not torch.equal(found.wrong.sort().values, ask(*trained).wrong.sort().values)


def test_a_memory_of_more_images_than_a_third_leaves_is_cut(trained):
    model, train, validation = trained
    plan = replace(PLAN, memory_size=36)
    found = answer_out_of_fold(model, train, validation, recipe=RECIPE, plan=plan)
    assert torch.equal(found.wrong, ask(*trained).wrong)


def test_enough_answers_are_enough(trained, monkeypatch):
    monkeypatch.setattr("whence.evidence.out_of_fold.ENOUGH", 13)
    found = ask(*trained)
    assert len(found.wrong) == 24
    monkeypatch.undo()
    assert torch.equal(found.wrong, ask(*trained).wrong[:24])


def test_copies_of_what_was_trained_on_are_left_out(trained):
    model, train, validation = trained
    images = train.images.images.clone()
    images[3] = images[0]  # of one class, in two folds
    copied = ImageSet(images, train.images.labels, NAMES)
    found = ask(model, Encoded(copied, encode_frozen(model, images)), validation)
    assert len(found.wrong) == 34


def test_images_that_are_all_copies_give_no_answer(trained):
    model, train, validation = trained
    everywhere = train.take(torch.arange(6).repeat(6))  # each image in every third
    assert ask(model, everywhere, validation) is None


def test_a_third_that_no_image_teaches_is_not_asked(trained):
    folds = torch.arange(36) // 3 % 3
    counts = (folds == 2).float()  # asked about the last third, only images of 0 are left
    found = ask(*trained, counts=counts)
    assert len(found.wrong) == 24
    assert not torch.equal(found.doubts, ask(*trained).doubts[:24])


def test_a_class_with_too_few_images_is_not_divided(trained):
    model, train, validation = trained
    few = train.take(torch.tensor([0, 1, 3, 4, 6, 7, 9, 10, 2, 5]))
    assert ask(model, few, validation) is None


def test_the_model_is_left_as_it_is_and_the_calibration_counts_them_all(trained):
    model, train, validation = trained
    before = copy.deepcopy(model)
    more = ask(model, train, validation)
    assert torch.equal(before(validation.images.images), model(validation.images.images))
    found = whence.calibrate(model, validation.images, more=more)
    alone = whence.calibrate(model, validation.images)
    assert (found.images, alone.images) == (60, 24)
    assert found.errors == alone.errors + int(more.wrong.sum())
    only = fit_calibration(more.doubts, more.wrong, signals_of(model))
    assert found.intercept != alone.intercept != only.intercept
