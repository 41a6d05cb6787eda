"""Semantic morphing against the thesis's way, one image and one step at a time."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from benchmarks.thesis_way import morph_slowly
from tests.helpers.morphing_parts import (
    CLASSES,
    CODES,
    SHAPE,
    ask,
    build,
    build_vae,
    classify_by,
    draw,
    draw_norms,
    same_state,
    state_of,
)
from whence.autoencoders import VAES
from whence.morphing.answers import classify_codes
from whence.morphing.norms import mean_norms, measure_norms
from whence.morphing.walk import (
    Ends,
    MorphPlan,
    Seen,
    Walk,
    look,
    morph_codes,
    note,
)

THESIS = MorphPlan(stride=1, norm="gradient", lead_after=None)


# Against the thesis's way


@pytest.mark.parametrize("weight, steps", [(0.1, 250), (10.0, 30)])
def test_morphs_like_the_thesis(weight, steps):
    model, vae, norms = build(double=True), build_vae(double=True), draw_norms()
    codes, classes = (part[[1, 0]] for part in ask(model, vae))
    plan = replace(THESIS, weight=weight, steps=steps)
    morphs = morph_codes(model, vae, codes, classes, norms, plan=plan)
    came = []
    for row, (code, pair) in enumerate(zip(codes, classes.tolist(), strict=True)):
        target = float(norms.means[pair[1]])
        slow, taken, found = morph_slowly(
            model, vae, code, tuple(pair), target, weight=weight, steps=steps
        )
        came.append(found)
        assert found == bool(morphs.found[row])
        assert taken == int(morphs.steps[row])
        if found:
            assert_close(morphs.codes[row], slow, rtol=1e-6, atol=1e-8)
    assert any(came) == (weight < 1)
    assert not all(came)


def test_a_longer_stride_goes_the_same_way():
    model, vae, norms = build(), build_vae(), draw_norms()
    codes, classes = ask(model, vae)
    for norm in ("proximal", "gradient"):
        plan = MorphPlan(norm=norm, steps=400)
        short = morph_codes(model, vae, codes, classes, norms, plan=replace(plan, stride=2))
        long = morph_codes(model, vae, codes, classes, norms, plan=replace(plan, stride=20))
        assert torch.equal(short.found, long.found)
        assert 2 <= int(short.found.sum()) <= 7
        rows = short.found
        moved = (short.codes - codes)[rows].norm(dim=1)
        assert bool(((short.codes - long.codes)[rows].norm(dim=1) < 0.15 * moved).all())
        assert bool(((short.steps - long.steps)[rows].abs() <= 40).all())
        assert bool((long.steps[rows] % 20 == 0).all())


def test_what_a_morph_promises():
    model, vae, norms = build(), build_vae(), draw_norms()
    codes, classes = ask(model, vae)
    plan = MorphPlan(steps=1000)
    morphs = morph_codes(model, vae, codes, classes, norms, plan=plan)
    logits = model(vae.decode(morphs.codes))
    pairs = logits.gather(1, classes).softmax(1)
    entropy = -(pairs * pairs.log2()).sum(1)
    done = (entropy < 0.01) & (logits.softmax(1).gather(1, classes[:, 1:])[:, 0] > 0.5)
    assert torch.equal(done, morphs.found)
    assert [reason is None for reason in morphs.reasons] == done.tolist()
    looser = morph_codes(model, vae, codes, classes, norms, plan=replace(plan, entropy=0.2))
    assert bool((looser.steps <= morphs.steps).all())
    assert bool((looser.steps < morphs.steps)[done].all())


def test_a_third_class_is_no_morph():
    """Both classes of interest may be far below a third one; that is not the class of other."""

    def logits(images):
        ink = images.flatten(1)[:, :1]
        return torch.cat([0 * ink, 40 * (ink - 0.5), 0 * ink + 30, 0 * ink - 9], 1)

    vae, codes = build_vae(), torch.zeros(1, CODES)
    plan = MorphPlan(weight=0.0, steps=2000, lead_after=None)
    morphs = morph_codes(
        classify_by(logits), vae, codes, torch.tensor([[0, 1]]), draw_norms(3), plan=plan
    )
    assert not bool(morphs.found)
    seen = float(classify_codes(classify_by(logits), vae, morphs.codes)[1].softmax(1)[0, 1])
    assert f"probability came to {seen:.3f}, with" in morphs.reasons[0]
    far = morph_codes(
        classify_by(logits),
        vae,
        codes,
        torch.tensor([[0, 1]]),
        draw_norms(3),
        plan=replace(plan, steps=1000),
    )
    before = float(classify_codes(classify_by(logits), vae, far.codes)[1].softmax(1)[0, 1])
    assert before < seen  # it goes on to come nearer, though the two classes are decided long since
    assert "an entropy of 0.000 bits between the two classes" in morphs.reasons[0]


def test_a_lead_is_taken_over_the_classes_that_grow_along():
    """The logit of other grows along one pixel, and all others with it: only another pixel helps."""

    def logits(images):
        one, two = images[:, 0, 0, :1], images[:, 1, 2, 4:]
        return torch.cat([9 * one, 5 * one + 8 * (two - 0.5), 4 * one, 4 * one], 1)

    vae, model = build_vae(), classify_by(logits)
    codes, pair = torch.zeros(1, CODES), torch.tensor([[0, 1]])
    options = {"weight": 0.0, "steps": 1500, "entropy": 0.8}
    never = morph_codes(
        model, vae, codes, pair, draw_norms(3), plan=MorphPlan(lead_after=None, **options)
    )
    late = morph_codes(
        model, vae, codes, pair, draw_norms(3), plan=MorphPlan(lead_after=300, **options)
    )
    early = morph_codes(
        model, vae, codes, pair, draw_norms(3), plan=MorphPlan(lead_after=0, **options)
    )
    assert bool(early.found)
    assert bool(late.found)
    assert int(early.steps) < int(late.steps)
    assert int(late.steps) > 300
    assert not bool(never.found) or int(never.steps) > int(late.steps)


@pytest.mark.parametrize("step, leads", [(40, False), (60, True)])
def test_what_a_look_aims_at(step, leads):
    model, vae = build(double=True), build_vae(double=True)
    codes, classes = ask(model, vae, 3)
    still, zeros = torch.zeros_like(codes), torch.zeros(3).double()
    on = Walk(torch.arange(3), codes, still, still, zeros, zeros)
    plan = MorphPlan(lead_after=60)
    found = look(model, vae, on, classes, zeros, plan, step=step)
    for row, (code, (_, other)) in enumerate(zip(codes, classes.tolist(), strict=True)):
        leaf = code[None].clone().requires_grad_()
        logits = model(vae.decode(leaf))[0]
        others = [place for place in range(4) if place != other]
        goal = logits[other] - (logits[others].logsumexp(0) if leads else 0)
        (gradient,) = torch.autograd.grad(-goal, leaf)
        assert_close(found.gradient[row], gradient[0])
        assert_close(on.goals[row], goal.detach().abs())
        assert_close(on.penalties[row], code.norm() ** 2)


@pytest.mark.parametrize(
    "model_type, vae_type", [("double", "float"), ("float", "bfloat16"), ("float", "double")]
)
def test_precisions_need_not_be_the_same(model_type, vae_type):
    kinds = {"double": torch.float64, "float": torch.float32, "bfloat16": torch.bfloat16}
    model, vae = build().to(kinds[model_type]), build_vae().to(kinds[vae_type])
    codes, classes = ask(build(), build_vae())
    morphs = morph_codes(model, vae, codes, classes, draw_norms(), plan=MorphPlan(steps=1000))
    plain = morph_codes(
        build(), build_vae(), codes, classes, draw_norms(), plan=MorphPlan(steps=1000)
    )
    same = (morphs.found == plain.found).float().mean()
    assert float(same) == 1 or vae_type == "bfloat16"
    assert bool(morphs.found.any())
    assert bool(morphs.codes.isfinite().all())


def test_morphing_needs_gradients():
    model, vae = build(), build_vae()
    codes, classes = ask(model, vae, 1)
    with torch.inference_mode(), pytest.raises(RuntimeError, match="outside torch"):
        morph_codes(model, vae, codes, classes, draw_norms())
    with torch.no_grad():
        morph_codes(model, vae, codes, classes, draw_norms(), plan=MorphPlan(steps=20))


# Batches and traces


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_each_image_stops_on_its_own(variant):
    model, vae, norms = build(variant), build_vae(), draw_norms()
    codes, classes = ask(model, vae)
    plan = MorphPlan(steps=400, entropy=0.5)
    whole = morph_codes(model, vae, codes, classes, norms, plan=plan)
    assert len(whole.steps.unique()) > 2
    for size in (1, 3):
        parts = morph_codes(model, vae, codes, classes, norms, plan=plan, batch_size=size)
        assert torch.equal(parts.found, whole.found)
        assert torch.equal(parts.steps, whole.steps)
        assert_close(parts.codes, whole.codes, rtol=1e-3, atol=1e-4)
    assert whole.codes.device.type == whole.steps.device.type == "cpu"


def test_a_large_memory_is_streamed_and_followed():
    model, vae, norms = build("memory-wrap", memory=600), build_vae(), draw_norms()
    codes, classes = ask(model, vae, 4)
    short = build("memory-wrap", memory=600)
    short.bank = short.bank.take(torch.arange(600))
    plan = MorphPlan(steps=400)
    morphs = morph_codes(model, vae, codes, classes, norms, plan=plan)
    with torch.no_grad():
        before, after = (
            model(vae.decode(one)).softmax(1).gather(1, classes[:, 1:])
            for one in (codes, morphs.codes)
        )
    assert bool((after > before).all())


def test_nothing_is_left_changed():
    model, vae, norms = build("memory-wrap"), build_vae(), draw_norms()
    model.head.requires_grad_(True)
    codes, classes = ask(build("memory-wrap"), build_vae(), 3)
    kept = codes.clone()
    before = state_of(model, vae)
    morph_codes(model, vae, codes, classes, norms, plan=MorphPlan(steps=60))
    same_state(before, state_of(model, vae))
    assert torch.equal(codes, kept)
    model.bank = None
    with pytest.raises(RuntimeError, match="no memory yet"):
        morph_codes(model, vae, codes, classes, norms)
    same_state(before, state_of(model, vae))


# What can go wrong


def test_nearest_misses_are_kept():
    model, vae, norms = build(), build_vae(), draw_norms()
    codes, classes = ask(model, vae)
    plan = MorphPlan(steps=100)
    morphs = morph_codes(model, vae, codes, classes, norms, plan=plan)
    missed = ~morphs.found
    assert int(missed.sum()) >= 3
    assert bool((morphs.steps[missed] == 100).all())

    def share(some):
        return model(vae.decode(some)).softmax(1).gather(1, classes[:, 1:])[missed, 0]

    assert bool((share(morphs.codes) > share(codes)).all())
    reason = morphs.reasons[int(missed.nonzero()[0])]
    assert reason.startswith("No morph to ")
    assert f"in 100 steps its probability came to {float(share(morphs.codes)[0]):.3f}" in reason


def test_what_is_noted_by_hand():
    """Of five rows: worse, better, done but worse, not finite, and better outside of the norms."""
    ends = Ends(
        codes=torch.zeros(6, 1),
        nearness=torch.full((6,), -0.5),
        entropies=torch.ones(6),
        found=torch.zeros(6, dtype=torch.bool),
        steps=torch.full((6,), 90),
        left_range=torch.zeros(6, dtype=torch.bool),
        broken=torch.zeros(6, dtype=torch.bool),
    )
    at = torch.arange(1.0, 6)[:, None]
    on = Walk(torch.tensor([5, 1, 2, 3, 4]), at, at, at, at[:, 0], at[:, 0])
    seen = Seen(
        gradient=at,
        nearness=torch.tensor([-0.6, -0.4, -0.7, -0.1, -0.2]),
        entropy=torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]),
        reached=torch.tensor([False, False, True, True, True]),
        finite=torch.tensor([True, True, True, False, True]),
    )
    note(ends, on, seen, torch.tensor([True, True, True, True, False]), 40)
    assert ends.codes[:, 0].tolist() == [0, 2, 3, 0, 5, 0]
    assert_close(ends.nearness, torch.tensor([-0.5, -0.4, -0.7, -0.5, -0.2, -0.5]))
    assert_close(ends.entropies, torch.tensor([1, 0.2, 0.3, 1, 0.5, 1]))
    assert ends.found.tolist() == [False, False, True, False, False, False]
    assert ends.broken.tolist() == [False, False, False, True, False, False]
    assert ends.left_range.tolist() == [False, False, False, False, True, False]
    assert ends.steps.tolist() == [90, 90, 40, 40, 90, 90]


def test_numbers_that_become_nan():
    def logits(images):
        ink = images.flatten(1).mean(1, keepdim=True)
        broken = torch.where(ink > 0.6, torch.nan, 0.0)
        return torch.cat([-ink, 5 * ink, ink - 5, 0 * ink - 5], 1) + broken

    vae = build_vae()
    model = classify_by(logits)
    codes = torch.stack([torch.zeros(CODES), draw(1, CODES)[0]])
    classes = torch.tensor([[0, 1], [1, 0]])
    morphs = morph_codes(model, vae, codes, classes, draw_norms(3), plan=MorphPlan(0.0, 2000))
    assert not bool(morphs.found[0])
    taken = int(morphs.steps[0])
    assert 0 < taken < 2000
    assert morphs.reasons[0] == (
        f"No morph to bee: a number became NaN or infinite at step {taken}; the nearest miss before is kept."
    )
    assert bool(morphs.codes.isfinite().all())
    assert not torch.equal(morphs.codes[0], codes[0])
    assert "NaN" not in str(morphs.reasons[1])


def test_a_decoding_that_becomes_nan_stops_its_own_image_only():
    class Breaks(nn.Module):
        def forward(self, images):
            return torch.where(images[:, :1, :1, :1] > 0.55, torch.nan, images)

    vae, model = build_vae(), build()
    vae.decoder.append(Breaks().eval())
    codes, classes = ask(model, build_vae(), 12)
    whole = vae.decode(codes).isfinite().flatten(1).all(1)
    assert 0 < int(whole.sum()) < 12
    morphs = morph_codes(model, vae, codes, classes, draw_norms(), plan=MorphPlan(steps=40))
    for row in range(12):
        if not bool(whole[row]):
            assert "at step 0" in morphs.reasons[row]
            assert torch.equal(morphs.codes[row], codes[row])
    assert int((morphs.steps == 0).sum()) == 12 - int(whole.sum())


def test_questions_that_are_refused():
    model, vae, norms = build(), build_vae(), draw_norms()
    codes, classes = ask(model, vae, 2)
    same = torch.tensor([[0, 1], [2, 2]])
    with pytest.raises(
        ValueError, match="other class must differ from the answer, got cow for both of image 1"
    ):
        morph_codes(model, vae, codes, same, norms)
    with pytest.raises(ValueError, match="classes must be in 0 to 3, got 0 and 4 for image 0"):
        morph_codes(model, vae, codes, torch.tensor([[0, 4], [0, 1]]), norms)
    with pytest.raises(ValueError, match=r"codes must be \(B, Z\) with Z=7, got shape \(2, 6\)"):
        morph_codes(model, vae, codes[:, 1:], classes, norms)
    with pytest.raises(ValueError, match=r"classes must be \(B, two\) with B=2"):
        morph_codes(model, vae, codes, classes[:1], norms)
    with pytest.raises(ValueError, match=r"vae must be of images \(2, 3, 5\) as the classifier"):
        morph_codes(model, VAES["residual"]((1, 3, 5), codes=CODES), codes, classes, norms)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        morph_codes(model, vae, codes, classes, norms, batch_size=0)
    few = measure_norms(draw(6, CODES), torch.tensor([0, 1, 3, 3, 1, 0]), classes=4)
    with pytest.raises(ValueError, match="Class cow has no stored image to compare with"):
        morph_codes(model, vae, codes, torch.tensor([[0, 1], [3, 2]]), few)
    with pytest.raises(ValueError, match="norms must be of 4 classes, got 3"):
        mean_norms(
            CLASSES, classes[:, 1], measure_norms(draw(3, CODES), torch.arange(3), classes=3)
        )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"weight": -0.1}, "weight must be a number of at least 0, got -0.1"),
        ({"weight": math.nan}, "weight must be a number of at least 0, got nan"),
        ({"entropy": 0.0}, "entropy must be above 0 and at most 1 bit, got 0.0"),
        ({"lead_after": -1}, "lead_after must be at least 0 or None, got -1"),
        ({"steps": 21}, r"steps must be a multiple of stride \(20\), got 21"),
        ({"norm": "none"}, "norm must be 'proximal' or 'gradient', got 'none'"),
    ],
)
def test_plans_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MorphPlan(**options)


def test_shapes_of_the_parts():
    assert build_vae().decode(draw(2, CODES)).shape == (2, *SHAPE)
