"""Parts that no recipe has do what they are said to do."""

import pytest
import torch

import whence
from benchmarks.untaken_parts import fit_alternating, look_up_alternating


def test_every_image_is_mirrored_in_every_other_epoch():
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(40).view(20, 1, 1, 2).to(torch.uint8)
    look_up = look_up_alternating(images, "flip", generator)
    seen = []
    for _ in range(4):
        order = torch.randperm(20, generator=generator)
        found = torch.empty_like(images)
        found[order] = look_up(order)
        seen.append((found != images).flatten(1).all(1))
    assert (seen[0] ^ seen[1]).all()
    assert seen[0].equal(seen[2])
    assert seen[1].equal(seen[3])
    assert 4 < int(seen[0].sum()) < 16


def test_images_of_a_memory_are_refused():
    model = whence.wrap("small_cnn", 2, variant="memory-wrap", image_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="Images of a memory are not seen once an epoch"):
        fit_alternating(model)
