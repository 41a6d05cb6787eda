"""Images that look like one of another part are named before a training."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from whence.data import hash_pairs
from whence.records.images import ImageSet
from whence.runs import near_across
from whence.runs.near_across import describe_near, describe_near_folds


@pytest.fixture
def train(rng):
    """Six images of smooth noise."""
    coarse = torch.rand(6, 1, 20, 20, generator=rng)
    large = F.interpolate(coarse, size=(64, 64), mode="bicubic").clamp(0, 1)
    images = (large * 220).to(torch.uint8)
    return ImageSet(images, torch.arange(6) % 2, ("a", "b"), tuple(f"{k}.png" for k in range(6)))


def brighter(images, places):
    found = images.take(places)
    pixels = (found.images.float() * 1.1).to(torch.uint8)
    return replace(found, images=pixels, sources=tuple(f"new-{k}.png" for k in places))


def test_test_images_that_look_like_training_images_are_counted(train):
    first, rest = train.take([0, 1, 2]), train.take([3, 4, 5])
    assert describe_near(first, rest) == []
    assert describe_near(first, rest.take([])) == describe_near(first.take([]), rest) == []
    assert describe_near(first, first) == []  # equal pixels are said elsewhere
    (said,) = describe_near(first, brighter(first, [2]))
    assert said == (
        "1 test image looks like a training image (first: new-2.png and 2.png); accuracy on them says "
        "little about new images; whence report lists such pairs, and a column group in a table of "
        "labels keeps them in one part."
    )
    both = ImageSet(
        torch.cat([rest.images, brighter(first, [1, 0]).images]), torch.zeros(5), ("a", "b")
    )
    assert describe_near(first, both)[0].startswith(
        "2 test images look like a training image (first: image 3 and 1.png)"
    )


def test_images_that_look_like_one_of_another_fold_are_counted(train):
    more = brighter(train, [1, 4])
    images = replace(
        train,
        images=torch.cat([train.images, more.images, train.images[:1]]),
        labels=torch.cat([train.labels, more.labels, train.labels[:1]]),
        sources=(*train.sources, *more.sources, "copy.png"),
    )
    part_of = torch.tensor([0, 0, 1, 1, 0, 1, 1, 0, 1])  # 4 and its like are in one fold
    (said,) = describe_near_folds(images, part_of)
    assert said.startswith(
        "2 images look like an image of another fold (first: 1.png and new-1.png); accuracy on"
    )
    assert describe_near_folds(images, torch.zeros(9)) == []


def test_where_they_cannot_be_counted(train, monkeypatch):
    like = brighter(train, [0, 1])
    monkeypatch.setattr(hash_pairs, "MOST_PAIRS", 1)
    assert describe_near(train, like)[0].startswith("Near-duplicates were not counted: images must")
    part_of = torch.arange(2)
    same = replace(like, images=like.images[:1].repeat(2, 1, 1, 1))
    assert describe_near_folds(same, part_of) == []
    monkeypatch.setattr(hash_pairs, "MOST_PAIRS", 0)
    assert describe_near_folds(same, part_of)[0].startswith("Near-duplicates were not counted")
    monkeypatch.setattr(near_across, "find_spec", lambda name: None)
    assert describe_near(train, like) == describe_near_folds(same, part_of) == []
