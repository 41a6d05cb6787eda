"""Whether mirrored images still look like their class."""

import pytest
import torch
from torch.nn import functional as F

from whence.data import DATASETS
from whence.data.digits import digits
from whence.data.mirror import MAY_MIRROR, SMALL_SIDE, compare_mirrored
from whence.records.images import ImageSet


def make_bars(rng, *, sides):
    """Dark images with a bright bar at one of the given fifths of their width, one class each."""
    labels = torch.arange(60) % len(sides)
    images = torch.randint(0, 60, (60, 1, 10, 10), generator=rng)
    for place, label in enumerate(labels.tolist()):
        start = 2 * sides[label]
        images[place, :, :, start : start + 2] += 150
    return ImageSet(images.to(torch.uint8), labels, ("first", "second"))


def test_left_and_right_may_not_be_exchanged(rng):
    found = compare_mirrored(make_bars(rng, sides=(0, 4)))
    assert found == (60, 60, 0, False)


def test_what_is_alike_on_both_sides_may_be_mirrored(rng):
    labels = torch.arange(60) % 2
    middle = make_bars(rng, sides=(2, 2)).images
    rows = torch.where(labels[:, None, None, None] == 0, middle, middle.mT)
    assert compare_mirrored(ImageSet(rows, labels, ("upright", "lying"))) == (60, 60, 60, True)


def test_classes_that_nobody_can_tell_apart_may_be_mirrored(rng):
    images = torch.randint(0, 256, (80, 3, 40, 40), generator=rng).to(torch.uint8)
    found = compare_mirrored(ImageSet(images, torch.arange(80) % 2, ("a", "b")))
    assert found.may
    assert 20 < found.right < 60


def test_digits_become_others(tmp_path):
    assert not compare_mirrored(digits(tmp_path).train.take(range(60))).may


def test_done_slowly(rng):
    """Image by image, on copies of at most 16 pixels a side."""
    images = torch.randint(0, 256, (30, 2, 20, 7), generator=rng).to(torch.uint8)
    labels = torch.arange(30) % 3
    found = compare_mirrored(ImageSet(images, labels, ("a", "b", "c")))
    small = F.adaptive_avg_pool2d(images.double(), (SMALL_SIDE, 7))
    right = {False: 0, True: 0}
    for mirrored in right:
        for i in range(30):
            asked = (
                F.adaptive_avg_pool2d(images[i].double().flip(-1), (SMALL_SIDE, 7))
                if mirrored
                else small[i]
            )
            distances = [
                float((asked - small[j]).norm()) if j != i else float("inf") for j in range(30)
            ]
            right[mirrored] += int(labels[distances.index(min(distances))] == labels[i])
    assert (found.right, found.mirrored_right) == (right[False], right[True])


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_named_dataset_is_known(name):
    assert MAY_MIRROR[name] == (name in ("cifar10", "cinic10"))
