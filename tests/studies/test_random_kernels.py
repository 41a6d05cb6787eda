"""Kernels and the network of theorem 1, which fit any labels."""

import math

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.study_images import draw_shades
from whence.records.images import Dataset, ImageSet
from whence.studies.random_labels.exact_network import build_exact_network
from whence.studies.random_labels.filtered import (
    cut_filters,
    draw_gabor,
    gabor_features,
    random_filter_features,
)
from whence.studies.random_labels.gram import (
    GramFit,
    GramRecipe,
    answer_left_out,
    choose_gram,
    compare_features,
    fit_gram,
    solve_few_features,
    solve_gram,
)
from whence.studies.random_labels.kernels_of_images import try_exact_network


@pytest.fixture
def draw():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def dataset():
    return draw_shades()


def test_a_network_of_2n_plus_d_weights_fits_any_numbers(draw):
    points = torch.rand(40, 7, generator=draw, dtype=torch.float64)
    values = torch.randn(40, generator=draw, dtype=torch.float64)
    network = build_exact_network(points, values, generator=draw)
    assert network.parameters == 2 * 40 + 7
    assert_close(network(points), values, atol=1e-9, rtol=0)
    asked = torch.rand(3, 7, generator=draw, dtype=torch.float64)
    slow = [
        sum(
            float(w) * max(float(one @ network.direction) - float(b), 0.0)
            for w, b in zip(network.weights, network.biases, strict=True)
        )
        for one in asked
    ]
    assert_close(network(asked), torch.tensor(slow, dtype=torch.float64))
    heights = points @ network.direction
    middle = (heights.sort().values[3:5]).mean()  # between two neighbours it is a straight line
    near = values[heights.argsort()[3:5]].mean()
    along = network.direction / network.direction.square().sum()
    assert_close(network((middle * along)[None])[0], near)


def test_a_network_of_one_point_and_points_that_are_copies(draw):
    one = build_exact_network(torch.tensor([[2.0, 3.0]]), torch.tensor([5.0]), generator=draw)
    assert_close(one(torch.tensor([[2.0, 3.0]])), torch.tensor([5.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="points must differ, 1 of 3 are copies; leave them out"):
        build_exact_network(torch.tensor([[0.0], [1.0], [0.0]]), torch.ones(3), generator=draw)
    near = torch.tensor([[1.0], [1.0 + 1e-14]], dtype=torch.float64)
    with pytest.raises(ValueError, match="points must differ in some direction"):
        build_exact_network(near, torch.ones(2), generator=draw)


def test_copies_of_images_are_left_out_of_theorem_1(dataset):
    images = torch.cat([dataset.train.images, dataset.train.images[:5]])
    labels = torch.cat([dataset.train.labels, dataset.train.labels[:5]])
    more = Dataset("more", ImageSet(images, labels, ("dark", "light")), dataset.test)
    found = try_exact_network(more, 0)
    assert (found.images, found.pixels, found.parameters) == (60, 36, 2 * 60 + 36)
    assert found.label_error == 0
    assert found.largest < 1e-8


@pytest.mark.parametrize("ridge", [0.0, 0.03])
def test_kernel_regression_is_scikit_learns(ridge, draw):
    features = torch.randn(25, 4, generator=draw)
    targets = torch.randn(25, 3, generator=draw, dtype=torch.float64)
    gram = compare_features(features, features, 1.5)
    width = 1 / (2 * 1.5**2)
    assert_close(gram, torch.from_numpy(rbf_kernel(features.double().numpy(), gamma=width)))
    alpha = solve_gram(gram, targets, ridge)
    other = KernelRidge(alpha=max(ridge, 1e-15), kernel="precomputed").fit(
        gram.numpy(), targets.numpy()
    )
    assert_close(alpha, torch.from_numpy(other.dual_coef_), atol=1e-8, rtol=1e-8)


def test_of_several_solutions_the_shortest_is_taken(draw):
    features = torch.randn(9, 3, generator=draw, dtype=torch.float64)
    targets = torch.randn(9, 2, generator=draw, dtype=torch.float64)
    alpha = solve_gram(compare_features(features, features, None), targets, 0.0)
    expected = torch.linalg.lstsq(features, targets, driver="gelsd").solution
    assert_close(features.T @ alpha, expected)
    features[:, 2] = features[:, 0]  # and where features say the same
    gram = compare_features(features, features, None)
    assert_close(solve_few_features(features, targets), solve_gram(gram, targets, 0.0))


def test_few_features_of_very_different_size_are_fitted_exactly(draw):
    """What is fitted is the projection of the numbers on the columns, however small some are."""
    columns = torch.linalg.qr(torch.randn(40, 6, dtype=torch.float64, generator=draw)).Q
    mixing = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=draw)).Q
    features = columns * torch.logspace(0, -5, 6, dtype=torch.float64) @ mixing
    targets = torch.randn(40, 3, dtype=torch.float64, generator=draw)
    fitted = features @ (features.T @ solve_few_features(features, targets))
    assert_close(fitted, columns @ (columns.T @ targets), rtol=0, atol=1e-4)
    known, labels = features[:5], torch.tensor([0, 1, 1, 0, 1])
    few = fit_gram(known, labels, known, labels, GramRecipe())
    line = known @ torch.linalg.pinv(known) @ F.one_hot(labels).double()
    assert few.train_error == few.test_error == float((line.argmax(1) != labels).double().mean())
    wide = torch.randn(4, 6, generator=draw, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 0])
    fit = fit_gram(wide, labels, wide[:2], torch.tensor([0, 0]), GramRecipe())
    shortest = torch.linalg.pinv(wide) @ F.one_hot(labels).double()
    assert fit == GramFit(0.0, 0.5, pytest.approx(float(shortest.norm())))


def test_an_image_is_left_out_as_by_fitting_all_others(draw):
    features = torch.randn(12, 3, generator=draw)
    targets = torch.randn(12, 2, generator=draw, dtype=torch.float64)
    gram = compare_features(features, features, 1.0)
    ridges = (0.0, 0.1)
    for ridge, found in zip(ridges, answer_left_out(gram, targets, ridges), strict=True):
        slow = []
        for one in range(12):
            rest = [place for place in range(12) if place != one]
            alpha = solve_gram(gram[rest][:, rest], targets[rest], ridge)
            slow.append(gram[one, rest] @ alpha)
        assert_close(found, torch.stack(slow))


def test_width_and_ridge_are_those_with_fewest_errors_on_images_left_out(draw):
    features = torch.randn(30, 2, generator=draw)
    labels = (features[:, 0] * features[:, 1] > 0).long()
    found = choose_gram(features, labels, gaussian=True, ridge=True)
    targets, middle = F.one_hot(labels).double(), float(torch.pdist(features.double()).median())
    errors = {}
    for width in (0.125, 0.25, 0.5, 1.0, 2.0):
        for ridge in (0.0, 1e-6, 1e-4, 1e-2, 1e-1):
            gram = compare_features(features, features, width * middle)
            wrong = answer_left_out(gram, targets, (ridge,))[0].argmax(1) != labels
            errors[GramRecipe(width * middle, ridge)] = int(wrong.sum())
    assert errors[found] == min(errors.values()) < max(errors.values())
    assert choose_gram(features, labels, gaussian=False, ridge=False) == GramRecipe()


def test_a_gabor_filter_answers_its_own_wave_and_no_even_image():
    for turn in range(4):
        bank = draw_gabor(4.0, math.pi * turn / 4)
        assert_close(bank.flatten(1).sum(1), torch.zeros(2).double(), atol=1e-12, rtol=0)
        assert_close(bank.flatten(1).norm(dim=1), torch.ones(2).double())
        line = torch.arange(-4, 5).double()
        sizes = []
        for other in range(4):
            angle = math.pi * other / 4
            along = line * math.cos(angle) + line[:, None] * math.sin(angle)
            wave = (2 * math.pi * along / 4.0 + 0.7).cos()
            sizes.append(float((bank * wave).flatten(1).sum(1).norm()))
        assert max(sizes) == sizes[turn] > 1.5 * sorted(sizes)[-2]


def test_gabor_features_grow_with_contrast_and_are_as_many_as_they_should_be(draw):
    images = torch.rand(2, 3, 12, 10, generator=draw)
    found = gabor_features(images)
    assert found.shape == (2, 8 * 6 * 5)  # 12 x 10: waves of 3 pixels, as those of 6 are too long
    assert gabor_features(torch.rand(1, 1, 24, 24, generator=draw)).shape == (1, 3 * 8 * 12 * 12)
    assert_close(gabor_features(2 * images), 2 * found)


def test_random_filters_are_patches_and_answers_are_averaged_by_quarters(draw):
    images = torch.rand(5, 2, 7, 8, generator=draw)
    bank = cut_filters(images, 6, generator=draw)
    assert bank.shape == (6, 2, 3, 3)
    assert_close(bank.flatten(1).mean(1), torch.zeros(6), atol=1e-6, rtol=0)
    assert_close(bank.flatten(1).norm(dim=1), torch.ones(6))
    patches = images.unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 18)
    patches = patches - patches.mean(1, keepdim=True)
    patches = patches / patches.norm(dim=1, keepdim=True)
    assert float((bank.flatten(1) @ patches.T).amax(1).min()) > 0.9999
    found = random_filter_features(images, bank)
    assert found.shape == (5, 2 * 6 * 4)
    answers = torch.stack([
        (images[0, :, row : row + 3, column : column + 3] * bank[1]).sum()
        for row in range(5) for column in range(6)
    ]).view(5, 6)  # fmt: skip
    quarter = answers[:3, :3]
    assert_close(found[0, 4], quarter.clamp_min(0).mean())
    assert_close(found[0, 4 * 7], (-quarter).clamp_min(0).mean())
