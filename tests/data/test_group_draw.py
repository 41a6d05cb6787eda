"""Whole groups: none is divided, classes keep their shares, and what cannot be is said."""

import pytest
import torch

from whence.data.draw_test import draw_test
from whence.data.group_draw import divide_groups, draw_groups, number_groups
from whence.data.split import split
from whence.records.images import Marks


def make(groups=20, each=10, classes=2):
    labels = torch.arange(groups * each) % classes
    return labels, torch.arange(groups).repeat_interleave(each)


def groups_of(groups, places):
    return set(groups[places].tolist())


def test_parts_hold_whole_groups_and_like_classes():
    labels, groups = make()
    parts = divide_groups(labels, groups, 5, seed=0)
    assert parts.unique().tolist() == [0, 1, 2, 3, 4]
    for part in range(5):
        inside = parts == part
        assert not groups_of(groups, inside) & groups_of(groups, ~inside)
        assert labels[inside].bincount().tolist() == [20, 20]
    assert (divide_groups(labels, groups, 5, seed=1) != parts).any()
    assert (divide_groups(labels, groups, 5, seed=0) == parts).all()
    with pytest.raises(ValueError, match="at least 21 to be divided into 21 parts, got 20"):
        divide_groups(labels, groups, 21, seed=0)


def test_a_draw_is_near_the_size_asked_for():
    labels, groups = make()
    for wanted in (10, 20, 40, 100):
        places = draw_groups(labels, groups, wanted, seed=3, class_names=("a", "b"))
        assert len(places) == wanted
        rest = torch.ones(200, dtype=torch.bool)
        rest[places] = False
        assert not groups_of(groups, places) & groups_of(groups, rest)


def test_every_class_stays_outside():
    labels = torch.tensor([0] * 30 + [1] * 4)
    groups = torch.tensor([0, 1, 2] * 10 + [0, 0, 1, 1])  # class 1 is in two of three groups
    for seed in range(5):
        places = draw_groups(labels, groups, 10, seed=seed, class_names=("a", "b"))
        left = torch.ones(34, dtype=torch.bool)
        left[places] = False
        assert labels[left].unique().tolist() == [0, 1]
        assert labels[places].unique().tolist() == [0, 1]


def test_what_no_draw_can_do_is_said():
    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    with pytest.raises(ValueError, match="Class 'a' must have images of at least two groups"):
        draw_groups(
            torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1]), 2, seed=0, class_names="ab"
        )
    with pytest.raises(ValueError, match=r"two groups, so that some .* all 6 images are of one"):
        draw_test(
            labels, ("a", "b", "c"), "x.csv", groups=torch.zeros(6, dtype=torch.int64), seed=0
        )
    with pytest.raises(
        ValueError, match=r"Class 'b' in x must have at least 2 images, .* it has 1"
    ):
        draw_test(torch.tensor([0, 0, 1]), ("a", "b"), "x", seed=0)


def test_validation_images_are_whole_groups():
    labels, groups = make()
    found = split(labels, seed=1, marks=Marks(groups=groups))
    assert len(found.validation) == 20
    assert not groups_of(groups, found.train) & groups_of(groups, found.validation)
    assert len(found.train) == 180
    fewer = split(labels, seed=1, train_examples=30, marks=Marks(groups=groups))
    assert fewer.validation.equal(found.validation)
    assert not groups_of(groups, fewer.train) & groups_of(groups, found.validation)
    assert labels[fewer.train].bincount().tolist() == [15, 15]
    none = split(labels, seed=1, validation_examples=0, marks=Marks(groups=groups))
    assert len(none.validation) == 0


def test_one_group_is_divided_as_images_without_groups_are():
    labels, groups = make(groups=1, each=50)
    found = split(labels, seed=1, marks=Marks(groups=groups))
    assert found.validation.equal(split(labels, seed=1).validation)


def test_given_validation_images_are_taken():
    labels, _ = make()
    marks = Marks(validation=torch.tensor([3, 7]))
    found = split(labels, seed=1, marks=marks)
    assert found.validation.tolist() == [3, 7]
    assert sorted([*found.train.tolist(), 3, 7]) == list(range(200))
    assert split(labels, seed=2, marks=marks).train.tolist() != found.train.tolist()
    with pytest.raises(
        ValueError, match="cannot be chosen, the data name 2 validation images, got 5"
    ):
        split(labels, seed=1, validation_examples=5, marks=marks)


def test_groups_are_numbered_as_they_come():
    assert number_groups(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
