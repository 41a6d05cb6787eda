"""Sharpness-aware steps by hand, and in trainings."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.records.images import ImageSet
from whence.training.distributed import Team
from whence.training.fit import fit
from whence.training.plan import Plan, check_plan
from whence.training.recipes import Recipe
from whence.training.sharpness import choose_climb, move_uphill


def test_parameters_climb_and_come_back():
    """The loss (9 a^2 + 16 b^2) / 2 at (1/3, 1/4) has the gradient (3, 4), of norm 5."""
    module = nn.Module()
    module.a, module.b = nn.Parameter(torch.tensor([1 / 3])), nn.Parameter(torch.tensor([0.25]))
    module.unused = nn.Parameter(torch.ones(2))
    module.register_buffer("seen", torch.zeros(()))

    def loss():
        module.seen += 1
        return (9 * module.a**2 + 16 * module.b**2).sum() / 2

    loss().backward()
    with move_uphill(module, 0.5):
        assert_close(module.a, torch.tensor([1 / 3 + 0.3]))
        assert_close(module.b, torch.tensor([0.25 + 0.4]))
        again = loss()
        module.zero_grad()
        again.backward()
    assert torch.equal(module.a, torch.tensor([1 / 3]))
    assert torch.equal(module.b, torch.tensor([0.25]))
    assert_close(module.a.grad, torch.tensor([9 * (1 / 3 + 0.3)]))
    assert_close(module.b.grad, torch.tensor([16 * 0.65]))
    assert int(module.seen) == 1
    assert torch.equal(module.unused, torch.ones(2))


def test_parameters_come_back_after_an_error():
    module = nn.Linear(2, 1)
    module(torch.ones(1, 2)).sum().backward()
    before = module.weight.clone()
    with pytest.raises(RuntimeError, match="stopped"), move_uphill(module, 1.0):
        raise RuntimeError("stopped")
    assert torch.equal(module.weight, before)


def test_no_gradient_is_no_way_up():
    module = nn.Linear(2, 1)
    (module(torch.ones(1, 2)) * 0).sum().backward()
    before = module.weight.clone()
    with move_uphill(module, 1.0):
        assert torch.equal(module.weight, before)
    assert choose_climb(module, 0.0) is None


def make_images(rng):
    labels = torch.arange(24) % 3
    noise = torch.randint(0, 60, (24, 1, 6, 7), generator=rng)
    return ImageSet(
        (noise + 60 * labels[:, None, None, None]).to(torch.uint8), labels, tuple("abc")
    )


def test_a_training_takes_its_gradients_uphill(rng):
    """Beside plain steps that are written out, with BatchNorm, whose statistics move once a step."""
    images = make_images(rng)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    recipe = Recipe(
        learning_rate=0.05, batch_size=24, momentum=0.0, nesterov=False, sharpness_radius=0.3
    )
    torch.manual_seed(0)
    model = whence.wrap(encoder, 3, variant="standard", image_shape=(1, 6, 7), std=(0.5,))
    slow = copy.deepcopy(model).train()
    fit(model, images, recipe=recipe, plan=Plan(3))
    generator = torch.Generator().manual_seed(0)
    for epoch in range(3):
        order = torch.randperm(24, generator=generator)
        rate = 0.05 * 0.1 ** ((epoch >= 1) + (epoch >= 2))

        def gradients(order=order):
            loss = F.cross_entropy(slow(images.images[order]), images.labels[order])
            return torch.autograd.grad(loss, list(slow.parameters()))

        first = gradients()
        statistics = {name: one.clone() for name, one in slow.named_buffers()}
        norm = sum(float((one**2).sum()) for one in first) ** 0.5
        with torch.no_grad():
            kept = [one.clone() for one in slow.parameters()]
            for one, gradient in zip(slow.parameters(), first, strict=True):
                one.add_(0.3 * gradient / norm)
        second = gradients()
        with torch.no_grad():
            for one, before, gradient in zip(slow.parameters(), kept, second, strict=True):
                one.copy_(before - rate * (gradient + recipe.weight_decay * before))
            for name, one in slow.named_buffers():
                one.copy_(statistics[name])
    for name, found in model.state_dict().items():
        assert_close(found, slow.state_dict()[name], rtol=1e-4, atol=1e-6, msg=name)


def test_one_process_alone_takes_such_steps():
    recipe = Recipe(sharpness_radius=0.05)
    check_plan(100, recipe, Plan(1, 10), False, Team())
    with pytest.raises(ValueError, match="sharpness_radius must be 0 where 2 processes train one"):
        check_plan(100, recipe, Plan(1, 10), False, Team(rank=1, size=2))
