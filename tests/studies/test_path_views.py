"""Views that follow a path: pixels, units, maps, x-features, and how many of each it takes."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.morphing.gain import gain_kept
from whence.morphing.path_mask import MaskPlan, path_masks
from whence.studies.parts.concept_maps import map_unit
from whence.studies.parts.explained_parts import build_layered
from whence.studies.parts.explanation_module import ExplanationModule
from whence.studies.path_on_activations.compare_views import share_of_answers
from whence.studies.path_on_activations.follow_views import (
    average_measures,
    count_needed,
    follow_view,
    list_counts,
    show_features,
)
from whence.studies.path_on_activations.followed_views import (
    DENSE,
    FOLLOWED,
    LAYER_MAPS,
    LAYER_UNITS,
    PLAIN_PIXELS,
    UNBLURRED,
    X_FEATURES,
    cut_at_flatten,
    view_layers,
)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def network(rng):
    """Two poolings of 8 x 12 pixels in two channels, and three classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = whence.wrap(
            build_layered((2, 8, 12)), ("a", "b", "c"), variant="standard", image_shape=(2, 8, 12)
        )
    return model.eval().requires_grad_(False)


@pytest.fixture
def modules():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        made = tuple(ExplanationModule(64, 4) for _ in range(3))
    return tuple(one.requires_grad_(False).eval() for one in made)


@pytest.fixture
def views(network, modules, rng):
    images = torch.rand(30, 2, 8, 12, generator=rng)
    return view_layers(network, modules, 0.5, images), images


def test_every_view_answers_what_the_network_or_its_modules_say(network, modules, views):
    found, images = views
    assert tuple(found) == FOLLOWED
    own = network.logits(images)
    for name in (PLAIN_PIXELS, UNBLURRED, LAYER_UNITS, LAYER_MAPS, DENSE):
        assert_close(found[name].model.logits(found[name].lay(images)), own, atol=1e-5, rtol=1e-4)
    features = network.encoder(images) / 0.5
    said = torch.stack([module(features) for module in modules], 1)
    view = found[X_FEATURES]
    assert_close(view.model.logits(view.lay(images)), said, atol=1e-5, rtol=1e-4)


def test_views_lay_features_out_in_order_between_0_and_1(network, modules, views):
    found, images = views
    shapes = {
        LAYER_UNITS: (1, 1, 192),
        LAYER_MAPS: (6, 1, 32),
        DENSE: (1, 1, 64),
        X_FEATURES: (1, 1, 12),
    }
    for name, shape in shapes.items():
        laid = found[name].lay(images)
        assert laid.shape[1:] == shape
        assert float(laid.min()) >= 0
        assert float(laid.max()) == pytest.approx(1)
        numbers = found[name].numbers(images)
        summed = laid.sum((1, 2))
        assert_close(numbers / numbers.max(), summed / summed.max(), atol=1e-5, rtol=1e-4)
    activations = network.encoder[:6](images)  # (N, 32, 2, 3)
    laid = found[LAYER_MAPS].lay(images)
    assert_close(laid[4, 5, 0, 7] * activations.max(), activations[4, 7, 1, 2])
    third = modules[2].embed(network.encoder(images) / 0.5)
    assert_close(found[X_FEATURES].numbers(images)[:, 8:], third)
    assert share_of_answers(found[LAYER_MAPS], found[PLAIN_PIXELS], images[None]) == 1


def test_a_mask_on_maps_moves_whole_maps(network, views):
    """A slow second way: the activations themselves are mixed, map by map."""
    found, images = views
    path, classes = images[:10].view(2, 5, 2, 8, 12), torch.tensor([0, 2])
    view = found[LAYER_MAPS]
    laid = view.lay(images[:10]).view(2, 5, 6, 1, 32)
    masks = path_masks(view.model, laid, classes, plan=MaskPlan(steps=400, blur=0.0))
    below, above = cut_at_flatten(network.encoder)
    for row in range(2):
        mask = masks.masks[row, 0]
        for step in range(4):
            before, after = (below(path[row, [at]]) for at in (step, step + 1))
            mixed = torch.stack(
                [
                    (1 - m) * one + m * two
                    for m, one, two in zip(mask, before[0], after[0], strict=True)
                ]
            )
            gains = [
                network.head(above(some)).softmax(1)[0, classes[row]]
                for some in (mixed[None], before)
            ]
            assert_close(masks.gains[row, step], gains[0] - gains[1], atol=1e-5, rtol=1e-3)


def test_nothing_to_cut_is_refused():
    with pytest.raises(ValueError, match=r"a sequence of layers with nn\.Flatten among them"):
        cut_at_flatten(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match=r"must be a sequence"):
        cut_at_flatten(nn.ReLU())


def make_additive(weights):
    """A classifier of `(1, 1, n)` images that weighs pixels for its first class."""
    model = whence.wrap(nn.Flatten(), 2, variant="standard", image_shape=(1, 1, len(weights)))
    with torch.no_grad():
        model.head.classifier.weight.zero_()
        model.head.classifier.weight[0] = weights
        model.head.classifier.bias.copy_(torch.tensor([-4.0, 0.0]))
    return model.eval().requires_grad_(False)


def test_counts_are_the_fewest_tried_that_keep_half():
    weights = torch.tensor([3.5, 0.0, 3.4, 0.0, 0.0, 0.0, 0.0, 2.0])
    model = make_additive(weights)
    path = torch.linspace(0, 1, 6)[None, :, None, None, None].expand(3, 6, 1, 1, 8).clone()
    path[2] = path[2].flip(0)  # gains nothing
    best = weights.expand(3, 1, 8).clone()
    worst = -best
    classes = torch.zeros(3, dtype=torch.long)
    assert count_needed(model, path, classes, best)[:2].tolist() == [2, 2]
    needed = count_needed(model, path, classes, worst)
    assert needed[:2].tolist() == [8, 8]
    assert bool(needed[2].isnan())
    kept = [
        float(gain_kept(model, path[:1], classes[:1], best[:1], share=n / 8).steps) for n in (1, 2)
    ]
    assert kept[0] < 0.5 <= kept[1]
    assert list_counts(1) == [1]
    assert list_counts(13) == [1, 2, 3, 4, 6, 8, 12, 13]


def test_following_a_view_finds_the_pixels_that_speak(rng):
    weights = torch.tensor([6.0, 0.0, -5.0, 0.0, 0.0, 0.0, 0.0, 0.1])
    model = make_additive(weights)
    start = torch.full((8,), 0.5)
    end = start + torch.tensor([0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5])
    ramp = torch.linspace(0, 1, 8)[:, None]
    path = (start + ramp * (end - start)).view(1, 8, 1, 1, 8)
    from whence.studies.path_on_activations.followed_views import FollowedView

    view = FollowedView(LAYER_UNITS, model, lambda some: some, lambda some: some.flatten(1))
    found = follow_view(view, path, torch.tensor([0]), steps=1000, generator=rng)
    assert sorted(found.order[0, :2].tolist()) == [0, 2]
    assert found.rises[0, [0, 2]].tolist() == [True, False]
    assert found.measures["in the mask"].tolist() == [pytest.approx(float(found.masks.sum()))]
    assert float(found.measures["kept"]) > 0.9
    whole = model.logits(path[:, -1]).softmax(1)[0, 0] - model.logits(path[:, 0]).softmax(1)[0, 0]
    assert_close(found.measures["whole gain"][0], whole)
    assert float(found.measures["mask"]) == 2  # both wholly in the mask: they follow in equal parts
    assert float(found.measures["gradients"]) == 1
    assert float(found.measures["chance"]) > 1


def test_features_are_shown_where_they_rise_and_where_they_fell(network, views):
    found, images = views
    path = images[:10].view(2, 5, 2, 8, 12)
    view = found[LAYER_MAPS]
    followed = follow_view(
        view, path, torch.tensor([0, 2]), steps=200, generator=torch.Generator().manual_seed(0)
    )
    maps, rises = show_features(view, followed, path, 3)
    assert maps.shape == (2, 3, 8, 12)
    below, _ = cut_at_flatten(network.encoder)
    sums = below(images[:10]).sum((2, 3)).view(2, 5, 32)
    for row in range(2):
        for place in range(3):
            number = int(followed.order[row, place])
            up = bool(sums[row, -1, number] > sums[row, 0, number])
            assert bool(rises[row, place]) == up
            end = path[row, [-1 if up else 0]]
            expected = map_unit(lambda some, n=number: below(some).sum((2, 3))[:, n], end)[0]
            assert_close(maps[row, place], expected)


def test_averages_leave_out_what_is_unknown():
    nan = float("nan")
    found = average_measures(
        {
            "kept": torch.tensor([1.0, nan, 0.0]),
            "mask": torch.tensor([1.0, 2.0, 9.0, nan]),
            "chance": torch.tensor([nan]),
        }
    )
    assert found == {"kept": 0.5, "mask": 2.0, "chance": None}
