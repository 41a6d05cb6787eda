"""Instruments of the study of concepts, each against a slow or a known answer."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.stats import ttest_ind, ttest_ind_from_stats

from whence.data.load import load_dataset
from whence.models.load import load
from whence.studies.concepts.blocks import train_blocks
from whence.studies.concepts.directions import (
    CONCEPT_PENALTY,
    compare_scores,
    fit_direction,
    fit_directions,
    fit_random_directions,
    is_moved,
    share_rising,
    welch_probability,
)
from whence.studies.concepts.listen import find_class_slopes, read_depths
from whence.studies.concepts.planting import (
    DOTS,
    PATCH_SIDE,
    STRIPES,
    draw_texture,
    plant_bias,
    plant_stripes,
)
from whence.studies.concepts.prediction_difference import (
    INNER,
    OUTER,
    PatchNormal,
    condition_normal,
    fill_by_others,
    fill_by_surroundings,
    find_differences,
    learn_patches,
    spread_starts,
    weigh_evidence,
)
from whence.studies.concepts.probing import measure_probes
from whence.studies.concepts.stethoscope import (
    build_listened,
    encode_listened,
    probe_again,
    teach_branch,
    train_listened,
)
from whence.studies.concepts.svcca import compare_layers, lay_out_places, trace_convergence
from whence.studies.concepts.units import detect_by_units, find_best_unit, overlap_units
from whence.visualisation.unit import classify_encoded


@pytest.fixture(scope="module")
def base():
    return load_dataset("digits", size=24, channels=1).train.take(range(160))


@pytest.fixture(scope="module")
def planted(base):
    return plant_stripes(base, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trained(planted):
    return train_blocks(planted.images, 2, seed=0)


def test_textures_are_where_the_masks_say_and_stripes_are_the_class(base, planted):
    striped = planted.having(STRIPES)
    assert 20 < int(striped.sum()) < 60
    assert planted.images.labels[striped].unique().tolist() == [10]
    assert torch.equal(planted.images.labels[~striped], base.labels[~striped])
    assert not (planted.masks[STRIPES] & planted.masks[DOTS]).any()
    changed = (planted.images.images != base.images)[:, 0]
    assert not (changed & ~planted.masks[STRIPES] & ~planted.masks[DOTS]).any()
    for name in (STRIPES, DOTS):
        mask = planted.masks[name]
        assert set(mask.flatten(1).sum(1).tolist()) == {0, PATCH_SIDE**2}
        row = int(planted.having(name).nonzero()[0])
        found = planted.images.images[row, 0][mask[row]].reshape(PATCH_SIDE, PATCH_SIDE)
        assert torch.equal(found, draw_texture(name))
    with pytest.raises(ValueError, match="Unknown texture rings"):
        draw_texture("rings")


def test_a_bias_goes_with_the_second_half_of_the_classes(base):
    for agreement in (1.0, 0.5):
        biased = plant_bias(base, agreement, torch.Generator().manual_seed(0))
        agrees = (biased.having(DOTS) == (base.labels >= 5)).float().mean()
        assert abs(float(agrees) - agreement) < 0.12
        assert torch.equal(biased.images.labels, base.labels)


def test_a_direction_is_that_of_a_slow_fit(rng):
    concept, others = torch.randn(40, 3, generator=rng), torch.randn(60, 3, generator=rng)
    concept += torch.tensor([2.0, 0.0, -1.0])
    concept[:, 1], others[:, 1] = 5.0, 5.0  # a channel that never changes
    generator = torch.Generator().manual_seed(4)
    found = fit_direction(concept, others, generator)
    generator = torch.Generator().manual_seed(4)
    orders = [torch.randperm(n, generator=generator) for n in (40, 60)]
    known = torch.cat([concept[orders[0][10:]], others[orders[1][15:]]]).double()
    held = torch.cat([concept[orders[0][:10]], others[orders[1][:15]]]).double()
    deviation = known.std(0, correction=0)
    deviation[1] = torch.inf
    standard = (known - known.mean(0)) / deviation
    signs = torch.cat([torch.ones(30), -torch.ones(45)]).double()
    weights = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        margins = signs * (standard @ weights[:3] + weights[3])
        value = CONCEPT_PENALTY * torch.nn.functional.softplus(-margins).sum()
        value = value + weights[:3].square().sum() / 2
        value.backward()
        return value

    solver.step(loss)
    with torch.no_grad():
        towards = weights[:3] / deviation
        answers = (held - known.mean(0)) / deviation @ weights[:3] + weights[3] > 0
    towards = (towards / torch.linalg.vector_norm(towards)).float()
    torch.testing.assert_close(found.towards, towards, atol=1e-3, rtol=0)
    assert float(torch.linalg.vector_norm(found.towards)) == pytest.approx(1)
    right = (answers == (torch.arange(25) < 10)).double().mean()
    assert found.accuracy == pytest.approx(float(right))


def test_welch_is_that_of_scipy_and_knows_samples_without_variance(rng):
    one, other = np.array([0.1, 0.5, 0.9, 0.8]), np.array([0.4, 0.1, 0.2, 0.3, 0.2])
    expected = ttest_ind(one, other, equal_var=False).pvalue
    assert welch_probability(one, other) == pytest.approx(expected)
    ones = np.ones(4)
    spread = float(other.std(ddof=1))
    expected = ttest_ind_from_stats(1, 0, 4, other.mean(), spread, 5, equal_var=False).pvalue
    assert welch_probability(ones, other) == pytest.approx(expected)
    assert welch_probability(ones, np.ones(3)) == 1
    assert welch_probability(ones, np.zeros(3)) == 0


def test_a_concept_that_the_logit_rises_with_is_moved_and_random_ones_are_not(rng):
    others = torch.randn(200, 4, generator=rng)
    concept = torch.randn(80, 4, generator=rng) + torch.tensor([3.0, 0, 0, 0])
    slopes = torch.tensor([[1.0, 0.1, 0.2, 0.0]]) + 0.1 * torch.randn(50, 4, generator=rng)
    random = fit_random_directions(others, 30, 40, rng)
    test = compare_scores(slopes, fit_directions(concept, others, 30, 40, rng), random)
    assert test.score > 0.9 > test.accuracy - 0.09 > 0.7
    assert is_moved(test, 10)
    none = compare_scores(slopes, fit_random_directions(others, 30, 40, rng), random)
    assert not is_moved(none, 10)
    assert abs(none.accuracy - 0.5) < 0.15
    rows = torch.tensor([[0.0, 1.0], [1.0, 0.0], [3.0, 0.0], [0.0, 0.0]])  # the last does not move
    assert share_rising(rows, torch.tensor([1.0, 0.0])) == 2.5 / 4


def test_slopes_are_those_of_small_steps_of_a_layer(trained, planted):
    model, images = trained.model, planted.images.images[:3]
    classes = torch.tensor([10, 2, 5])
    generator = torch.Generator().manual_seed(1)
    slopes = find_class_slopes(model, ["block2", "block4"], images, classes)
    for layer, channels, places in (("block2", 32, 36), ("block4", 64, 9)):
        towards = torch.randn(channels, generator=generator)
        logits = []
        for sign in (1, -1):
            step = sign * 1e-3 * towards[:, None, None]
            part = model.encoder.get_submodule(layer)
            handle = part.register_forward_hook(lambda _, __, given, step=step: given + step)
            with torch.no_grad(), torch.enable_grad():
                logits.append(model(images).detach())
            handle.remove()
        rise = (logits[0] - logits[1])[torch.arange(3), classes] / 2e-3
        torch.testing.assert_close(slopes[layer] @ towards * places, rise, atol=2e-2, rtol=2e-2)


def test_logits_are_those_of_the_model_with_its_memory(measured_run, measured_digits):
    model, images = load(measured_run), measured_digits.test.images[:4]
    with torch.no_grad():
        found = classify_encoded(model, model.encode_features(images))
        torch.testing.assert_close(found, model(images))
    slopes = find_class_slopes(model, ["6"], images, torch.tensor([0, 1, 2, 3]))["6"]
    assert bool((slopes != 0).any(1).all())


def test_depths_are_means_over_a_grid(trained, planted):
    images = planted.images.images[:5]
    found = read_depths(trained.model, ["block1"], images, grid=3)["block1"]
    with torch.no_grad():
        maps = trained.model.encoder.block1(trained.model.normalise(images))  # (5, 16, 12, 12)
    torch.testing.assert_close(found[:, :, 2, 0], maps[:, :, 8:, :4].mean((2, 3)))
    whole = read_depths(trained.model, ["block1"], images)["block1"]
    torch.testing.assert_close(whole[:, :, 0, 0], maps.mean((2, 3)))
    other = read_depths(trained.model, ["block1"], images, encoder=trained.epochs[0])["block1"]
    assert not torch.allclose(whole, other)


def test_overlap_and_precision_of_units_by_hand(rng):
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2, :2] = True
    maps = torch.zeros(2, 3, 4, 4)
    maps[0, 0, :2, :2] = 1 + torch.rand(2, 2, generator=rng)  # exactly the concept
    maps[0, 1, :2, 1:3] = 1 + torch.rand(2, 2, generator=rng)  # half of it, and as much beside
    torch.testing.assert_close(overlap_units(maps, masks, 4 / 32), torch.tensor([1.0, 2 / 6, 0.0]))
    activity = torch.tensor([[3.0, 1.0], [2.0, 4.0], [1.0, 3.0], [0.0, 2.0]])
    present = torch.tensor([True, False, True, False])
    expected = torch.tensor([(1 + 2 / 3) / 2, (1 / 2 + 2 / 4) / 2])
    torch.testing.assert_close(detect_by_units(activity, present), expected)
    assert find_best_unit(activity, present).unit == 0
    assert find_best_unit(activity, present, torch.tensor([0.1, 0.3]))[:2] == (
        1,
        pytest.approx(0.3),
    )


def test_correlations_are_cosines_of_the_angles_between_subspaces(rng):
    one = torch.randn(50, 3, generator=rng, dtype=torch.float64)
    other = one @ torch.randn(3, 4, generator=rng, dtype=torch.float64)
    other = other + torch.randn(50, 4, generator=rng, dtype=torch.float64)
    centred = [some - some.mean(0) for some in (one, other)]
    expected = np.cos(subspace_angles(*(some.numpy() for some in centred))).mean()
    assert compare_layers(one, other, 1 - 1e-9) == pytest.approx(expected)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))[0]
    assert compare_layers(one, 4 * one @ turn + 7) == pytest.approx(1)
    assert compare_layers(one, torch.ones(50, 2)) == 0
    noisy = torch.cat([one[:, :1], 1e-3 * one[:, 1:2]], 1)  # a direction of little variance
    shared = torch.cat([one[:, :1], 1e-3 * other[:, :1]], 1)
    assert compare_layers(noisy, shared) == pytest.approx(1)
    assert compare_layers(noisy, shared, 1.0) < 0.99


def test_layers_are_compared_place_by_place_and_end_as_they_are(rng):
    maps = torch.randn(4, 3, 2, 2, generator=rng)
    rows = lay_out_places(maps)
    assert rows.shape == (16, 3)
    torch.testing.assert_close(rows[4 * 2 + 1], maps[2, :, 0, 1])
    epochs = [{"a": torch.randn(20, 3, 2, 2, generator=rng)} for _ in range(3)]
    trace = trace_convergence(epochs, ["a"])["a"]
    assert trace[2] == pytest.approx(1)
    assert max(trace[:2]) < 0.9


def test_probes_count_their_mistakes(rng):
    labels, asked = torch.arange(90) % 3, torch.arange(31) % 3
    known = {"clear": torch.eye(3)[labels], "noise": torch.randn(90, 3, generator=rng)}
    others = {"clear": torch.eye(3)[asked], "noise": torch.randn(31, 3, generator=rng)}
    found = measure_probes(known, labels, others, asked, 3, seed=0)
    assert found["clear"] == 0
    assert 0.4 < found["noise"] < 0.9


def test_a_branch_learns_and_leaves_the_features():
    features, wanted = torch.randn(64, 64), torch.arange(64) % 2
    network = build_listened(3)
    before = [one.clone() for one in network.branch.parameters()]
    listener = torch.optim.Adam(network.branch.parameters(), lr=1e-2)
    for _ in range(20):
        teach_branch(network.branch, listener, features, wanted)
    assert not torch.equal(before[0], network.branch[0].weight)
    assert float((network.branch(features).argmax(1) == wanted).float().mean()) > 0.9


def test_a_promoted_factor_is_in_the_features_more_than_a_suppressed_one(base):
    biased = plant_bias(base, 0.8, torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    heard = {}
    for weight in (-1.0, 1.0):
        network = train_listened(biased.images, biased.having(DOTS), weight, 15, seed=0)
        network.encoder.train()  # by the statistics of these images: few steps were taken
        features = encode_listened(network, biased.images.images)
        answers = network.branch(features).argmax(1).bool()
        heard[weight] = float((answers == biased.having(DOTS)).float().mean())
    assert heard[1.0] > heard[-1.0] + 0.1
    assert torch.equal(state, torch.get_rng_state())


def test_a_new_perceptron_tells_what_is_there(rng):
    features = torch.randn(300, 5, generator=rng)
    flags = features[:, 2] > 0
    split = slice(0, 200), slice(200, 300)
    parts = features[split[0]], flags[split[0]], features[split[1]]
    assert probe_again(*parts, flags[split[1]], seed=0) > 0.8
    assert probe_again(*parts, flags[split[0]][:100], seed=0) < 0.7


def test_conditioned_normals_are_those_of_the_inverse_covariance(rng):
    root = torch.randn(5, 5, generator=rng, dtype=torch.float64)
    covariance = root @ root.T + torch.eye(5)
    normal = PatchNormal(torch.arange(5.0, dtype=torch.float64), covariance)
    unknown = torch.tensor([False, True, True, False, False])
    values = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    inverse = torch.linalg.inv(covariance)
    own = torch.linalg.inv(inverse[1:3, 1:3])
    gap = values - torch.tensor([0.0, 3, 4], dtype=torch.float64)
    mean = torch.tensor([1.0, 2], dtype=torch.float64) - own @ inverse[1:3][:, [0, 3, 4]] @ gap
    found = condition_normal(normal, unknown, values)
    torch.testing.assert_close(found[0], mean)
    torch.testing.assert_close(found[1], own)


def test_evidence_by_hand():
    found = weigh_evidence(torch.tensor([0.75]), torch.tensor([0.25]), 10**9, 2)
    assert found.item() == pytest.approx(2 * np.log2(3), rel=1e-4)
    corrected = weigh_evidence(torch.tensor([1.0]), torch.tensor([0.5]), 8, 2)
    assert corrected.item() == pytest.approx(np.log2(9))  # (8 + 1) / (8 + 2) to 1 / 10


def test_differences_are_those_of_a_slow_second_computation(rng):
    image = torch.rand(1, 9, 11, generator=rng)
    weights = torch.randn(9, 11, generator=rng)

    def ask(images):
        return torch.sigmoid((images[:, 0] * weights).sum((1, 2)) - 1)

    def fill(row, column, samples):
        return torch.full((samples, INNER, INNER), row / 10)

    found = find_differences(ask, image, fill, total=50, classes=3, stride=3)
    total, count = np.zeros((9, 11)), np.zeros((9, 11))
    for row in (0, 3, 5):
        for column in (0, 3, 6, 7):
            changed = image.clone()
            changed[0, row : row + 4, column : column + 4] = row / 10
            one, other = ((float(ask(some[None])) * 50 + 1) / 53 for some in (image, changed))
            bits = np.log2(one / (1 - one)) - np.log2(other / (1 - other))
            total[row : row + 4, column : column + 4] += bits
            count[row : row + 4, column : column + 4] += 1
    assert spread_starts(9, 4, 3) == [0, 3, 5]
    np.testing.assert_allclose(found, total / count, rtol=1e-4, atol=1e-5)


def test_fillings_come_from_the_same_place_or_follow_the_surroundings(rng):
    others = torch.rand(6, 1, 12, 12, generator=rng)
    filled = fill_by_others(others, rng)(3, 5, 20)
    for one in filled:
        assert any(torch.equal(one, other[0, 3:7, 5:9]) for other in others)
    level = torch.rand(300, 1, 1, 1, generator=rng)
    flat = (level + 0.01 * torch.randn(300, 1, 12, 12, generator=rng)).clamp(0, 1)
    normal = learn_patches(flat, OUTER)
    np.testing.assert_allclose(
        normal.covariance[0, 1], np.cov(flat[:, 0, 0, 0], flat[:, 0, 0, 1])[0, 1], atol=5e-3
    )
    bright = torch.full((1, 12, 12), 0.8)
    for row, column in ((0, 0), (4, 4), (8, 8)):
        drawn = fill_by_surroundings(normal, bright, rng)(row, column, 200)
        assert drawn.shape == (200, INNER, INNER)
        assert abs(float(drawn.mean()) - 0.8) < 0.03
