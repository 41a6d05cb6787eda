"""Cross-validation: how images are divided, what each training gets, and what is averaged."""

from dataclasses import replace

import pytest
import torch

from whence.records.images import Dataset, ImageSet, Marks
from whence.runs.folds import (
    describe_folds,
    divide_folds,
    read_fold,
    summarise_folds,
    summarise_seeds,
    take_fold,
)


@pytest.fixture
def pool():
    """40 different images of two classes, a third of them rarer, in 10 groups."""
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 1, 4, 4)
    labels = (torch.arange(40) % 4 == 0).long()
    marks = Marks(
        groups=torch.arange(40) // 4, validation=torch.tensor([1]), counts=torch.arange(40.0)
    )
    train = ImageSet(images, labels, ("a", "b"), tuple(f"{k}.png" for k in range(40)))
    return Dataset("x", train, train.take([]), ("look",), marks)


def test_every_image_is_tested_once_and_no_group_is_divided(pool):
    tested = []
    for number in range(1, 6):
        found, pooled = take_fold(pool, f"{number}/5", 0)
        assert len(found.test) == 8
        assert found.test.labels.bincount().tolist() == [6, 2]
        learnt = set(pool.marks.groups[pooled.learnt].tolist())
        assert not learnt & set(pool.marks.groups[pooled.tested].tolist())
        assert found.train.sources == tuple(f"{place}.png" for place in pooled.learnt.tolist())
        assert found.test.sources == tuple(f"{place}.png" for place in pooled.tested.tolist())
        assert found.marks.groups.equal(pool.marks.groups[pooled.learnt])
        assert found.marks.counts.equal(pool.marks.counts[pooled.learnt])
        assert found.marks.validation is None
        assert (found.notes, found.name, pooled.images) == (("look",), "x", pool.train)
        tested += pooled.tested.tolist()
    assert sorted(tested) == list(range(40))


def test_images_without_groups_are_stratified(pool):
    parts = divide_folds(replace(pool, marks=Marks()), 10, 0)
    for fold in range(10):
        assert pool.train.labels[parts == fold].bincount(minlength=2).tolist() == [3, 1]
    with pytest.raises(
        ValueError, match="folds must be at most 30, the images of the largest class"
    ):
        divide_folds(replace(pool, marks=Marks()), 31, 0)
    with pytest.raises(ValueError, match="at least 11 to be divided into 11 parts, got 10"):
        divide_folds(pool, 11, 0)


@pytest.mark.parametrize("marks", [Marks(), Marks(groups=torch.arange(40) // 4)])
def test_another_seed_divides_anew(pool, marks):
    dataset = replace(pool, marks=marks)
    first = divide_folds(dataset, 5, 0)
    assert divide_folds(dataset, 5, 0).equal(first)
    assert not divide_folds(dataset, 5, 1).equal(first)
    assert take_fold(dataset, "2/5", 1)[1].tested.equal(
        (divide_folds(dataset, 5, 1) == 1).nonzero().flatten()
    )
    assert "with seed 1:" in describe_folds(dataset, 5, 1)[0]


def test_what_folds_are_is_said(pool):
    assert describe_folds(pool, 5, 0) == [
        "40 images are divided into 5 folds of whole groups, classes alike, with seed 0: 8 to 8 images "
        "each.",
        "Validation images that the data name are divided as well; others are drawn.",
    ]
    plain = replace(pool, marks=Marks(), test=pool.train.take([0, 1]))
    plain.train.images[1] = plain.train.images[0]
    parts = divide_folds(plain, 20, 0).tolist()
    apart = next(part for part in range(20) if part not in parts[:2])
    first, second = (place for place, part in enumerate(parts) if part == apart)
    plain.train.images[second] = plain.train.images[first]  # both are tested in one fold
    found = describe_folds(plain, 20, 0)
    assert found[1:3] == [
        "The 2 test images stay out of the folds.",
        "Not every fold has an image of 'b'.",
    ]
    assert found[3].startswith(
        "2 images are in two folds or more (first: 0.png = 1.png); give them"
    )


@pytest.fixture(autouse=True)
def own_pixels(pool):
    object.__setattr__(pool.train, "images", pool.train.images.clone())


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "5", "a/b", "-1/5", "1/5/2"])
def test_bad_folds(text):
    with pytest.raises(
        ValueError, match=f"fold must be K/N, such as 2/5 for the second of five, got '{text}'"
    ):
        read_fold(text)


def test_what_is_averaged():
    def one(right, auroc, probe):
        classes = [
            {"class": "a", "right": right, "recall": right / 4},
            {"class": "b", "right": 1, "recall": None},
        ]
        test = {"images": 6, "accuracy": right / 6, "balanced_accuracy": 0.5, "by_class": classes}
        test["flag"] = {"auroc": auroc}
        return {
            "test": test
            if probe is None
            else {**test, "beside": {"linear_probe": {"accuracy": probe}}}
        }

    found = summarise_folds([one(2, 0.5, 0.75), one(4, None, 0.25)])
    assert (found["folds"], found["images"], found["right"]) == (2, 12, 8)
    measures = found["measures"]
    assert measures["accuracy"]["mean"] == pytest.approx(0.5)
    assert measures["accuracy"]["std"] == pytest.approx(1 / 6)
    assert measures["recall of a"] == {"values": [0.5, 1], "mean": 0.75, "std": 0.25}
    assert measures["recall of b"] == {"values": [None, None], "mean": None, "std": None}
    assert measures["AUROC of the error probability"]["mean"] == 0.5
    assert measures["linear probe"]["mean"] == 0.5
    assert "linear probe" not in summarise_folds([one(2, 0.5, None), one(4, 0.5, 0.5)])["measures"]


def test_seeds_count_by_the_mean_of_their_folds():
    def one(values):
        return {"measures": {"accuracy": {"values": values, "mean": values[0], "std": 9}}}

    found = summarise_seeds({0: one([0.5, 0.1]), 1: one([0.75, 0.2])})
    assert found == {
        "seeds": [0, 1],
        "measures": {"accuracy": {"values": [0.5, 0.75], "mean": 0.625, "std": 0.125}},
    }
