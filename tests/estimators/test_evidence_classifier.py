"""The classifier of scikit-learn's kind: its checks, its evidence, and its place in other tools."""

import io

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.helpers.whitening import whiten_slowly
from whence import EvidenceClassifier
from whence.estimators import evidence_classifier
from whence.memory.sparsemax import sparsemax

FAILED = {
    f"check_sample_weight_equivalence_on_{kind}_data": "sparsemax shares a weight among copies of "
    "a sample otherwise than it weighs one sample that counts more"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [EvidenceClassifier(epochs=4, random_state=0)], expected_failed_checks=lambda _: FAILED
)
def test_scikit_learn_takes_it_as_its_own(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def wine():
    samples, y = load_wine(return_X_y=True)
    return (
        samples[::2],
        np.array(["red", "rose", "white"])[y[::2]],
        samples[1::2],
        np.array(["red", "rose", "white"])[y[1::2]],
    )


@pytest.fixture(scope="module")
def model(wine):
    samples, y, _, _ = wine
    return EvidenceClassifier(random_state=0).fit(samples, y)


def test_it_is_as_accurate_as_a_linear_model(model, wine):
    samples, y, new, truth = wine
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(samples, y)
    assert model.score(new, truth) >= linear.score(new, truth) - 0.02


def test_a_probability_is_the_weight_on_the_samples_that_carry_the_label(model, wine):
    _, y, new, _ = wine
    shares, answers = model.predict_proba(new), model.explain(new)
    assert_array_equal(model.labels_, y)
    for row, one in enumerate(answers):
        assert one.weights.sum() == pytest.approx(1)
        assert (one.weights > 0).all()
        assert list(one.weights) == sorted(one.weights, reverse=True)
        assert_array_equal(one.labels, y[one.places])
        sums = [one.weights[one.labels == name].sum() for name in model.classes_]
        assert_allclose(shares[row], sums, atol=1e-12)
        assert one.predicted == model.predict(new[row : row + 1])[0]
        assert one.probability == pytest.approx(max(sums))
    assert max(len(one.places) for one in answers) < len(y) / 2  # most have no part in an answer


def test_weights_are_sparsemax_of_the_cosines_of_keys(model, wine):
    _, y, new, _ = wine
    distances, places = model.kneighbors(new, n_neighbors=len(y))
    cosines = np.empty_like(distances)
    np.put_along_axis(cosines, places, 1 - distances, 1)
    wanted = sparsemax(torch.from_numpy(cosines) * float(model._head.sharpness)).numpy()
    for row, one in enumerate(model.explain(new)):
        assert_allclose(one.weights, wanted[row, one.places], atol=1e-9)
        assert_allclose(one.similarities, cosines[row, one.places], atol=1e-9)
        assert (wanted[row] > 1e-9).sum() == len(one.places)


def test_neighbours_are_those_of_the_keys(model, wine):
    _, y, new, _ = wine
    stored, asked = model._keys.numpy(), model._embed_all(new).numpy()
    by_library = NearestNeighbors(n_neighbors=4, metric="cosine").fit(stored)
    distances, places = by_library.kneighbors(asked)
    found, where = model.kneighbors(new, n_neighbors=4)
    assert_allclose(found, distances, atol=1e-6)
    assert_array_equal(where, places)
    assert_array_equal(model.kneighbors(new, 4, return_distance=False), places)
    own = model.kneighbors(n_neighbors=1, return_distance=False)[:, 0]
    assert (own != np.arange(len(y))).all()
    with pytest.raises(ValueError, match="n_neighbors must be in 1 to 88, got 89"):
        model.kneighbors(n_neighbors=89)
    with pytest.raises(TypeError, match=r"n_neighbors must be a whole number, got 2\.5"):
        model.kneighbors(new, 2.5)


def test_neighbours_of_more_samples_than_are_compared_at_once(model, wine, monkeypatch):
    near, places = model.kneighbors(n_neighbors=3)
    monkeypatch.setattr(evidence_classifier, "AT_ONCE", 20)
    assert_allclose(model.kneighbors(n_neighbors=3)[0], near)
    assert_array_equal(model.kneighbors(n_neighbors=3)[1], places)


def test_no_two_samples_have_one_direction():
    samples = np.linspace(-3, 3, 60)[:, None]
    y = np.abs(samples[:, 0]) < 1  # the same directions inside and outside
    model = EvidenceClassifier(random_state=0).fit(samples, y)
    assert model.score(samples, y) > 0.9


def test_more_samples_are_stored_and_nothing_is_trained(model, wine):
    samples, y, new, truth = wine
    other = clone(model).fit(samples, y)
    keys = other._keys.clone()
    assert other.partial_fit(new[:5], truth[:5]) is other
    assert (other._keys[: len(keys)] == keys).all()
    assert_array_equal(other.labels_[-5:], truth[:5])
    assert other.explain(new[2:3])[0].places[0] == len(y) + 2  # now it is its own evidence
    with pytest.raises(ValueError, match="of the kind that was fitted, such as 'red', got 4"):
        other.partial_fit(new[:1], [4])
    with pytest.raises(ValueError, match="Unknown label type"):
        EvidenceClassifier(epochs=3).fit(samples, y == "red").partial_fit(new[:2], [0.5, 1.5])
    first = EvidenceClassifier(epochs=3, random_state=0).partial_fit(samples, y)
    assert_array_equal(
        first.predict_proba(new),
        EvidenceClassifier(epochs=3, random_state=0).fit(samples, y).predict_proba(new),
    )


def test_a_new_class_is_compared_by_features_whitened_beside_the_keys(wine):
    samples, y, new, truth = wine
    old = y != "rose"
    model = EvidenceClassifier(random_state=0).fit(samples[old], y[old])
    assert model.classes_.tolist() == ["red", "white"]
    before = model._head
    with pytest.warns(UserWarning, match="The keys were learned without rose; measure"):
        model.partial_fit(samples[~old][:12], y[~old][:12])
    assert model.classes_.tolist() == ["red", "rose", "white"]
    found = model.predict(new)
    assert (found == truth)[truth == "rose"].mean() > 0.7
    assert (found == truth)[truth != "rose"].mean() > 0.9

    stored = np.concatenate([samples[old], samples[~old][:12]])
    lifted, asked = (before.level(model._learned.lift(one)) for one in (stored, new))
    whitening = whiten_slowly(lifted[: old.sum()], torch.from_numpy(y[old] == "red")).double()
    unit = torch.nn.functional.normalize
    keys = unit(before.keys(asked), dim=1) @ unit(before.keys(lifted), dim=1).T
    plain = unit(asked @ whitening, dim=1) @ unit(lifted @ whitening, dim=1).T
    weights = sparsemax(before.sharpness * (keys + plain))
    expected = torch.stack(
        [weights[:, torch.from_numpy(model.labels_ == one)].sum(1) for one in model.classes_], 1
    )
    assert_allclose(model.predict_proba(new), expected.numpy(), atol=1e-4)


def test_samples_of_weight_0_are_not_there(wine):
    samples, y, new, _ = wine
    counts = np.where(np.arange(len(y)) < 30, 0, 2.5)
    without = EvidenceClassifier(epochs=5, random_state=0).fit(samples[30:], y[30:])
    found = EvidenceClassifier(epochs=5, random_state=0).fit(samples, y, sample_weight=counts)
    assert_array_equal(found.predict_proba(new), without.predict_proba(new))


def test_heavy_samples_win(wine):
    samples, y, new, _ = wine
    heavy = EvidenceClassifier(
        epochs=5, random_state=0, class_weight={"red": 1, "rose": 1e9, "white": 1}
    )
    assert (heavy.fit(samples, y).predict(new) == "rose").all()
    even = EvidenceClassifier(epochs=5, random_state=0, class_weight="balanced").fit(samples, y)
    leads = {name: set(even._leads.numpy()[y == name].round(6)) for name in even.classes_}
    assert all(len(one) == 1 for one in leads.values())
    sizes = {name: (y == name).sum() for name in even.classes_}
    assert min(leads, key=lambda name: max(leads[name])) == max(sizes, key=sizes.get)


def test_one_class_is_refused(wine):
    samples, y, _, _ = wine
    with pytest.raises(ValueError, match="at least two classes, got one class: 'red'"):
        EvidenceClassifier().fit(samples[y == "red"], y[y == "red"])


def test_it_stands_in_pipelines_searches_and_files(wine):
    samples, y, new, _ = wine
    line = make_pipeline(StandardScaler(), EvidenceClassifier(epochs=5, random_state=0))
    assert cross_val_score(line, samples, y, cv=2).mean() > 0.85
    search = GridSearchCV(
        EvidenceClassifier(epochs=5, random_state=0), {"keys": ["linear", "mlp"]}, cv=2
    )
    assert search.fit(samples, y).best_score_ > 0.85
    calibrated = CalibratedClassifierCV(EvidenceClassifier(epochs=5, random_state=0), cv=2).fit(
        samples, y
    )
    assert_allclose(calibrated.predict_proba(new).sum(1), 1)
    file = io.BytesIO()
    joblib.dump(search.best_estimator_, file)
    file.seek(0)
    assert_array_equal(joblib.load(file).predict_proba(new), search.predict_proba(new))
