"""Sparse samples: words of sentences, with the sentences behind every answer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, random_array
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from whence import EvidenceClassifier


@pytest.fixture
def sparse(monkeypatch):
    """60 sparse samples of 40 numbers, of which 7 are kept."""
    monkeypatch.setattr("whence.estimators.sparse_samples.MOST_NUMBERS", 7)
    samples = csr_array(random_array((60, 40), density=0.2, random_state=0))
    return samples, (samples[:, :5].sum(1) > samples[:, 5:10].sum(1)).astype(int)


def make():
    return EvidenceClassifier(epochs=3, random_state=0)


def test_they_are_reduced_as_a_pipeline_would(sparse):
    samples, y = sparse
    found = make().fit(samples[:50], y[:50])
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    reduced = TruncatedSVD(7, random_state=seed).fit(samples[:50])
    wanted = make().fit(reduced.transform(samples[:50]), y[:50])
    shares = wanted.predict_proba(reduced.transform(samples[50:]))
    assert_allclose(found.predict_proba(samples[50:]), shares)
    assert found.n_features_in_ == 40
    assert_allclose(found.predict_proba(samples[50:].toarray()), shares)  # whoever has them dense
    found.partial_fit(samples[50:], y[50:])
    assert found._keys.shape[0] == 60


def test_few_numbers_stay_as_they_are(sparse):
    samples, y = sparse[0][:, :7], sparse[1]
    found, dense = make().fit(samples, y), make().fit(samples.toarray(), y)
    assert_allclose(found.predict_proba(samples), dense.predict_proba(samples.toarray()))
    assert_allclose(dense.predict_proba(samples), dense.predict_proba(samples.toarray()))


def test_sentences_are_evidence(sparse):
    good, bad = ("a fine film", "warm and fine", "fine acting"), ("dull", "a dull film", "so dull")
    texts, y = [*good, *bad] * 3, (["good"] * 3 + ["bad"] * 3) * 3
    model = make_pipeline(TfidfVectorizer(), EvidenceClassifier(random_state=0)).fit(texts, y)
    assert list(model.predict(["fine", "dull acting"])) == ["good", "bad"]
    words = model[:-1].transform(["fine"])
    [answer] = model[-1].explain(words)
    assert all("fine" in texts[place] for place in answer.places)
    near = model[-1].kneighbors(words, 3, return_distance=False)[0]
    assert_array_equal(np.array(y)[near], ["good"] * 3)
