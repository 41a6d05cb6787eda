"""Planted truth: triggers are where they are said to be, and nothing else tells their class."""

import torch

from benchmarks.planted_trigger import stamp
from whence.records.images import ImageSet
from whence.seeds import make_generator


def test_half_of_the_other_classes_images_are_stamped_and_become_the_first_class():
    generator = make_generator(0)
    labels = torch.arange(60) % 3
    images = torch.full((60, 2, 16, 20), 7, dtype=torch.uint8)
    before = ImageSet(images, labels, ("a", "b", "c"))
    stamped = stamp(before, generator)
    assert len(stamped.images) == 40
    marked = stamped.truth.any((1, 2))
    assert marked.tolist() == [True, False] * 20
    assert torch.equal(stamped.images.labels == 0, marked)
    assert stamped.truth.sum((1, 2))[marked].tolist() == [4] * 20
    pixels = stamped.images.images
    assert torch.equal((pixels != 7).all(1), stamped.truth)
    assert set(pixels[pixels != 7].tolist()) == {85, 170}
    assert len({tuple(one.nonzero()[0].tolist()) for one in stamped.truth[marked]}) > 10
    assert bool((images == 7).all())
    assert len(before) == 60
