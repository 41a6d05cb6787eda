"""Layers of deconvolutional networks, against closed forms, slow copies and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.signal import convolve2d
from sklearn.decomposition import sparse_encode

from whence.studies.deconvolutional.adaptive import (
    AdaptiveLayer,
    bring_to_length,
    code_layers,
    cut_neighbourhoods,
    find_step_bound,
    find_switches,
    fit_filters,
    go_up,
    infer_adaptive,
    join_neighbourhoods,
    learn_adaptive,
    pool_maps,
    rebuild_input,
    unpool_maps,
)
from whence.studies.deconvolutional.layers import (
    DeconvolutionalLayer,
    connect_maps,
    find_smooth,
    improve_filters,
    infer_second,
    learn_layer,
    normalise_filters,
    rebuild_image,
    roughen,
)
from whence.studies.deconvolutional.patterns import (
    measure_error,
    measure_sharpness,
    show_second,
)
from whence.studies.deconvolutional.recognise import project_strongest
from whence.studies.deconvolutional.sparse import (
    Continuation,
    find_sparse,
    infer_maps,
    measure_cost,
    project_up,
    shrink_by_table,
    shrink_linearly,
    solve_conjugate,
    synthesise,
)

EXACT = Continuation(first=1.0, factor=3.0, rounds=12, iterations=40)


def dot(one, other):
    return float((one.double() * other.double()).sum())


@pytest.fixture
def filters(rng):
    return torch.randn(4, 2, 3, 3, generator=rng)


def test_synthesis_is_a_sum_of_convolutions(filters, rng):
    maps = torch.randn(2, 4, 8, 9, generator=rng)
    found = synthesise(maps, filters)
    assert found.shape == (2, 2, 6, 7)
    slow = np.zeros((6, 7))
    for k in range(4):
        slow += convolve2d(maps[1, k], filters[k, 1], mode="valid")
    np.testing.assert_allclose(found[1, 1], slow, rtol=1e-4, atol=1e-5)


def test_up_is_the_transpose_of_down(filters, rng):
    maps = torch.randn(2, 4, 8, 9, generator=rng)
    images = torch.randn(2, 2, 6, 7, generator=rng)
    left = dot(synthesise(maps, filters), images)
    assert left == pytest.approx(dot(maps, project_up(images, filters)), rel=1e-4)


def test_conjugate_gradients_solve_each_row(rng):
    root = torch.randn(5, 5, generator=rng)
    matrix = root @ root.T + torch.eye(5)
    right = torch.randn(3, 5, generator=rng)
    found = solve_conjugate(lambda x: x @ matrix, right, torch.zeros(3, 5), 30)
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right.T).T, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("power", [0.5, 0.8, 1.0])
def test_the_sparse_copies_are_the_cheapest(power):
    weight = 1.7
    values = torch.linspace(-4, 4, 41)
    found = find_sparse(values, weight, power)

    def cost(x, v):
        return abs(x) ** power + weight / 2 * (x - v) ** 2

    for v, x in zip(values.tolist(), found.tolist(), strict=True):
        best = minimize_scalar(
            lambda some, v=v: cost(some, v),
            bounds=(min(0, v) - 1e-9, max(0, v) + 1e-9),
            method="bounded",
            options={"xatol": 1e-9},
        ).fun
        assert cost(x, v) <= min(best, cost(0, v)) + 2e-3


def test_the_table_is_the_closed_form_for_p_1():
    values = torch.linspace(-3, 3, 101)
    torch.testing.assert_close(
        shrink_by_table(values, 2.0, 1.0), shrink_linearly(values, 0.5), atol=3e-3, rtol=0
    )
    assert torch.equal(shrink_by_table(torch.zeros(3), 2.0, 0.5), torch.zeros(3))


def test_continuation_finds_the_lasso_of_scikit_learn(rng):
    words = torch.randn(6, 9, generator=rng, dtype=torch.float64)
    words = words / words.norm(dim=1, keepdim=True)
    signals = torch.randn(4, 9, generator=rng, dtype=torch.float64)
    fidelity = 4.0
    found = infer_maps(
        lambda z: z @ words,
        lambda y: y @ words.T,
        signals,
        torch.zeros(4, 6).double(),
        fidelity,
        EXACT,
    )
    slow = sparse_encode(
        signals.numpy(), words.numpy(), algorithm="lasso_cd", alpha=1 / fidelity, max_iter=5000
    )
    costs = [
        measure_cost(z, z @ words, signals, fidelity, 1.0) for z in (found, torch.from_numpy(slow))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=0.02)


def test_filters_move_downhill_and_stay_connected(rng):
    connected = connect_maps(4, 5, 2, rng)
    assert connected.sum(1).tolist() == [2.0] * 4
    assert set(connected.unique().tolist()) == {0.0, 1.0}
    filters = normalise_filters(torch.randn(4, 5, 3, 3, generator=rng), connected)
    maps = torch.randn(3, 4, 10, 10, generator=rng)
    below = synthesise(maps, normalise_filters(torch.randn(4, 5, 3, 3, generator=rng), connected))
    found = filters
    for _ in range(10):
        found = improve_filters(found, connected, maps, below)
    before, after = (measure_error(synthesise(maps, one), below) for one in (filters, found))
    assert after < 0.05 < before
    torch.testing.assert_close(found.flatten(1).norm(dim=1), torch.ones(4))
    assert not found[connected == 0].any()


def test_a_layer_finds_the_filter_that_made_the_images(rng):
    true = torch.zeros(1, 1, 3, 3)
    true[0, 0, 1] = torch.tensor([1.0, -1.0, 1.0]) / 3**0.5
    maps = (torch.rand(12, 1, 14, 14, generator=rng) > 0.97) * 3.0
    layer = learn_layer(
        synthesise(maps, true),
        torch.ones(1, 1),
        5,
        fidelity=0.5,
        epochs=30,
        generator=rng,
    )
    overlap = torch.nn.functional.conv2d(layer.filters, true, padding=1).abs().max()
    assert float(overlap) > 0.9


def test_two_layers_rebuild_the_image(rng):
    first = DeconvolutionalLayer(
        bring_to_length(torch.randn(4, 1, 3, 3, generator=rng)), torch.ones(4, 1), 20.0
    )
    second = DeconvolutionalLayer(
        bring_to_length(torch.randn(6, 4, 3, 3, generator=rng)), torch.ones(6, 4), 20.0
    )
    true = (torch.rand(2, 6, 12, 12, generator=rng) > 0.95) * 2.0
    images = rebuild_image(first, second, true)
    maps = infer_second(first, second, images, synthesise(true, second.filters))
    assert measure_error(rebuild_image(first, second, maps), images) < 0.1
    shown = show_second(first, second)
    direct = rebuild_image(first, second, torch.eye(6)[:, :, None, None] * delta(9))
    torch.testing.assert_close(shown, direct)
    full = convolve2d(first.filters[0, 0], second.filters[2, 0])
    for k in range(1, 4):
        full = full + convolve2d(first.filters[k, 0], second.filters[2, k])
    np.testing.assert_allclose(shown[2, 0], full, rtol=1e-4, atol=1e-5)


def delta(side):
    found = torch.zeros(side, side)
    found[side // 2, side // 2] = 1
    return found


def test_the_smooth_part_is_that_of_a_direct_solution(rng):
    images = torch.rand(1, 1, 6, 6, generator=rng)
    flat = torch.full((1, 1, 5, 5), 1 / 25)
    basis = torch.eye(100).reshape(100, 1, 10, 10)
    blur = synthesise(basis, flat).flatten(1).T  # (36, 100)
    slopes = torch.cat([basis.diff(dim=2).flatten(1), basis.diff(dim=3).flatten(1)], 1).T
    torch.testing.assert_close(roughen(basis).flatten(1), slopes.T @ slopes, atol=1e-6, rtol=0)
    right = blur.T @ images.flatten()
    maps = torch.linalg.solve((blur.T @ blur + 0.3 * slopes.T @ slopes).double(), right.double())
    found = find_smooth(images, 0.3, iterations=200)
    torch.testing.assert_close(found.flatten().double(), blur.double() @ maps, atol=1e-3, rtol=0)


def test_switches_mark_the_number_furthest_from_zero(rng):
    maps = torch.randn(2, 4, 6, 8, generator=rng)
    cut = cut_neighbourhoods(maps)
    assert cut.shape == (2, 2, 3, 4, 8)
    assert torch.equal(join_neighbourhoods(cut), maps)
    block = maps[1, 2:4, 4:6, 2:4]
    assert sorted(cut[1, 1, 2, 1].tolist()) == sorted(block.flatten().tolist())
    marks = find_switches(maps, True)
    pooled = pool_maps(maps, marks)
    assert float(pooled[1, 1, 2, 1]) == pytest.approx(
        float(block.flatten()[block.abs().flatten().argmax()])
    )
    back = unpool_maps(pooled, marks)
    assert int((back != 0).sum()) == pooled.numel()
    assert torch.equal(back[back != 0], maps[back != 0])
    means = find_switches(maps, False)
    torch.testing.assert_close(
        unpool_maps(pool_maps(maps, means), means)[1, 2:4, 4:6, 2:4],
        block.mean().expand(2, 2, 2),
    )


@pytest.fixture
def stack(rng):
    """Two layers, and switches of the first."""
    layers = [
        AdaptiveLayer(bring_to_length(torch.randn(4, 1, 3, 3, generator=rng)), 30.0, 15, True),
        AdaptiveLayer(bring_to_length(torch.randn(6, 2, 3, 3, generator=rng)), 30.0, 15, True),
    ]
    return layers, [find_switches(torch.randn(3, 4, 12, 12, generator=rng), True)]


def test_going_up_is_the_transpose_of_going_down(stack, rng):
    layers, switches = stack
    maps = torch.randn(3, 6, 8, 8, generator=rng)
    images = torch.randn(3, 1, 10, 10, generator=rng)
    rebuilt = rebuild_input(layers, switches, maps)
    assert rebuilt.shape == images.shape
    assert dot(rebuilt, images) == pytest.approx(
        dot(maps, go_up(layers, switches, images)), rel=1e-4
    )
    slow = synthesise(
        unpool_maps(synthesise(maps, layers[1].filters), switches[0]), layers[0].filters
    )
    torch.testing.assert_close(rebuilt, slow)


def test_the_bound_is_the_largest_eigenvalue(stack):
    layers, switches = stack
    basis = torch.eye(4 * 12 * 12).reshape(-1, 4, 12, 12)
    matrix = synthesise(basis, layers[0].filters).flatten(1)
    largest = float(torch.linalg.matrix_norm(matrix, 2)) ** 2
    found = find_step_bound(layers[:1], [], torch.zeros(1, 4, 12, 12))
    assert 0.9 * largest < found < 1.15 * largest
    assert find_step_bound(layers, switches, torch.zeros(3, 6, 8, 8)) > 0


def test_one_step_of_ista_by_hand(stack, rng):
    layers, _ = stack
    images = torch.randn(2, 1, 10, 10, generator=rng)
    one = layers[0]._replace(steps=1)
    found = infer_adaptive([one], [], images)
    step = 1 / find_step_bound([one], [], torch.zeros(2, 4, 12, 12))
    expected = shrink_linearly(step * project_up(images, one.filters), step / one.fidelity)
    marks = find_switches(expected, True)
    torch.testing.assert_close(found.maps, unpool_maps(pool_maps(expected, marks), marks))
    torch.testing.assert_close(found.pooled, pool_maps(found.maps, found.switches))


def test_filters_are_those_of_least_squares(stack, rng):
    layers, switches = stack
    maps = torch.randn(3, 6, 8, 8, generator=rng)
    images = rebuild_input(layers, switches, maps)
    start = bring_to_length(torch.randn(6, 2, 3, 3, generator=rng))
    found = start
    for _ in range(12):
        found = fit_filters(layers[:1], switches, maps, images, found)
    before, after = (
        measure_error(
            rebuild_input([layers[0], layers[1]._replace(filters=some)], switches, maps), images
        )
        for some in (start, found)
    )
    assert after < 0.02 < before


def test_layers_with_switches_rebuild_edges_and_means_blur_them(rng):
    images = torch.zeros(6, 1, 14, 14)
    for number in range(6):
        images[number, 0, :, number + 3 :] = 1.0
    images = images - images.mean((2, 3), keepdim=True)
    sharpness = {}
    for switched in (True, False):
        layers = learn_adaptive(
            images,
            (4, 4),
            (3, 3),
            (20.0, 20.0),
            epochs=4,
            steps=10,
            switched=switched,
            generator=torch.Generator().manual_seed(0),
        )
        coded = code_layers(layers, images)
        rebuilt = rebuild_input(layers, [coded[0].switches], coded[1].maps)
        sharpness[switched] = measure_sharpness(rebuilt, images)
        alone = project_strongest(layers, coded)
        assert alone[0].shape == coded[0].maps.shape
    assert sharpness[True] > sharpness[False] + 0.1
