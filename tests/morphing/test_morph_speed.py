"""The command that compares morphing and masks with the thesis's way compares the same work."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

import benchmarks.morph_speed as speed
from benchmarks.thesis_way import mask_slowly
from tests.helpers.morphing_parts import build, build_vae, draw_images
from whence.morphing.code import find_codes
from whence.morphing.stored_codes import store_codes
from whence.morphing.walk import MorphPlan


@pytest.fixture(scope="module")
def case():
    model, vae, images = build(), build_vae(strength=12.0), draw_images(3, seed=5)
    for module in (model, vae):
        module.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    stored = store_codes(
        vae, draw_images(40, seed=6), torch.arange(40) % 4, classes=4, generator=generator
    )
    codes = find_codes(model, vae, images, generator=generator)
    return speed.Case(model, vae, codes, stored.norms, 0.01, "cpu")


STEPS = 600


def few_steps(monkeypatch):
    """Let the slow side take fewer steps, so that the test ends soon."""
    monkeypatch.setattr(speed, "mask_slowly", partial(speed.mask_slowly, steps=3))
    monkeypatch.setattr(speed, "morph_slowly", partial(speed.morph_slowly, steps=STEPS))


def test_both_sides_do_the_same_work(case, monkeypatch):
    few_steps(monkeypatch)
    plan = MorphPlan(weight=case.weight, stride=1, steps=STEPS, **speed.PLANS["thesis"])
    fast = speed.go_fast(case, plan)
    slow = speed.go_slowly(case, fast.path[:2])
    assert slow.found.equal(fast.morphs.found[:2])
    assert bool(slow.found.any())
    came = slow.found
    assert_close(slow.codes[came], fast.morphs.codes[:2][came], atol=2e-3, rtol=1e-3)
    assert_close(slow.masks[came], slow.same[came], atol=1e-2, rtol=0)
    own = int(case.codes.classes[1, 0])
    assert_close(slow.same[1], mask_slowly(case.model, fast.path[1], own, steps=3))
    assert fast.masks.shape == (3, *case.model.image_shape[1:])


def test_what_is_reported(case, monkeypatch):
    few_steps(monkeypatch)
    sides = {
        name: speed.go_fast(case, MorphPlan(weight=0.01, steps=STEPS, **options))
        for name, options in speed.PLANS.items()
    }
    slow = speed.go_slowly(case, sides["default"].path[:1])
    slow = slow._replace(seconds={"morph": 6.0, "mask": 10.0}, same=sides["default"].masks[:1])
    sides["default"] = sides["default"]._replace(seconds={"morph": 1.0, "mask": 3.0})
    found = speed.compare(case, sides, slow)
    assert found["default"]["ratio"] == {"morph": 6.0, "mask": 3.3, "both": 4.0}
    assert found["same path"]["mean"] == pytest.approx(1)
    assert found["slow images"] == 1
    about = speed.describe_fast(case, sides["thesis"])
    valid = speed.is_valid(case, sides["thesis"].morphs.codes)[case.codes.found]
    assert about["valid, of those with a code"] == speed.share(valid)
    assert about["seconds an image"] == speed.rounded(sides["thesis"].seconds)


def test_correlations_by_hand():
    masks = torch.tensor([[[0.0, 1.0]], [[0.5, 0.5]], [[0.0, 1.0]]])
    others = torch.tensor([[[0.2, 0.9]], [[0.1, 0.3]], [[1.0, 0.0]]])
    found = speed.correlations(masks, others)
    assert found["each"][0] == 1.0
    assert found["each"][1] != found["each"][1]
    assert found["smallest"] == -1.0
    assert found["mean"] == 0.0
