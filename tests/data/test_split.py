"""Splits and stratified draws: disjoint, seeded, in proportion."""

import math

import pytest
import torch
from torch.testing import assert_close

from whence.data.split import split
from whence.data.stratify import stratified


def labels_of(*counts):
    """Labels with ``counts[k]`` images of class k, in mixed order."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(99))]


LARGE = labels_of(12_000, 8_000)
SMALL = labels_of(50, 30, 20)


def counts_of(labels, indices):
    return labels[indices].bincount(minlength=int(labels.max()) + 1).tolist()


def check_disjoint(parts, total, whole):
    both = torch.cat([parts.train, parts.validation])
    assert both.dtype == torch.int64
    assert len(both.unique()) == len(both)
    assert int(both.min()) >= 0
    assert int(both.max()) < total
    assert (len(both) == total) == whole


@pytest.mark.parametrize("labels, validation", [(LARGE, 6000), (SMALL, 10), (LARGE[:-1], 2000)])
def test_default_sizes(labels, validation):
    parts = split(labels, seed=0)
    assert len(parts.validation) == validation
    check_disjoint(parts, len(labels), whole=True)


def test_small_sets_are_stratified():
    parts = split(SMALL, seed=0)
    assert counts_of(SMALL, parts.validation) == [5, 3, 2]
    parts = split(SMALL, seed=0, train_examples=9)
    # of the 45, 27, 18 that are left: 4.5, 2.7, 1.8, rounded by largest remainder
    assert counts_of(SMALL, parts.train) == [4, 3, 2]


def test_large_sets_are_drawn_without_regard_to_class():
    """A stratified draw would give exactly 3,600 of the first class every time."""
    firsts = [counts_of(LARGE, split(LARGE, seed=seed).validation)[0] for seed in range(5)]
    assert len(set(firsts)) > 1
    assert all(abs(first - 3600) < 200 for first in firsts)


@pytest.mark.parametrize("labels", [LARGE, SMALL], ids=["large", "small"])
def test_validation_images_do_not_depend_on_train_examples(labels):
    whole = split(labels, seed=4)
    for train_examples in (1, 50, len(whole.train)):
        parts = split(labels, seed=4, train_examples=train_examples)
        assert_close(parts.validation, whole.validation)
        assert len(parts.train) == train_examples
        check_disjoint(parts, len(labels), whole=train_examples == len(whole.train))


@pytest.mark.parametrize("labels", [LARGE, SMALL], ids=["large", "small"])
def test_seeds(labels):
    first, again, other = (split(labels, seed=seed, train_examples=40) for seed in (0, 0, 1))
    assert_close(first.train, again.train)
    assert_close(first.validation, again.validation)
    assert not torch.equal(first.train, other.train)
    assert not torch.equal(first.validation.sort().values, other.validation.sort().values)


def test_large_split_by_hand():
    order = torch.randperm(20_000, generator=torch.Generator().manual_seed(3))
    parts = split(LARGE, seed=3, train_examples=1000)
    assert_close(parts.validation, order[:6000])
    assert_close(parts.train, order[6000:7000])


@pytest.mark.parametrize("labels", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("validation_examples", [0, 1, 7])
def test_validation_size_asked_for(labels, validation_examples):
    parts = split(labels, seed=0, validation_examples=validation_examples)
    assert len(parts.validation) == validation_examples
    check_disjoint(parts, len(labels), whole=True)


def test_every_class_is_validated_but_a_single_image_is_trained_on():
    labels = labels_of(1, 2, 30, 1)
    parts = split(labels, seed=0)
    assert counts_of(labels, parts.validation) == [0, 1, 2, 0]
    assert counts_of(labels, parts.train) == [1, 1, 28, 1]
    fewer = split(labels, seed=0, train_examples=30)
    assert counts_of(labels, fewer.train) == [1, 1, 27, 1]
    alone = split(torch.arange(3), seed=0)
    assert len(alone.validation) == 0
    assert sorted(alone.train.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("labels", [LARGE, SMALL], ids=["large", "small"])
def test_numbers_that_cannot_be_met(labels):
    total = len(labels)
    left = len(split(labels, seed=0).train)
    with pytest.raises(
        ValueError, match=f"train_examples must be from 1 to {left} .* got {left + 1}; leave"
    ):
        split(labels, seed=0, train_examples=left + 1)
    with pytest.raises(ValueError, match=r"train_examples must be from 1 .* got 0"):
        split(labels, seed=0, train_examples=0)
    with pytest.raises(
        ValueError, match=f"validation_examples must be from 0 to {total - 1} .* got {total}"
    ):
        split(labels, seed=0, validation_examples=total)
    with pytest.raises(ValueError, match=r"labels must be \(N\), got shape \(2, 3\)"):
        split(torch.zeros(2, 3, dtype=torch.int64), seed=0)


def test_classes_cannot_all_keep_an_image():
    with pytest.raises(
        ValueError, match=r"from 0 to 97 of 100 images, when every class keeps one, got 98"
    ):
        split(SMALL, seed=0, validation_examples=98)


# stratified


@pytest.mark.parametrize(
    "counts, examples, taken",
    [
        ((50, 30, 20), 10, [5, 3, 2]),
        ((6, 3, 1), 4, [3, 1, 0]),  # shares 2.4, 1.2, .4: the third class keeps its only image
        ((90, 5, 5), 10, [8, 1, 1]),  # shares 9, .5, .5: one of each, the first class pays
        ((90, 5, 5), 2, [2, 0, 0]),  # fewer than classes: the largest shares 1.8, .1, .1
        ((4, 0, 4), 4, [2, 0, 2]),
        ((3, 3), 4, [2, 2]),
        ((3, 3), 0, [0, 0]),
        ((5, 5, 5), 4, [2, 1, 1]),  # a tie goes to the first class
    ],
)
def test_shares_by_hand(counts, examples, taken, rng):
    labels = labels_of(*counts)
    drawn = stratified(labels, examples, generator=rng)
    assert len(drawn.unique()) == examples
    assert labels[drawn].bincount(minlength=len(counts)).tolist() == taken


@pytest.mark.parametrize("examples", range(0, 41, 4))
def test_shares_are_near_proportion(examples, rng):
    counts = torch.tensor([17, 11, 9, 3])
    taken = labels_of(*counts.tolist())[
        stratified(labels_of(*counts.tolist()), examples, generator=rng, leave_one=False)
    ]
    taken = taken.bincount(minlength=4)
    assert ((taken - counts * examples / 40).abs() < 1).all()


def test_every_image_of_a_class_is_drawn_equally_often(rng):
    labels = torch.tensor([0, 1, 0, 1, 0, 0])
    drawn = torch.stack([stratified(labels, 3, generator=rng) for _ in range(4000)])
    often = drawn.flatten().bincount(minlength=6) / 4000
    assert_close(often, torch.tensor([0.5] * 6), rtol=0, atol=5 * math.sqrt(0.25 / 4000))
    first = drawn[:, 0].bincount(minlength=6) / 4000  # the order is random too
    assert_close(first, torch.tensor([1 / 6] * 6), rtol=0, atol=0.03)


def test_stratified_rejects(rng):
    with pytest.raises(
        ValueError,
        match="examples must be from 0 to 4 of 6 images, when every class keeps one, got 5",
    ):
        stratified(labels_of(3, 3), 5, generator=rng)
    with pytest.raises(ValueError, match="examples must be from 0 to 6 of 6 images, got -1"):
        stratified(labels_of(3, 3), -1, generator=rng, leave_one=False)
