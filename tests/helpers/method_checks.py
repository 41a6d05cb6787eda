"""What every attribution method owes, as checks that a new method can be put through, too."""

import torch
from torch.testing import assert_close

import whence
from tests.helpers.attributing import Quadratic, make, same_state, state_of

FEW = {
    "expected_gradients": {"samples": 3},
    "smoothgrad": {"samples": 3},
    "occlusion": {"patch": 3},
    "lime": {"samples": 12, "patch": 3, "repeats": 2},
    "kernel_shap": {"samples": 20, "patch": 3},
    "mask": {"iterations": 4, "patch": 3},
}
"""Enough to see that a method is right."""


def give_options(method, images):
    """Give a method what it cannot do without, and a small number of what takes long."""
    return give_needed(method, images) | FEW.get(method.name, {})


def give_needed(method, images):
    """Give a method what it cannot do without."""
    needed = {
        "generator": torch.Generator().manual_seed(4),
        "path": torch.stack([images * share for share in (0.0, 0.4, 1.0)], 1),
        "baselines": torch.cat([images[:1] * 0.5, images * 0.2]),
        "rivals": images.flip(0) * 0.4 + 0.3,
    }
    return {name: needed[name] for name in method.options if name in needed}


def check_exact(method, oracle, **options):
    """A quadratic score has an exact answer; the batch size does not change it."""
    formula = Quadratic()
    options = give_options(method, formula.images) | options
    expected = oracle(formula, formula.images, **give_needed(method, formula.images))
    found = method(formula.score(), formula.images, **options)
    assert_close(found.images, expected.to(found.images), rtol=0, atol=1e-9)
    assert found.evidence is None
    assert (found.lines is not None) == method.adds_up
    for batch_size in (1, 2):
        options = give_options(method, formula.images) | options
        if "generator" in options:
            options["generator"] = torch.Generator().manual_seed(4)
        again = method(formula.score(batch_size), formula.images, **options)
        assert_close(again.images, found.images, rtol=0, atol=1e-12)


def check_ledger(name, method, model, images):
    """The ledger adds up to the score's change, or there is none; the sentence says what is shown."""
    found = whence.attribute(model, images, name, **give_options(method, images))
    assert found.method == name
    assert found.images.shape == images.shape
    assert (found.ledger is not None) == method.adds_up
    if method.adds_up:
        total = torch.stack([*found.ledger.values()]).sum(0)
        assert_close(total, (found.score - found.start).double(), rtol=0, atol=1e-9)
        assert_close(found.ledger["image"], found.images.sum((1, 2, 3)).double())
    assert found.sentence.endswith(".")
    assert "pixel" in found.sentence
    assert len(found.target) == len(found) == len(images)
    return found


def check_no_trace(name, method, model, asked, *, broken):
    """Mode, gradients, hooks, parameters, the memory and the images are what they were before."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    next(model.parameters()).requires_grad_(False)
    asked, calls = asked.clone().requires_grad_(), []

    def hook(module, inputs, output):
        calls.append(module)
        if broken and len(calls) == 2:
            raise ArithmeticError("broken")

    handle = next(model.children()).register_forward_hook(hook)
    before, pixels = state_of(model), asked.detach().clone()
    options = give_options(method, pixels)
    try:
        with torch.no_grad():
            found = whence.attribute(model, asked, name, batch_size=2, **options)
        assert not broken or len(calls) < 2
        assert not found.images.requires_grad
        assert not found.score.requires_grad
    except ArithmeticError:
        assert broken
    same_state(before, state_of(model))
    handle.remove()
    assert asked.grad is None
    assert asked.requires_grad
    assert_close(asked.detach(), pixels, rtol=0, atol=0)


def models():
    """Models with a memory, one without, and a plain network, by name."""
    from tests.helpers.attributing import Net, draw_asked_and_stored

    stored = draw_asked_and_stored()[1]
    torch.manual_seed(2)
    return {
        "memory-wrap": make().remember(stored),
        "only-memory": make("only-memory").remember(stored),
        "votes": make("votes").remember(stored, [0, 1, 2, 3, 0, 1, 2]),
        "standard": make("standard"),
        "module": Net().double().eval(),
    }
