"""Parts that no recipe has do what they are said to do."""

import torch

import whence
from benchmarks.untaken_parts import DECAY, fit_averaged, look_up_alternating
from whence.training.fit import fit


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


def build():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", 2, variant="standard", image_shape=(1, 8, 8))


def last(model):
    """The parameters of its last layer."""
    return [*model.head.parameters()][-2].detach()


def test_the_mean_of_the_parameters_answers():
    images = torch.randint(0, 256, (12, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    train = whence.ImageSet(images.byte(), torch.arange(12) % 2, ("a", "b"))
    plan = whence.Plan(epochs=2, memory_size=4, seed=3)
    plain, averaged = (build() for _ in range(2))
    steps = []
    fit(plain, train, plan=plan, on_step=lambda _: steps.append(last(plain).clone()))
    fit_averaged(averaged, train, plan=plan)
    expected = steps[0]
    for step in steps[1:]:
        expected = DECAY * expected + (1 - DECAY) * step
    found = last(averaged)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, steps[-1], atol=1e-6)
