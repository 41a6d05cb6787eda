"""Images that count more or less than others in the loss."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.together import make, make_images
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe, rate_at

PLAIN = Recipe(learning_rate=5, momentum=0, nesterov=False, weight_decay=0, batch_size=22)
ONE = Plan(epochs=1, memory_size=9)


def trained(case="standard", counts=None, images=None, plan=ONE, recipe=PLAIN):
    model = make(case)
    fit(model, images or make_images(), recipe=recipe, plan=plan, counts=counts)
    return model


def test_one_step_by_hand():
    counts = torch.tensor([0.0, 2.0, 7.0] * 7 + [1.0])
    images, model = make_images(), make("standard").train()
    losses = F.cross_entropy(model(images.images), images.labels, reduction="none")
    (losses * counts).sum().div(counts.sum()).backward()
    found = trained(counts=counts)
    rate = rate_at(PLAIN, step=0, steps_per_epoch=1, epochs=1)
    for (name, after), before in zip(found.named_parameters(), model.parameters(), strict=True):
        step = torch.zeros_like(before) if before.grad is None else rate * before.grad
        assert_close(after, before - step, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("case", ["standard", "plain", "frozen", "votes"])
def test_counts_that_are_equal_change_nothing_and_others_do(case):
    plan = Plan(epochs=2, memory_size=9, freeze_encoder=case == "frozen")
    states = [
        trained(case, counts, plan=plan).state_dict()
        for counts in (None, torch.full((22,), 3.0), torch.arange(22) + 1.0)
    ]
    changed = False
    for name, value in states[0].items():
        assert_close(states[1][name], value)
        changed |= not torch.equal(states[2][name], value)
    assert changed


def test_the_class_of_an_image_that_counts_nothing_does_not_matter():
    counts = torch.ones(22)
    counts[::4] = 0
    images = make_images()
    other = images.take(range(22))
    other.labels[::4] = 2
    expected = trained(counts=counts).state_dict()
    assert_close(dict(trained(counts=counts, images=other).state_dict()), dict(expected))


@pytest.mark.parametrize(
    "counts, message",
    [
        (torch.ones(21), r"counts must be \(N\) with N=22"),
        (torch.zeros(22), "counts must be numbers from 0 on, not all of them 0"),
        (-torch.ones(22), "counts must be numbers from 0 on"),
        (torch.full((22,), torch.nan), "counts must be numbers from 0 on"),
    ],
)
def test_bad_counts(counts, message):
    with pytest.raises(ValueError, match=message):
        trained(counts=counts)
