"""Paths on activations: views of a network, counts, the conditional GAN, and what is judged."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.morphing.gain import gain_kept
from whence.morphing.path_mask import MaskPlan, path_masks
from whence.records.images import Dataset, ImageSet
from whence.studies.concept_embedding.concept_maps import map_unit
from whence.studies.concept_embedding.explained_parts import build_layered
from whence.studies.concept_embedding.explanation_module import ExplanationModule
from whence.studies.parts.request import StudyRequest
from whence.studies.path_on_activations.compare_morphs import (
    BY_AUTOENCODER,
    BY_GAN,
    find_pair,
    judge_morphs,
    show_both_ways,
    take_pair,
)
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
from whence.studies.path_on_activations.learned import Learned, PathSizes
from whence.studies.path_on_activations.pair_generator import (
    PairCritic,
    PairGenerator,
    PairPlan,
    critic_loss,
    fit_pair,
    generator_loss,
)
from whence.studies.path_on_activations.report import judge_paths
from whence.studies.path_on_activations.study import follow_activations

TINY = PathSizes(
    trained=180,
    epochs=60,
    vae_epochs=60,
    codes=8,
    concepts=2,
    module_steps=30,
    paths=6,
    path_steps=5,
    mask_steps=200,
    attributed=2,
    morphed=6,
    pair=PairPlan(3),
    judge_steps=5,
    seeds=1,
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


def test_the_losses_of_the_pair_are_their_formulas(rng):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        generator, critic = PairGenerator(2, 3), PairCritic((2, 9, 6), 3)
    images, classes = torch.rand(5, 2, 9, 6, generator=rng), torch.tensor([0, 1, 1, 0, 1])
    made = generator(images, 1 - classes)
    assert made.shape == images.shape
    assert bool((generator(images, classes) != made).any())  # the class is told
    every = critic.layers(images)
    for row, label in enumerate(classes.tolist()):
        assert_close(critic(images, classes)[row], every[row, label])
    real = F.mse_loss(critic(images, classes), torch.ones(5))
    wrong = F.mse_loss(critic(images, 1 - classes), torch.zeros(5))
    false = F.mse_loss(critic(made, 1 - classes), torch.zeros(5))
    assert_close(critic_loss(critic, images, classes, made), real + 0.5 * wrong + 0.5 * false)
    plan = PairPlan(cycle=3.0, stay=0.7)
    expected = (
        F.mse_loss(critic(made, 1 - classes), torch.ones(5))
        + 3.0 * F.l1_loss(generator(made, classes), images)
        + 0.7 * F.l1_loss(generator(images, classes), images)
    )
    assert_close(generator_loss(generator, critic, images, classes, plan), expected)


def test_the_pair_learns_to_turn_dark_into_light(rng):
    classes = torch.arange(60) % 2
    images = (
        180 * classes[:, None, None, None] + torch.randint(60, (60, 1, 6, 6), generator=rng)
    ).byte()
    generator = fit_pair(
        images, classes, plan=PairPlan(steps=120, width=6, batch=8, rate=2e-3), seed=0
    )
    some = images[:20].float() / 255
    made = generator(some, 1 - classes[:20])
    means = made.mean((1, 2, 3))
    assert float(means[classes[:20] == 0].min()) > 0.5 > float(means[classes[:20] == 1].max())
    again = fit_pair(images, classes, plan=PairPlan(steps=2, width=6, batch=16), seed=4)
    same = fit_pair(images, classes, plan=PairPlan(steps=2, width=6, batch=16), seed=4)
    assert_close(again(some, classes[:20]), same(some, classes[:20]), atol=0, rtol=0)
    with pytest.raises(ValueError, match=r"classes must be 0 and 1, both there, got \[1\]"):
        fit_pair(images[1::2], classes[1::2], plan=PairPlan(1), seed=0)


def test_the_pair_is_that_of_the_first_and_second_answers():
    logits = torch.tensor([[5.0, 1, 4, 0], [4.0, 0, 9, 1], [0.0, 8, 1, 9], [1.0, 2, 0, 0]])
    assert find_pair(logits) == (0, 2)
    images = ImageSet(
        torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 4, 4),
        torch.tensor([3, 1, 0, 3, 1]),
        ("a", "b", "c", "d"),
    )
    taken, ours = take_pair(images, (1, 3))
    assert taken.images[:, 0, 0, 0].tolist() == [0, 1, 3, 4]
    assert ours.tolist() == [1, 0, 1, 0]
    assert show_both_ways(torch.tensor([0, 0, 0, 0, 1, 1])) == [0, 1, 2, 4, 5]


def test_morphs_are_judged_as_the_class_that_was_wanted(rng):
    real = torch.cat([torch.zeros(6, 1, 4, 4), torch.ones(6, 1, 4, 4)])
    labels = torch.tensor([0] * 6 + [1] * 6)
    weights = torch.stack([-torch.ones(16), torch.zeros(16), torch.ones(16)])
    bright = whence.wrap(nn.Flatten(), 3, variant="standard", image_shape=(1, 4, 4))
    with torch.no_grad():
        bright.head.classifier.weight.copy_(weights)
        bright.head.classifier.bias.copy_(torch.tensor([8.0, -50.0, -8.0]))
    always = whence.wrap(nn.Flatten(), 3, variant="standard", image_shape=(1, 4, 4))
    with torch.no_grad():
        always.head.classifier.weight.zero_()
        always.head.classifier.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    from whence.studies.parts.class_autoencoders import Autoencoders

    judges = Autoencoders((torch.zeros_like, torch.ones_like), lambda some: some)
    made = torch.stack([torch.full((1, 4, 4), 0.25), torch.full((1, 4, 4), 0.75)])
    known = Learned(*[None] * 3, bright.eval(), always.eval(), *[None] * 4)
    found = judge_morphs(known, judges, made, torch.tensor([0, 1]), (0, 2), (real, labels))
    assert found["to real"] == pytest.approx(1.0)  # 0.25 in each of 16 pixels
    assert found["IM1"] == pytest.approx(1 / 9)
    assert found["IM2"] == pytest.approx((16 * 0.25**2 / 4 + 16 * 0.25**2 / 12) / 2)
    assert found["valid"] == 1
    assert found["second agrees"] == 0.5


def make_part(
    *,
    pixels=20,
    unblurred=16,
    units=12,
    maps=8,
    dense=6,
    x=4,
    kept=0.95,
    gain=0.9,
    gan=1.0,
    agree=0.9,
):
    counts = dict(zip(FOLLOWED, (pixels, unblurred, units, maps, dense, x), strict=True))
    return {
        "views": {
            "views": {
                name: {"mask": n, "kept": 0.96, "whole gain": 0.9} for name, n in counts.items()
            }
            | {
                LAYER_MAPS: {"mask": maps, "kept": kept, "whole gain": 0.9},
                X_FEATURES: {"mask": x, "kept": 0.96, "whole gain": gain},
            }
        },
        "morphs": {
            "kinds": {
                BY_GAN: {"to real": gan, "second agrees": agree},
                BY_AUTOENCODER: {"to real": 1.2, "second agrees": 0.8},
            }
        },
    }


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, None),
        ({"maps": 16}, None),  # then units are fewer
        ({"maps": 17, "units": 17}, "masks on activations"),
        ({"kept": 0.9}, "masks on activations"),
        ({"unblurred": 30, "pixels": 8}, "masks on activations"),
        ({"gain": 0.8}, "masks behind the embedding"),
        ({"x": 6}, "masks behind the embedding"),
        ({"gan": 1.3}, "realism of the GAN's morphs"),
        ({"agree": 0.7}, "validity of the GAN's morphs"),
    ],
)
def test_every_part_of_the_claim_is_judged_by_its_numbers(changed, missed):
    holds, verdict = judge_paths([make_part(**changed)])
    assert holds == (missed is None)
    if missed is None:
        assert verdict.startswith("All 4 parts of the claim held: masks on activations, masks ")
    else:
        assert verdict.startswith("3 of 4 parts of the claim held: ")
        assert f"; not held: {missed}. Half of the gain needs " in verdict


def draw_bars():
    """Three classes of 60 images of 8 x 8 pixels, each with a bar at a place of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(180) % 3
    images = torch.randint(60, (180, 1, 8, 8), generator=generator)
    for row, label in enumerate(labels.tolist()):
        images[row, 0, :, 3 * label : 3 * label + 2] += 190
    own = ImageSet(images.byte(), labels, ("left", "middle", "right"))
    return Dataset("bars", own, own)


def test_a_small_study_is_whole_and_goes_on(tmp_path):
    data = draw_bars()
    found = follow_activations(data, StudyRequest(out=tmp_path), TINY)
    assert [row[0] for row in found.rows] == [*FOLLOWED, "pixels by chance"]
    assert [row[1] for row in found.rows[:-1]] == [64, 64, 128, 32, 64, 6]
    assert all(row[-1] == 1 for row in found.rows[:5])
    assert 0 <= found.rows[5][-1] <= 1
    assert [figure.name for figure in found.figures] == ["paths", "morphs"]
    path = tmp_path / "path_on_activations-parts" / "views-0.json"
    kept = json.loads(path.read_text())
    kept["found"]["views"][LAYER_MAPS]["mask"] = 0.125
    path.write_text(json.dumps(kept))
    again = follow_activations(data, StudyRequest(out=tmp_path), TINY)
    assert again.rows[3][4] == 0.125
    assert again.rows[2] == found.rows[2]


def test_images_too_small_to_pool_are_refused():
    own = ImageSet(torch.zeros(4, 1, 3, 9, dtype=torch.uint8), torch.arange(4) % 2, ("a", "b"))
    with pytest.raises(ValueError, match=r"at least 4 pixels .* those of thin are 3 x 9"):
        follow_activations(Dataset("thin", own, own), StudyRequest(), TINY)
