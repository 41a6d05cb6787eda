"""Deep belief nets: tiny machines whose every state is counted, closed forms, scikit-learn."""

import itertools
import json

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.neural_network import BernoulliRBM
from torch.nn import functional as F
from torch.testing import assert_close

from whence.cli import main
from whence.records.images import ImageSet
from whence.studies.deep_belief import look_at_units as looking
from whence.studies.deep_belief import study as whole
from whence.studies.deep_belief.natural_patches import cut_natural_patches, whiten
from whence.studies.deep_belief.show_units import (
    GibbsPlan,
    agree,
    combine_filters,
    correlate_pictures,
    maximise_units,
    sample_clamped,
)
from whence.studies.deep_belief.sigmoid_layer import (
    SigmoidLayer,
    flip_units,
    lift_through,
    start_layer,
)
from whence.studies.deep_belief.train_layers import (
    DEEP_KINDS,
    LayerRecipe,
    step_boltzmann,
    step_denoising,
    train_layers,
)
from whence.studies.parts.request import StudyRequest

TINY_BELIEF = looking.BeliefSize(
    images=40, widths=(12, 8), epochs=3, batch=10, units=8, shown=3, steps=40, chains=3,
    samples=4, between=3,
)  # fmt: skip


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


def random_layer(inputs, units, draw, scale=1.0):
    numbers = (
        scale * torch.randn(shape, generator=draw)
        for shape in ((units, inputs), (units,), (inputs,))
    )
    return SigmoidLayer(*numbers)


def count_states(layer, on=None):
    """Every state of a machine with its probability, by its energy; the unit ``on`` kept at 1."""
    below = torch.tensor([*itertools.product((0.0, 1.0), repeat=len(layer.below))])
    above = torch.tensor([*itertools.product((0.0, 1.0), repeat=len(layer.above))])
    if on is not None:
        above = above[above[:, on] == 1]
    energy = -(
        above @ layer.weights @ below.T + (above @ layer.above)[:, None] + below @ layer.below
    )
    chances = (-energy).flatten().softmax(0).view_as(energy)  # (above, below)
    return below, above, chances


def log_likelihood(layer, images):
    below, _, chances = count_states(layer)
    known = {tuple(one): float(chance.log()) for one, chance in zip(below.tolist(), chances.sum(0), strict=True)}  # fmt: skip
    return sum(known[tuple(one)] for one in images.tolist()) / len(images)


def test_a_layer_gives_the_conditional_probabilities_of_its_energy(draw):
    layer = random_layer(4, 3, draw)
    below, above, chances = count_states(layer)
    given = chances.T @ above / chances.sum(0)[:, None]  # (states below, H)
    assert_close(layer.lift(below), given)
    back = chances @ below / chances.sum(1)[:, None]
    assert_close(layer.lower(above), back)
    library = BernoulliRBM(3, random_state=0).fit(below.numpy())
    own = SigmoidLayer(
        *(
            torch.from_numpy(one).float()
            for one in (library.components_, library.intercept_hidden_, library.intercept_visible_)
        )
    )
    assert_close(own.lift(below), torch.from_numpy(library.transform(below.numpy())).float())


def test_gaussian_units_have_the_distribution_of_their_energy(draw):
    """v given h has the mean c + W^T h and deviation 1; in turns, the mixture of all h."""
    layer = random_layer(2, 3, draw, scale=0.7)._replace(gaussian=True)
    above = torch.tensor([*itertools.product((0.0, 1.0), repeat=3)])
    means = above @ layer.weights + layer.below
    assert_close(layer.lower(above), means)
    drawn = layer.draw_below(means.repeat(20_000, 1), generator=draw).view(-1, 8, 2)
    assert_close(drawn.mean(0), means, atol=0.03, rtol=0)
    assert_close(drawn.std(0), torch.ones(8, 2), atol=0.03, rtol=0)
    # e^(-E) with E = (v - c)^2 / 2 - b h - v W h, added up over v
    chances = (above @ layer.above + (means.square() - layer.below.square()).sum(1) / 2).softmax(0)
    found = sample_clamped([layer], [None], GibbsPlan(400, 20, 5), generator=draw)
    assert_close(found[0].mean(0), chances @ means, atol=0.05, rtol=0)
    stepped = step_boltzmann(layer, found[0, :50], LayerRecipe(1, 50), draw)
    assert stepped.gaussian


def test_patches_are_whitened_and_stay_in_place(draw):
    far = torch.randint(256, (50, 3, 14, 20), generator=draw, dtype=torch.uint8)
    smooth = F.avg_pool2d(far.float(), 5, 1, padding=2).byte()
    found, shape = cut_natural_patches(
        ImageSet(smooth, torch.zeros(50).long(), ("a", "b")), 900, generator=draw
    )
    assert shape == (12, 12)
    assert found.shape == (900, 144)
    assert_close(found.std(), torch.tensor(1.0))
    assert_close(found.mean(1), torch.zeros(900), atol=1e-4, rtol=0)
    raw = torch.randn(4000, 3, generator=draw) @ torch.tensor([[2.0, 1, 0], [0, 1, 1], [0, 0, 0.5]])
    centred = raw - raw.mean(1, keepdim=True)
    centred = centred - centred.mean(0)
    common = (centred.T @ centred / 4000).double().numpy()
    root = np.real(sqrtm(common + 0.1 * np.trace(common) / 3 * np.eye(3)))
    expected = centred.double() @ torch.from_numpy(np.linalg.inv(root))
    assert_close(whiten(raw).double(), expected / expected.std(), atol=1e-3, rtol=1e-3)
    small, shape = cut_natural_patches(
        ImageSet(smooth[:, :, :5, :6], torch.zeros(50).long(), ("a", "b")), 7, generator=draw
    )
    assert (shape, small.shape) == ((5, 6), (7, 30))


def test_the_first_of_gaussian_layers_learns_at_a_tenth_of_the_rates(draw):
    images = torch.randn(20, 6, generator=draw)
    recipe = LayerRecipe(1, 20)
    one, two = train_layers(
        "SDAE", images, (5, 3), recipe, gaussian=True, generator=torch.Generator().manual_seed(1)
    )
    assert (one.gaussian, two.gaussian) == (True, False)
    again = torch.Generator().manual_seed(1)
    start = start_layer(6, 5, gaussian=True, generator=again)
    order = torch.randperm(20, generator=again)
    slow = recipe._replace(denoising_rate=recipe.denoising_rate / 10)
    assert_close(one.weights, step_denoising(start, images[order], slow, again).weights)


def test_units_are_drawn_with_their_probabilities(draw):
    found = flip_units(torch.tensor([0.0, 0.2, 0.7, 1.0]).expand(20_000, 4), generator=draw)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert_close(found.mean(0), torch.tensor([0.0, 0.2, 0.7, 1.0]), atol=0.02, rtol=0)


def test_a_step_of_contrastive_divergence_by_hand(draw):
    layer, values = random_layer(3, 2, draw), torch.rand(5, 3, generator=draw)
    recipe = LayerRecipe(1, 5, boltzmann_rate=0.3)
    found = step_boltzmann(layer, values, recipe, torch.Generator().manual_seed(4))
    first = torch.sigmoid(values @ layer.weights.T + layer.above)
    drawn = (torch.rand(5, 2, generator=torch.Generator().manual_seed(4)) < first).float()
    below = torch.sigmoid(drawn @ layer.weights + layer.below)
    second = torch.sigmoid(below @ layer.weights.T + layer.above)
    for h, v in itertools.product(range(2), range(3)):
        slope = sum(
            float(first[n, h] * values[n, v] - second[n, h] * below[n, v]) for n in range(5)
        )
        assert float(found.weights[h, v]) == pytest.approx(
            float(layer.weights[h, v]) + 0.3 * slope / 5, rel=1e-5
        )
    assert_close(found.above, layer.above + 0.3 * (first - second).mean(0))
    assert_close(found.below, layer.below + 0.3 * (values - below).mean(0))


def test_contrastive_divergence_learns_as_well_as_scikit_learn(draw):
    """Patterns of two: the likelihood of a machine is counted, and rises as the library's does."""
    patterns = torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 0, 1, 1]])
    images = patterns[torch.randint(2, (200,), generator=draw)]
    start = start_layer(5, 4, generator=torch.Generator().manual_seed(0))
    recipe = LayerRecipe(60, 10, boltzmann_rate=0.2)
    (layer,) = train_layers("DBN", images, (4,), recipe, generator=draw)
    library = BernoulliRBM(4, learning_rate=0.2, batch_size=10, n_iter=60, random_state=0)
    library.fit(images.numpy())
    theirs = SigmoidLayer(
        *(
            torch.from_numpy(one).float()
            for one in (library.components_, library.intercept_hidden_, library.intercept_visible_)
        )
    )
    ours = log_likelihood(layer, images)
    assert ours > log_likelihood(start, images) + 1.5
    assert ours > log_likelihood(theirs, images) - 0.3


@pytest.mark.parametrize("gaussian", [False, True])
def test_a_denoising_step_goes_down_the_slope_of_its_loss(gaussian, draw):
    layer, values = random_layer(6, 4, draw), torch.rand(3, 6, generator=draw)
    layer = layer._replace(gaussian=gaussian)
    recipe = LayerRecipe(1, 3, denoising_rate=0.2, kept=0.5)
    found = step_denoising(layer, values, recipe, torch.Generator().manual_seed(7))
    noisy = values * (torch.rand(3, 6, generator=torch.Generator().manual_seed(7)) < 0.5)
    leaves = [one.clone().requires_grad_() for one in layer[:3]]
    units = torch.sigmoid(noisy @ leaves[0].T + leaves[1])
    back = units @ leaves[0] + leaves[2]
    loss = F.binary_cross_entropy_with_logits(back, values, reduction="none").sum(1).mean()
    if gaussian:
        loss = (back - values).square().sum(1).mean() / 2
    slopes = torch.autograd.grad(loss, leaves)
    for new, old, slope in zip(found[:3], layer[:3], slopes, strict=True):
        assert_close(new, old - 0.2 * slope)
    assert found.gaussian is gaussian


@pytest.mark.parametrize("kind", DEEP_KINDS)
def test_layers_are_trained_on_what_the_layer_before_gives(kind, draw):
    images = torch.rand(30, 6, generator=draw)
    recipe = LayerRecipe(2, 7)
    both = train_layers(kind, images, (5, 3), recipe, generator=torch.Generator().manual_seed(1))
    assert [tuple(one.weights.shape) for one in both] == [(5, 6), (3, 5)]
    again = torch.Generator().manual_seed(1)
    (first,) = train_layers(kind, images, (5,), recipe, generator=again)
    (second,) = train_layers(kind, first.lift(images), (3,), recipe, generator=again)
    assert_close(both[0].weights, first.weights)
    assert_close(both[1].weights, second.weights)
    assert_close(lift_through(both, images), second.lift(first.lift(images)))


def test_what_excites_a_unit_of_the_first_layer_most_is_its_filter(draw):
    layer = random_layer(9, 4, draw)
    found = maximise_units([layer], [2, 0], 1.7, starts=3, steps=200, generator=draw)
    assert found.shape == (2, 3, 9)
    for place, unit in enumerate((2, 0)):
        expected = 1.7 * F.normalize(layer.weights[unit], dim=0)
        assert_close(found[place], expected.expand(3, 9), atol=1e-3, rtol=0)
    assert_close(agree(found), torch.ones(2), atol=1e-4, rtol=0)


def test_no_input_of_that_length_excites_a_unit_of_the_second_layer_more(draw):
    layers = [random_layer(3, 5, draw), random_layer(5, 2, draw)]
    found = maximise_units(layers, [1], 2.0, starts=4, steps=300, generator=draw)
    tried = 2 * F.normalize(torch.randn(20_000, 3, generator=draw), dim=1)
    best = layers[1].rise(layers[0].lift(tried))[:, 1].max()
    reached = layers[1].rise(layers[0].lift(found[0]))[:, 1].max()
    assert float(reached) >= float(best) - 1e-3
    assert_close(found.norm(dim=2), torch.full((1, 4), 2.0))


def test_clamped_samples_have_the_mean_that_counting_every_state_gives(draw):
    layer = random_layer(4, 3, draw, scale=0.8)
    plan = GibbsPlan(chains=400, samples=20, between=3)
    found = sample_clamped([layer], [1, None], plan, generator=draw)
    assert found.shape == (2, 8000, 4)
    for place, on in enumerate((1, None)):
        below, _, chances = count_states(layer, on)
        assert_close(found[place].mean(0), chances.sum(0) @ below, atol=0.02, rtol=0)


def test_samples_of_two_layers_go_down_as_the_directed_net_says(draw):
    layers = [random_layer(3, 2, draw), random_layer(2, 3, draw)]
    plan = GibbsPlan(chains=400, samples=20, between=3)
    found = sample_clamped(layers, [0], plan, generator=draw)
    middle, _, chances = count_states(layers[1], 0)
    expected = chances.sum(0) @ layers[0].lower(middle)
    assert_close(found[0].mean(0), expected, atol=0.02, rtol=0)


def test_filters_are_added_up_as_the_weights_say(draw):
    layers = [random_layer(6, 4, draw), random_layer(4, 3, draw)]
    found = combine_filters(layers, [2, 1])
    slow = [
        sum(float(layers[1].weights[unit, k]) * layers[0].weights[k] for k in range(4))
        for unit in (2, 1)
    ]
    assert_close(found, torch.stack(slow))
    assert_close(combine_filters(layers[:1], [3]), layers[0].weights[[3]])


def test_agreement_and_correlations_by_hand():
    inputs = torch.tensor([[[1.0, 0], [0, 2], [3, 0]], [[1, 1], [2, 2], [5, 5]]])
    assert_close(agree(inputs), torch.tensor([1 / 3, 1.0]))
    pictures = torch.tensor([[1.0, 2, 3], [3, 2, 1], [0, 5, 0]])
    expected = torch.from_numpy(np.corrcoef(pictures.numpy())).float()
    assert_close(correlate_pictures(pictures, pictures), expected, atol=1e-6, rtol=0)


def test_light_images_are_turned_so_that_ink_is_light():
    dark = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    dark[0, :, 0, 0] = 255
    found = looking.lay_flat(ImageSet(dark, torch.tensor([0, 1]), ("a", "b")))
    turned = looking.lay_flat(ImageSet(255 - dark, torch.tensor([0, 1]), ("a", "b")))
    assert found[0].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert_close(found, turned)


def test_the_study_lays_out_every_layer_and_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(whole, "SMALL_BELIEF", TINY_BELIEF)
    found = whole.deep_belief(StudyRequest(out=tmp_path, seeds=2))
    names = [f"{kind}, layer {depth}" for kind in ("DBN", "SDAE") for depth in (1, 2)]
    assert [row[0] for row in found.rows] == names
    assert found.rows[0][1] == pytest.approx(1.0, abs=0.02)
    assert found.rows[0][4] == pytest.approx(1.0, abs=0.02)
    assert found.rows[2][5:] == (None, None, None)
    assert [one.name for one in found.figures] == ["layers", "starts", "samples", "ways"]
    monkeypatch.setattr(whole, "draw_belief", lambda *_: ())
    path = tmp_path / "deep_belief-parts" / "DBN-0.json"
    part = json.loads(path.read_text())
    assert len(part["found"]["layers"][1]["agreement"]) == 8
    for one in ("DBN-0", "DBN-1"):
        path = tmp_path / "deep_belief-parts" / f"{one}.json"
        part = json.loads(path.read_text())
        layer = part["found"]["layers"][1]
        layer["own"], layer["other"] = [0.9 + k / 100 for k in range(8)], [0.1] * 8
        for each in part["found"]["layers"]:
            each["agreement"] = [0.99] * 8
        path.write_text(json.dumps(part))
    for one in ("SDAE-0", "SDAE-1"):
        path = tmp_path / "deep_belief-parts" / f"{one}.json"
        part = json.loads(path.read_text())
        for each in part["found"]["layers"]:
            each["agreement"] = [0.96] * 7 + [0.9]
        path.write_text(json.dumps(part))
    again = whole.deep_belief(StudyRequest(out=tmp_path, seeds=2))
    assert again.holds
    assert again.rows[3][2] == pytest.approx(7 / 8)
    assert "layer 2: 0.94 against 0.10 of other units" in again.verdict
    belief = tmp_path / "deep_belief-parts" / "DBN-0.json"
    kept = belief.read_text()
    unlike = json.loads(kept)
    unlike["found"]["layers"][1]["own"] = [-0.9 - k / 100 for k in range(8)]
    belief.write_text(json.dumps(unlike))
    chance = whole.deep_belief(StudyRequest(out=tmp_path, seeds=2))
    assert chance.holds is False
    assert "which in layer 2 may be chance" in chance.verdict
    belief.write_text(kept)
    for each in part["found"]["layers"]:
        each["agreement"] = [0.2] * 8
    path.write_text(json.dumps(part))
    worse = whole.deep_belief(StudyRequest(out=tmp_path, seeds=2))
    assert worse.holds is False
    assert "(0.9 was asked)" in worse.verdict


def test_bad_input_gets_one_sentence(capsys):
    assert main(["study", "deep_belief", "nothing"]) == 2
    assert "Unknown dataset 'nothing'" in capsys.readouterr().err
