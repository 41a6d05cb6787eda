"""Images put together in pairs: every pixel, and how much each of the two counts."""

import pytest
import torch
from torch.testing import assert_close

from whence.data import MIXINGS
from whence.data.mixing import cutmix, mixup


def plain(values, dtype=torch.uint8):
    """Images of one value each, (B, 2, 9, 7)."""
    return torch.tensor(values, dtype=dtype)[:, None, None, None].repeat(1, 2, 9, 7)


@pytest.mark.parametrize("name", MIXINGS)
def test_mixing_follows_the_generator_and_leaves_its_input(name, rng):
    images = torch.randint(0, 256, (20, 3, 8, 6), generator=rng, dtype=torch.uint8)
    before = images.clone()
    a, b, c = (
        MIXINGS[name](images, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert_close(images, before)
    assert_close(a.images, b.images)
    assert not torch.equal(a.images, c.images)
    assert a.others.sort().values.tolist() == list(range(20))  # every image comes into one
    assert bool((a.shares >= 0).all() & (a.shares <= 1).all())
    assert a.shares.std() > 0.1
    with pytest.raises(ValueError, match=r"images must be \(B, C, H, W\), got shape \(3, 8, 8\)"):
        MIXINGS[name](torch.zeros(3, 8, 8), generator=rng)


def test_mixup_lays_images_over_each_other(rng):
    values = torch.arange(0, 250, 10)
    mixed = mixup(plain(values.tolist()), generator=rng)
    own, other = values.double(), values[mixed.others].double()
    share = mixed.shares.double()
    expected = (share * own + (1 - share) * other) / 255
    assert_close(
        mixed.images.double(),
        expected[:, None, None, None].expand_as(mixed.images),
        atol=1e-6,
        rtol=0,
    )
    assert float(mixed.images.max()) <= 1


def test_cutmix_lays_a_box_of_one_image_into_another(rng):
    values = list(range(1, 200))
    mixed = cutmix(plain(values), generator=rng)
    came = mixed.images != plain(values)  # of the other image, unless that is the image itself
    for place, (other, share) in enumerate(zip(mixed.others, mixed.shares, strict=True)):
        if int(other) == place:
            continue
        box = came[place, 0]
        assert torch.equal(box, came[place, 1])
        assert torch.equal(
            mixed.images[place, :, box].unique(),
            torch.tensor([values[other]] if box.any() else []).to(torch.uint8),
        )
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows[:, None] & columns)  # a box
        for inside in (rows, columns):  # in one piece
            assert int(inside.to(torch.int8).diff().abs().sum()) <= 2
        assert float(share) == pytest.approx(1 - float(box.double().mean()), abs=1e-6)
    assert (
        0.55 < float(mixed.shares.mean()) < 0.8
    )  # what is cut off at borders counts for the image


def test_cutmix_keeps_the_type(rng):
    for dtype in (torch.uint8, torch.float32):
        assert cutmix(plain([1, 2, 3], dtype), generator=rng).images.dtype == dtype
