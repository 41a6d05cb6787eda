"""Paths on activations: the conditional GAN, what is judged, and the study as a whole."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence
from whence.data.augment import to_float
from whence.records.images import Dataset, ImageSet
from whence.studies.parts.real_images import REAL
from whence.studies.parts.request import StudyRequest
from whence.studies.path_on_activations.compare_morphs import (
    BY_AUTOENCODER,
    BY_GAN,
    find_pair,
    judge_morphs,
    show_both_ways,
    take_pair,
)
from whence.studies.path_on_activations.followed_views import (
    FOLLOWED,
    LAYER_MAPS,
    X_FEATURES,
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
    epochs=4,
    vae_epochs=1,
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
                REAL: {"to real": 0.9},
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


@pytest.mark.parametrize(
    ("view", "measure", "missed", "told"),
    [
        (X_FEATURES, "kept", "masks behind the embedding", ", no number on x-features. "),
        (X_FEATURES, "whole gain", "masks behind the embedding", ", no number on x-features. "),
        (X_FEATURES, "mask", "masks behind the embedding", ", no number x-features; "),
    ],
)
def test_a_missing_number_is_no_zero(view, measure, missed, told):
    missing = make_part()
    missing["views"]["views"][view][measure] = None
    assert judge_paths([make_part(), missing]) == judge_paths([make_part()])
    holds, verdict = judge_paths([missing])
    assert not holds
    assert f"; not held: {missed}. " in verdict
    assert told in verdict


def test_paths_that_gain_nothing_leave_no_share_to_keep():
    part = make_part()
    part["views"]["views"][FOLLOWED[0]]["whole gain"] = 0.0
    holds, verdict = judge_paths([part])
    assert not holds
    assert "masks keep no number of the network's gain on pixels, no number on " in verdict


def draw_bars():
    """Three classes of 60 images of 8 x 8 pixels, each with a bar at a place of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(180) % 3
    images = torch.randint(60, (180, 1, 8, 8), generator=generator)
    for row, label in enumerate(labels.tolist()):
        images[row, 0, :, 3 * label : 3 * label + 2] += 190
    own = ImageSet(images.byte(), labels, ("left", "middle", "right"))
    return Dataset("bars", own, own)


def blend(network, vae, images, stored, *, generator, steps):
    """Paths straight through the pixels, in the place of the package's morph."""
    ends = to_float(images)
    starts = ends.roll(1, 0)
    ramp = torch.linspace(0, 1, steps)[None, :, None, None, None]
    answers = [network.logits(some).argmax(1) for some in (ends, starts)]
    return SimpleNamespace(
        reasons=(None,) * len(images),
        path=starts[:, None] + ramp * (ends - starts)[:, None],
        others=SimpleNamespace(classes=torch.stack(answers, 1)),
    )


def test_a_small_study_is_whole_and_goes_on(tmp_path, monkeypatch):
    data = draw_bars()
    place = "whence.studies.path_on_activations"
    monkeypatch.setattr(f"{place}.compare_views.morph", blend)
    monkeypatch.setattr(
        f"{place}.compare_morphs.morph_codes",
        lambda network, vae, codes, *_: SimpleNamespace(codes=codes),
    )
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
    for name, figure in zip(("paths", "morphs"), found.figures, strict=True):
        monkeypatch.setattr(f"{place}.report.draw_{name}", lambda *_, one=figure: one)
    again = follow_activations(data, StudyRequest(out=tmp_path), TINY)
    assert again.rows[3][4] == 0.125
    assert again.rows[2] == found.rows[2]


def test_images_too_small_to_pool_are_refused():
    own = ImageSet(torch.zeros(4, 1, 3, 9, dtype=torch.uint8), torch.arange(4) % 2, ("a", "b"))
    with pytest.raises(ValueError, match=r"at least 4 pixels .* those of thin are 3 x 9"):
        follow_activations(Dataset("thin", own, own), StudyRequest(), TINY)
