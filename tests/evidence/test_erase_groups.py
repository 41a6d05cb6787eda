"""Keys that do not see what group an image is of."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import whence
from whence.memory.keys import KEY, find_group_directions, link_groups
from whence.memory.votes import Votes
from whence.models.using import encode_frozen
from whence.records.images import ImageSet

SHAPE = (1, 4, 4)


def draw_biased(count, share, seed):
    """Images of two classes that differ by noise in the upper rows, and by group in the lower ones.

    A share of the images has the group of the other class.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    other = torch.rand(count, generator=generator) < share
    groups = torch.where(other, 1 - labels, labels)
    pixels = 128 + 30 * torch.randn(count, *SHAPE, generator=generator)
    pixels[:, 0, 0] += 30 * (2 * labels - 1)[:, None]
    pixels[:, 0, 2:] += 90 * (2 * groups - 1)[:, None, None]
    return ImageSet(pixels.clamp(0, 255).byte(), labels, ("a", "b")), groups


@pytest.fixture(scope="module")
def biased():
    train, groups = draw_biased(120, 0.03, 0)
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 20))
    model = whence.wrap(encoder, train.class_names, variant="votes", image_shape=SHAPE).eval()
    whence.fit(model, train, plan=whence.Plan(60, 40, freeze_encoder=True))
    return model.remember(train), groups


def share_right(model, images):
    return float((model(images.images).argmax(1) == images.labels).double().mean())


def test_answers_for_images_of_the_other_group_are_mended(biased):
    model, groups = biased
    asked, of = draw_biased(400, 0.5, 1)
    rare = ImageSet(*(one[of != asked.labels] for one in (asked.images, asked.labels)), ("a", "b"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    erased = whence.erase_groups(model, groups)
    assert share_right(model, rare) < 0.5
    assert share_right(erased, rare) > 0.85
    assert erased.bank.indices.equal(model.bank.indices)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_threshold_ends_with_the_keys_it_was_chosen_for(biased):
    model, groups = biased
    decided = copy.copy(model)
    decided.decision = whence.choose_threshold(model, draw_biased(60, 0.0, 3)[0], "a", cost=5)
    assert whence.erase_groups(decided, groups).decision is None
    assert decided.decision is not None


def test_directions_are_those_of_a_ridge_regression():
    generator = torch.Generator().manual_seed(0)
    labels, groups = (torch.randint(0, n, (60,), generator=generator) for n in (3, 4))
    features = torch.randn(60, 9, generator=generator, dtype=torch.float64)
    features += torch.randn(4, 9, generator=generator, dtype=torch.float64)[groups]
    found = find_group_directions(features, labels, groups)
    design = np.concatenate([np.eye(3)[labels], np.eye(4)[groups]], 1)
    fitted = Ridge(1.0, fit_intercept=False).fit(design, (features - features.mean(0)).numpy())
    effects = torch.tensor(fitted.coef_.T[3:])
    differing = effects - effects.mean(0)
    torch.testing.assert_close(found @ found.T, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(differing @ found.T @ found, differing)


def test_directions_are_those_of_groups_and_not_of_classes_that_mostly_go_with_them():
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(90) % 3
    groups = torch.where(torch.rand(90, generator=generator) < 0.7, labels, labels.roll(1))
    classes, effects = torch.eye(8)[:3] * 5, torch.eye(8)[4:7] * 9
    found = find_group_directions(classes[labels] + effects[groups], labels, groups)
    differences = effects[1:] - effects[:1]
    torch.testing.assert_close(differences @ found.T @ found, differences, atol=0.5, rtol=0)
    assert float((classes @ found.T).abs().max()) < 0.5  # a ridge bends a little


def test_what_is_of_the_class_alone_stays_where_no_group_links_it():
    """Classes 0 and 1 share the groups 0 and 1; class 2 has a group of its own."""
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2]).repeat(6)
    groups = torch.tensor([0, 0, 1, 1, 0, 2, 2]).repeat(6)
    assert link_groups(labels, groups).tolist() == [0, 0, 1]
    features = torch.eye(6)[labels] * 5 + torch.eye(6)[3 + groups] * 9
    found = find_group_directions(features, labels, groups)
    assert found.shape == (1, 6)
    wanted = torch.tensor([[0, 0, 0, 1.0, -1.0, 0]]) / 2**0.5
    assert abs(float(found @ wanted.T)) > 0.99


@pytest.mark.parametrize("width", [20, KEY + 30])
@pytest.mark.parametrize("classifier", ["mlp", "linear"])
def test_keys_see_nothing_of_the_directions(width, classifier):
    generator = torch.Generator().manual_seed(1)
    labels, groups = (torch.randint(0, 3, (200,), generator=generator) for _ in range(2))
    features = torch.randn(200, width, generator=generator)
    head = Votes(width, 3, classifier=classifier).eval()
    head.plain_share = 1.0
    head.compare_within_groups(features, labels, groups)
    assert head.width == KEY
    level = head.level(features)
    telling = find_group_directions(level, labels, groups)
    moved = level + torch.randn(200, 2, generator=generator) @ telling * 5
    torch.testing.assert_close(head.keys(moved), head.keys(level), rtol=0, atol=1e-4)
    kept = level - level @ telling.T @ telling
    if width <= KEY:
        torch.testing.assert_close(
            head.keys(level) @ head.keys(level).T, kept @ kept.T, rtol=1e-4, atol=1e-3
        )


def test_validation_images_choose_how_many_count_and_features_may_be_given(biased):
    model, groups = biased
    chosen, _ = draw_biased(60, 0.5, 2)
    features = encode_frozen(model, model.bank.images)
    found = whence.erase_groups(model, groups, validation=chosen)
    given = whence.erase_groups(
        model,
        [f"camera {one}" for one in groups.tolist()],
        features=features,
        validation=chosen,
    )
    asked = chosen.images[:9]
    assert torch.equal(found(asked), given(asked))


def test_what_cannot_be_erased_is_one_sentence(biased):
    model, groups = biased
    with pytest.raises(ValueError, match="the group of each of 120 stored images, got 3"):
        whence.erase_groups(model, ["a", "b", "c"])
    for same in (["a"] * 120, model.bank.labels):
        with pytest.raises(ValueError, match="no class has stored images of two groups"):
            whence.erase_groups(model, same)
    blind = whence.edit(model, remove=0)
    blind.attach(replace(blind.bank, images=None))
    with pytest.raises(ValueError, match="Keys are made from the pixels"):
        whence.erase_groups(blind, groups[1:])
    other = whence.wrap("small_cnn", 2, image_shape=(1, 8, 8)).eval()
    other.remember(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="Votes alone take other keys"):
        whence.erase_groups(other, [0, 1, 1, 0])
