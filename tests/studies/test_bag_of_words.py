"""Bag of words: each step of the decomposition against a slow second computation, and its sums."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from whence.report.blocks import Page
from whence.report.page import render_page
from whence.studies.bag_of_words.decompose import (
    explain_features,
    explain_pixels,
    explain_words,
    find_roots,
    fit_bags,
    pool_words,
)
from whence.studies.bag_of_words.kernels import BAG_KERNELS
from whence.studies.bag_of_words.local_features import describe_densely
from whence.studies.bag_of_words.mappings import RANKS, Codebook, fisher_terms
from whence.studies.bag_of_words.page import Heatmap, show_heatmaps
from whence.studies.bag_of_words.tiles import TILE_SIDE, draw_tiles
from whence.studies.parts.findings import Findings

WIDTH = 0.7


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.fixture
def bags(draw):
    """Histograms, one word of which no image has."""
    found = draw.random((30, 6))
    found[:, 4] = 0
    return found


@pytest.fixture
def labels(bags):
    return bags[:, 0] + 0.3 * bags[:, 1] > 0.65


def by_hand(name, one, other):
    if name == "histogram intersection":
        return np.minimum(one, other).sum()
    if name == "linear":
        return one @ other
    if name == "chi-squared":
        both = [(a - b) ** 2 / (a + b) for a, b in zip(one, other, strict=True) if a + b > 0]
        return np.exp(-WIDTH * sum(both))
    return np.exp(-WIDTH * ((one - other) ** 2).sum())


@pytest.mark.parametrize("name", BAG_KERNELS)
def test_kernels_by_hand(name, bags):
    found = BAG_KERNELS[name].value(bags, bags[:3], WIDTH)
    expected = [[by_hand(name, one, other) for other in bags[:3]] for one in bags]
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BAG_KERNELS)
def test_parts_add_up_and_slopes_are_those_of_small_steps(name, bags):
    kernel, one = BAG_KERNELS[name], bags[2] + 0.1
    if kernel.parts is not None:
        parts = kernel.parts(bags, one, WIDTH)
        assert_allclose(parts.sum(1), kernel.value(bags, one[None], WIDTH)[:, 0])
        return
    for word in range(6):
        step = 1e-6 * np.eye(6)[word]
        higher, lower = (kernel.value(bags, one[None] + sign * step, WIDTH) for sign in (1, -1))
        numeric = (higher - lower)[:, 0] / 2e-6
        assert_allclose(kernel.slope(bags, one, WIDTH)[:, word], numeric, atol=1e-7)


@pytest.mark.parametrize("name", BAG_KERNELS)
def test_decisions_are_those_of_scikit_learn(name, bags, labels):
    from sklearn.svm import SVC

    classifier = fit_bags(bags, labels, name, WIDTH)
    matrix = BAG_KERNELS[name].value(bags, bags, WIDTH)
    machine = SVC(C=10.0, kernel="precomputed").fit(matrix, labels)
    assert_allclose(classifier.decide(bags), machine.decision_function(matrix), atol=1e-9)


@pytest.mark.parametrize("name", ["histogram intersection", "linear"])
def test_where_a_kernel_divides_words_add_up_to_the_decision(name, bags, labels):
    classifier = fit_bags(bags, labels, name, WIDTH)
    for bag in bags[:5]:
        relevance, missed = explain_words(classifier, bag, bags)
        decision = classifier.decide(bag[None])[0]
        assert_allclose(relevance.sum(), decision, atol=1e-12)
        assert abs(missed) < 1e-12
        shares = [
            weight * min(stored, bag[1]) if name != "linear" else weight * stored * bag[1]
            for weight, stored in zip(classifier.weights, classifier.bags[:, 1], strict=True)
        ]
        assert_allclose(relevance[1], sum(shares) + classifier.bias / 6)


@pytest.mark.parametrize("name", ["chi-squared", "Gaussian"])
def test_about_a_root_words_and_what_is_missed_add_up(name, bags, labels):
    classifier = fit_bags(bags, labels, name, WIDTH)
    for bag in bags[:5]:
        relevance, missed = explain_words(classifier, bag, bags)
        decision = classifier.decide(bag[None])[0]
        assert_allclose(relevance.sum() + missed, decision, atol=1e-12)
        roots = np.stack(find_roots(classifier, bag, bags))
        assert_allclose(classifier.decide(roots), 0, atol=1e-9)


def test_without_the_other_side_there_is_no_root(bags, labels):
    classifier = fit_bags(bags, labels, "Gaussian", WIDTH)
    same = bags[classifier.decide(bags) > 0]
    with pytest.raises(ValueError, match="others must hold a bag of the other side"):
        find_roots(classifier, same[0], same)


@pytest.mark.parametrize("power", [1, 3, np.inf])
def test_pooling_and_its_shares(power, draw):
    mapped = draw.random((9, 5))
    mapped[:, 2] = 0  # a word that is not there
    mapped[3, 0] = mapped[6, 0] = 2  # a maximum that two reach
    bag = pool_words(mapped, power)
    slow = [
        np.max(one) if power == np.inf else np.mean(one**power) ** (1 / power) for one in mapped.T
    ]
    assert_allclose(bag, slow)
    relevance = draw.normal(size=5)
    found = explain_features(relevance, mapped, power)
    expected = np.zeros(9)
    for word in range(5):
        column = mapped[:, word]
        if word == 2:
            expected += relevance[word] / 9
        elif power == np.inf:
            best = column == column.max()
            expected[best] += relevance[word] / best.sum()
        else:
            expected += relevance[word] * column**power / (column**power).sum()
    assert_allclose(found, expected)
    assert_allclose(found.sum(), relevance.sum())


def test_words_of_both_signs_keep_their_sum(draw):
    mapped, relevance = draw.normal(size=(7, 4)), draw.normal(size=4)
    mapped[:, 1] -= mapped[:, 1].mean()  # adds up to nothing
    found = explain_features(relevance, mapped, 1)
    assert np.isfinite(found).all()
    assert_allclose(found.sum(), relevance.sum())


def test_pixels_add_up_and_lie_in_their_squares():
    squares = np.array([[0, 0, 4], [2, 3, 2]])
    found = explain_pixels(np.array([1.6, -4.0]), squares, 6)
    assert_allclose(found.sum(), -2.4)
    assert_allclose(found[0, 0], 0.1)
    assert_allclose(found[3, 3], 0.1 - 1.0)
    assert_allclose(found[3, 4], -1.0)
    assert found[5, 5] == 0


def test_local_features_cover_the_tile_and_follow_a_shift(draw):
    image = draw.random((1, 40, 40))
    found = describe_densely(image, 4)
    assert found.values.shape == (1, 49, 128)
    assert found.squares[8].tolist() == [4, 4, 16]
    assert (found.squares[:, :2] + found.squares[:, 2:]).max() <= 40
    again = describe_densely(np.roll(image, 4, axis=1), 4)
    inner = found.values.reshape(7, 7, -1)[1:5, 1:6]
    assert_allclose(again.values.reshape(7, 7, -1)[2:6, 1:6], inner, atol=1e-12)


def test_mappings_by_hand(draw):
    values = draw.random((4, 10, 3))
    book = Codebook(values, 0, words=12)
    feature = values[0, 0]
    lengths = np.sqrt(((book.words - feature) ** 2).sum(1))
    assert_allclose(book.distances(values)[0, 0], lengths, atol=1e-7)
    ranked = book.rank(values)[0, 0]
    assert_allclose(
        ranked[lengths.argsort()], [*(0.5**rank for rank in range(1, RANKS + 1)), 0, 0, 0, 0]
    )
    soft = book.soft(values)[0, 0]
    assert_allclose(soft.sum(), 1)
    assert_allclose(soft[1] / soft[0], np.exp(-12 * (lengths[1] - lengths[0])), rtol=1e-5)


def test_fisher_terms_are_the_slopes_of_the_likelihood(draw):
    features, means = draw.normal(size=(5, 2)), draw.normal(size=(3, 2))
    weights, deviations = np.array([0.5, 0.2, 0.3]), draw.uniform(0.5, 1.5, (3, 2))

    def likelihood(means, deviations):
        away = (features[:, None] - means) / deviations
        peaks = np.exp(-(away**2) / 2).prod(-1) / deviations.prod(-1)
        return np.log((weights * peaks).sum(1)), weights * peaks

    _, parts = likelihood(means, deviations)
    shares = parts / parts.sum(1, keepdims=True)
    found = fisher_terms(features, shares, weights, means, deviations)
    assert_allclose(found[:, :, 0], (shares - weights) / np.sqrt(weights))
    step = np.zeros((3, 2))
    step[1, 0] = 1e-6
    by_mean = (
        likelihood(means + step, deviations)[0] - likelihood(means - step, deviations)[0]
    ) / 2e-6
    scale = deviations[1, 0] / np.sqrt(weights[1])
    assert_allclose(found[:, 1, 1], by_mean * scale, atol=1e-6)
    wide = (
        likelihood(means, deviations + step)[0] - likelihood(means, deviations - step)[0]
    ) / 2e-6
    assert_allclose(found[:, 1, 3], wide * scale / np.sqrt(2), atol=1e-6)


def test_tiles_are_what_their_labels_say(draw):
    tiles = draw_tiles(12, draw)
    assert tiles.images.shape == (12, TILE_SIDE, TILE_SIDE)
    assert 0 <= tiles.images.min() <= tiles.images.max() <= 1
    assert (tiles.polygons.any((1, 2)) == tiles.positive).all()
    assert not (tiles.polygons & tiles.circles).any()
    assert tiles.circles.any((1, 2)).any()


def test_without_scikit_image_one_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'whence\[studies\]'"):
        describe_densely(np.zeros((1, 40, 40)), 4)


def test_a_small_study_finds_the_sums_and_draws_a_page():
    from whence.studies.bag_of_words.study import BAG_RECIPES, run_study

    found = run_study(24, 16, 3, seed=0)
    assert isinstance(found, Findings)
    assert len(found.rows) == len(BAG_RECIPES)
    for row in found.rows:
        named = dict(zip(found.columns, row, strict=True))
        assert named["lost by steps 2, 3"] < 1e-12
        if named["kernel"] in ("histogram intersection", "linear"):
            assert named["missed by step 1"] < 1e-12
        else:
            assert named["missed by step 1"] > 1e-9
    assert len(found.sections) == 1 + len(BAG_RECIPES)


def test_the_page_says_the_decision_and_the_scale():
    tile = Heatmap(np.zeros((4, 4)), np.full((4, 4), -0.5), -8.0)
    about, section = show_heatmaps({"rank <mapping>": [tile]})
    page = render_page(Page("Polygons", (), (about, section), ()))
    assert "rank &lt;mapping&gt;" in page
    assert "no polygon" in page
    assert "decision \N{MINUS SIGN}8.00" in page
    assert "full colour at \N{PLUS-MINUS SIGN}0.5" in page
