"""Path masks against the thesis's way, and what their pixels keep of the gain."""

import math

import pytest
import torch
from torch.testing import assert_close

from benchmarks.thesis_way import gaussian_blur, mask_slowly
from tests.helpers.morphing_parts import (
    CODES,
    SHAPE,
    build,
    build_vae,
    classify_by,
    draw,
    draw_images,
    same_state,
    state_of,
)
from whence.morphing.gain import (
    gain_kept,
    integrate_gradients,
    plain_gradient,
    random_order,
    top_pixels,
)
from whence.morphing.interpolate import decode_path, radial
from whence.morphing.path_mask import (
    Gain,
    MaskPlan,
    Slope,
    blur_matrix,
    choose_steps,
    look_again,
    path_masks,
)


def make_path(vae, count=4, steps=9, *, seed=3):
    start, end = (draw(count, CODES, seed=one).to(vae.variance.dtype) for one in (seed, seed + 1))
    return decode_path(vae, radial(start, end, steps=steps))


def make_case(variant="standard", *, double=False, steps=9):
    model, vae = build(variant, double=double, scale=10.0), build_vae(double=double)
    path = make_path(vae, steps=steps)
    with torch.no_grad():
        return model, path, model(path[:, -1]).argmax(1)


def correlation(masks, others):
    return torch.stack(
        [
            torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
            for one, other in zip(masks, others, strict=True)
        ]
    )


# The mask


@pytest.mark.parametrize("weight, blur, turned", [(1.0, 1.0, False), (0.3, 0.6, True)])
def test_masks_like_the_thesis(weight, blur, turned):
    """Turned around, the path loses what it gained, and its running average is of what it lost."""
    model, path, own = make_case(double=True)
    path = path.flip(1) if turned else path
    plan = MaskPlan(steps=40, weight=weight, blur=blur, stride=1, looks=40, share=1.0)
    masks = path_masks(model, path, own, plan=plan).masks
    for row in (1, 3):
        slow = mask_slowly(model, path[row], int(own[row]), weight=weight, blur=blur, steps=40)
        assert_close(masks[row], slow, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_the_fast_way_finds_the_masks_of_the_slow_one(variant):
    model, path, own = make_case(variant, steps=20)
    path, own = path[:1], own[:1]
    slow = torch.stack(
        [
            mask_slowly(model, one, int(label), steps=400)
            for one, label in zip(path, own, strict=True)
        ]
    )
    fast = path_masks(model, path, own, plan=MaskPlan(steps=400)).masks
    assert float(slow.std((1, 2)).min()) > 0.1
    assert float(correlation(fast, slow).min()) > 0.99


def test_the_mask_finds_the_pixel_that_matters():
    """Only one pixel decides; the mask is 1 there and falls with the blur."""

    def logits(images):
        deciding = images[:, 0, 1, 3, None]
        return torch.cat([10 * deciding, 5 + 0 * deciding, 0 * deciding, 0 * deciding], 1)

    model = classify_by(logits)
    start, end = torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)
    part = torch.linspace(0, 1, 12)[None, :, None, None, None]
    path = start[:, None] * (1 - part) + end[:, None] * part
    sharp = path_masks(model, path, torch.tensor([0]), plan=MaskPlan(blur=0.0))
    expected = torch.zeros(3, 5)
    expected[1, 3] = 1
    assert_close(sharp.masks[0], expected)
    blurred = path_masks(model, path, torch.tensor([0]), plan=MaskPlan(blur=0.7)).masks[0]
    assert int(blurred.argmax()) == 1 * 5 + 3
    assert 0.05 < float(blurred[1, 2]) < float(blurred[1, 3])
    assert_close(sharp.gains, sharp.full_gains)
    assert float(sharp.full_gains.sum()) == pytest.approx(
        1 / (1 + (math.exp(5) + 2) / math.exp(10)) - 1 / (1 + math.exp(5) + 2),
        abs=1e-5,
    )


def test_a_slope_by_hand():
    slope = Slope(
        torch.zeros(2, 1, 2) + 0.5, torch.tensor([3.0, 1]), torch.tensor([[[1.0, 2]], [[0, -4]]])
    )
    masks = torch.tensor([[[1.0, 0.5]], [[0.25, 1.0]]])
    assert_close(slope.read(masks), torch.tensor([3.5, -1.0]))


def test_the_gain_and_its_slope_from_the_linear_part_of_a_look():
    """Steps that are not looked at again count with the slope that they had."""
    model, path, own = make_case(double=True)
    gain = Gain(model, path, own, 5)
    masks = torch.full((4, 3, 5), 0.5).double()
    pairs, rest = choose_steps(gain, masks, 0.6)
    assert 4 <= len(pairs) < 20
    whole = gain.look(masks, gain.pairs)
    again = look_again(gain, masks, pairs, rest)
    assert_close(again.value, whole[0])
    assert_close(again.gradient, whole[1])
    assert_close(whole[0], gain.of(masks).sum(1))
    step = 1e-6 * torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).double()
    change = gain.of(masks + step).sum(1) - whole[0]
    assert_close((whole[1] * step).sum((1, 2)), change, rtol=1e-3, atol=1e-10)
    sizes = whole[2].view(4, 8)
    for row in range(4):
        kept = sizes[row][pairs[pairs[:, 0] == row, 1]]
        assert float(kept.sum()) >= 0.6 * float(sizes[row].sum())
        assert float(kept.sum() - kept.min()) < 0.6 * float(sizes[row].sum())


def test_more_weight_makes_smaller_masks():
    model, path, own = make_case()
    sizes = [
        path_masks(model, path, own, plan=MaskPlan(weight=weight)).masks.sum((1, 2))
        for weight in (0.0, 0.3, 3.0)
    ]
    assert bool((sizes[0] >= sizes[1]).all())
    assert bool((sizes[1] >= sizes[2]).all())
    assert float(sizes[0].sum()) > 1.5 * float(sizes[2].sum())


def test_gains_and_maps_of_a_mask():
    model, path, own = make_case()
    found = path_masks(model, path, own, batch_size=7)
    assert len(found) == 4
    assert found.masks.shape == (4, 3, 5)
    assert bool(((found.masks >= 0) & (found.masks <= 1)).all())
    for row in range(4):
        for step in range(8):
            before, after = path[row, step], path[row, step + 1]
            mask = found.masks[row]
            three = torch.stack([before, (1 - mask) * before + mask * after, after])
            with torch.no_grad():
                own_share = model(three.clamp(0, 1)).softmax(1)[:, own[row]]
            assert_close(found.gains[row, step], own_share[1] - own_share[0], atol=1e-6, rtol=1e-4)
            assert_close(
                found.full_gains[row, step], own_share[2] - own_share[0], atol=1e-6, rtol=1e-4
            )
    change = path[:, -1] - path[:, 0]
    rise = torch.where(change > 0, change, 0.0).mean(1)
    fall = torch.where(change < 0, -change, 0.0).mean(1)
    assert_close(found.increase, rise * found.masks)
    assert_close(found.decrease, fall * found.masks)
    assert found.reasons == (None,) * 4


@pytest.mark.parametrize("variant", ["standard", "memory-wrap"])
def test_the_batch_size_changes_nothing(variant):
    model, path, own = make_case(variant)
    whole = path_masks(model, path, own)
    parts = path_masks(model, path, own, batch_size=3)
    alone = path_masks(model, path[1:2], own[1:2])
    assert_close(parts.masks, whole.masks, rtol=1e-4, atol=1e-4)
    assert_close(alone.masks[0], whole.masks[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.5])
def test_the_blur_is_a_gaussian(deviation):
    image = torch.rand(7, 4, generator=torch.Generator().manual_seed(0)).double()
    blurred = blur_matrix(7, deviation) @ image @ blur_matrix(4, deviation).T
    assert_close(blurred, gaussian_blur(image, deviation))
    assert_close(blur_matrix(9, deviation).sum(1), torch.ones(9).double())


def test_nothing_is_left_changed():
    model, path, own = make_case("memory-wrap")
    model.head.requires_grad_(True)
    kept, before = path.clone(), state_of(model)
    path_masks(model, path, own, plan=MaskPlan(steps=100))
    gain_kept(model, path, own, draw(4, 3, 5))
    integrate_gradients(model, path, own)
    plain_gradient(model, path[:, -1], own)
    same_state(before, state_of(model))
    assert torch.equal(path, kept)
    model.bank = None
    with pytest.raises(RuntimeError, match="no memory yet"):
        path_masks(model, path, own)
    same_state(before, state_of(model))


def test_a_gain_that_becomes_nan_spares_the_others():
    def logits(images):
        ink = images.flatten(1).mean(1, keepdim=True)
        broken = torch.where(images[:, 0, 0, :1] > 0.9, torch.nan, 0.0)
        return torch.cat([9 * ink, 4 - 0 * ink, 0 * ink, 0 * ink], 1) + broken

    path = torch.linspace(0, 0.8, 6)[None, :, None, None, None].expand(2, 6, *SHAPE).clone()
    path[1, 2, 0, 0, 0] = 1.0
    found = path_masks(classify_by(logits), path, torch.tensor([0, 0]))
    assert found.reasons[0] is None
    assert "became NaN or infinite while the mask was sought" in found.reasons[1]
    assert bool(found.masks.isfinite().all())
    alone = path_masks(classify_by(logits), path[:1], torch.tensor([0]))
    assert_close(found.masks[:1], alone.masks)


def test_paths_that_are_refused():
    model, path, own = make_case()
    with pytest.raises(ValueError, match=r"path must be \(B, S, C, H, W\) with H=3"):
        path_masks(model, path[:, :, :, 1:], own)
    with pytest.raises(ValueError, match="path must hold at least 1 path of 2 images"):
        path_masks(model, path[:, :1], own)
    with pytest.raises(ValueError, match="path must hold at least 1 path of 2 images"):
        path_masks(model, path[:0], own[:0])
    with pytest.raises(ValueError, match=r"classes must be \(B\) with B=4, got shape \(3,\)"):
        path_masks(model, path, own[:3])
    with pytest.raises(ValueError, match="classes must be in 0 to 3, got 0 to 4"):
        path_masks(model, path, torch.tensor([0, 4, 1, 2]))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        path_masks(model, path, own, batch_size=0)
    with pytest.raises(ValueError, match="got NaN among them"):
        path_masks(model, path * math.nan, own)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"looks": 0}, "looks must be at least 1, got 0"),
        ({"weight": -1.0}, "weight must be a number of at least 0, got -1.0"),
        ({"blur": math.inf}, "blur must be a number of at least 0, got inf"),
        ({"share": 0.0}, "share must be above 0 and at most 1, got 0.0"),
    ],
)
def test_plans_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MaskPlan(**options)


# What the highest ranked pixels keep


def test_top_pixels_by_hand():
    ranking = torch.tensor([[[5.0, 1, 1], [1, 0, -2]], [[0, 0, 0], [0, 0, 0]]])
    expected = [[[1, 2 / 3, 2 / 3], [2 / 3, 0, 0]], [[0.5] * 3] * 2]
    assert_close(top_pixels(ranking, share=0.5), torch.tensor(expected).double())
    assert_close(top_pixels(ranking, share=1.0), torch.ones(2, 2, 3).double())
    assert_close(top_pixels(ranking, share=0.01).sum((1, 2)), torch.ones(2).double())


def test_gain_kept_one_path_at_a_time():
    model, path, own = make_case(double=True)
    ranking = draw(4, 3, 5)
    kept = gain_kept(model, path, own, ranking, share=0.2, batch_size=5)
    compared = 0
    for row in range(4):
        follow = torch.zeros(15, dtype=torch.float64)
        follow[ranking[row].flatten().argsort(descending=True)[:3]] = 1
        follow = follow.view(3, 5)

        def share(images, row=row):
            return model(images).softmax(1)[:, own[row]]

        steps = path[row]
        whole = share(steps[-1:]) - share(steps[:1])
        mixed = torch.where(follow > 0, steps[1:], steps[:-1])
        by_steps = (share(mixed) - share(steps[:-1])).sum() / whole
        by_end = (share(torch.where(follow > 0, steps[-1:], steps[:1])) - share(steps[:1])) / whole
        if whole > 0:
            compared += 1
            assert_close(kept.steps[row], by_steps[0])
            assert_close(kept.end[row], by_end[0])
        else:
            assert math.isnan(kept.steps[row])
            assert math.isnan(kept.end[row])
    assert compared >= 2


def test_all_pixels_keep_all_of_the_gain():
    model, path, own = make_case()
    kept = gain_kept(model, path, own, draw(4, 3, 5), share=1.0)
    whole = kept.end[~kept.end.isnan()]
    assert len(whole) >= 2
    assert_close(whole, torch.ones_like(whole))
    assert_close(kept.steps[~kept.end.isnan()], whole, rtol=1e-4, atol=1e-4)
    back = gain_kept(model, path.flip(1), own, draw(4, 3, 5))
    assert bool((kept.end.isnan() != back.end.isnan()).all())


def test_integrated_gradients_sum_to_the_gain():
    model, path, own = make_case(double=True, steps=400)
    relevance = integrate_gradients(model, path, own, batch_size=90)
    assert relevance.shape == (4, 3, 5)
    with torch.no_grad():
        ends = [model(path[:, place]).softmax(1).gather(1, own[:, None])[:, 0] for place in (-1, 0)]
    assert_close(relevance.sum((1, 2)), ends[0] - ends[1], rtol=0, atol=2e-3)


def test_integrated_gradients_of_three_images_by_hand():
    model, path, own = make_case(double=True, steps=3)
    leaf = path[1].clone().requires_grad_()
    model(leaf).softmax(1)[:, own[1]].sum().backward()
    one, two, three = leaf.grad
    first, middle, last = path[1]
    expected = (one + two) / 2 * (middle - first) + (two + three) / 2 * (last - middle)
    assert_close(integrate_gradients(model, path, own)[1], expected.sum(0))


def test_plain_gradients_one_image_at_a_time():
    model, own = build("memory-wrap", double=True), torch.tensor([2, 0, 3])
    images = draw_images(3).double() / 255
    found = plain_gradient(model, images, own, batch_size=2)
    for row in range(3):
        leaf = images[row : row + 1].clone().requires_grad_()
        model(leaf).softmax(1)[0, own[row]].backward()
        assert_close(found[row], leaf.grad[0].abs().sum(0))
    assert float(found.max()) > 0


def test_random_orders(rng):
    order = random_order((2, 3, 5), generator=rng)
    assert order.shape == (2, 3, 5)
    assert len(order.unique()) == 30
    assert not torch.equal(order, random_order((2, 3, 5), generator=rng))


def test_rankings_that_are_refused():
    model, path, own = make_case()
    ranking = draw(4, 3, 5)
    with pytest.raises(ValueError, match=r"ranking must be \(B, H, W\) with W=5, got shape"):
        gain_kept(model, path, own, ranking[:, :, 1:])
    with pytest.raises(ValueError, match="ranking must be numbers that can be ordered, got NaN"):
        gain_kept(model, path, own, ranking / 0 * 0)
    for share in (0.0, 1.1):
        with pytest.raises(ValueError, match=f"share must be above 0 and at most 1, got {share}"):
            gain_kept(model, path, own, ranking, share=share)
    with pytest.raises(ValueError, match=r"classes must be \(B\) with B=4"):
        integrate_gradients(model, path, own[:2])
    with pytest.raises(ValueError, match="classes must be in 0 to 3, got -1 to 2"):
        plain_gradient(model, path[:, 0], torch.tensor([0, -1, 2, 2]))
    with pytest.raises(
        ValueError, match=r"images must be \(B, 2, 3, 5\), .* got shape \(4, 1, 3, 5\)"
    ):
        plain_gradient(model, path[:, 0, :1], own)
