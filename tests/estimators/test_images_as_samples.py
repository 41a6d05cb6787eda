"""The classifier of scikit-learn's kind on images: files, pictures and arrays, in tools of all kinds."""

import io
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from whence import EvidenceClassifier
from whence.encoders import ENCODERS
from whence.encoders.at_layers import network_of, take_layers
from whence.estimators.image_features import holds_images, name_pictures


class Rows(nn.Module):
    """An encoder of a user's own: the mean brightness of rows and columns."""

    def forward(self, images):
        return torch.cat([images.mean((1, 3)), images.mean((1, 2))], 1)


@pytest.fixture(scope="module")
def stripes():
    """40 images of 12 x 12 pixels, stripes that lie or stand."""
    numbers = np.random.default_rng(0)
    lines = np.arange(12) // 3 % 2 * 150.0
    standing = np.arange(40) % 2
    pixels = np.where(standing[:, None, None], lines, lines[:, None])
    pixels = (pixels + numbers.normal(40, 10, (40, 12, 12))).clip(0, 255).astype(np.uint8)
    return pixels, np.array(["lying", "standing"])[standing]


@pytest.fixture(scope="module")
def files(stripes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes")
    for place, one in enumerate(stripes[0]):
        Image.fromarray(one).save(folder / f"{place}.png")
    return [str(folder / f"{place}.png") for place in range(40)]


def make(**options):
    return EvidenceClassifier(encoder=Rows(), image_size=12, epochs=5, random_state=0, **options)


@pytest.fixture(scope="module")
def model(files, stripes):
    return make().fit(files[:30], stripes[1][:30])


def test_images_of_all_kinds_give_the_same_answers(model, files, stripes):
    pixels, y = stripes
    expected = model.predict_proba(files[30:])
    assert (model.predict(files[30:]) == y[30:]).all()
    for samples in (
        pixels[30:],
        [Image.fromarray(one) for one in pixels[30:]],
        list(pixels[30:]),
        torch.from_numpy(pixels[30:, None]),
        np.repeat(pixels[30:, :, :, None], 3, 3),
        list(map(Path, files[30:])),
        np.array(files[30:]),
        np.array(files[30:])[:, None],
        pd.Series(files[30:]),
    ):
        assert_allclose(model.predict_proba(samples), expected, atol=1e-6)
    features = np.stack([np.concatenate([one.mean(1), one.mean(0)]) for one in pixels / 255])
    assert_allclose(model.predict_proba(features[30:]), expected, atol=1e-5)
    other = make().fit(features[:30], y[:30])
    assert_allclose(other.predict_proba(features[30:]), expected, atol=1e-4)
    with pytest.raises(ValueError, match="fitted to feature vectors"):
        other.predict(files[:2])


def test_evidence_names_its_files(model, files, stripes):
    [one] = model.explain(files[31:32])
    assert one.sources == tuple(files[place] for place in one.places)
    assert model.sources_ == tuple(files[:30])
    assert make().fit(stripes[0], stripes[1]).explain(stripes[0][:1])[0].sources is None
    more = clone(model).fit(files[:20], stripes[1][:20], sample_weight=np.arange(20))
    assert more.sources_ == tuple(files[1:20])
    more.partial_fit(files[20:22], stripes[1][20:22]).partial_fit(
        stripes[0][22:23], stripes[1][22:23]
    )
    assert more.sources_ == (*files[1:22], "")


def test_samples_that_come_later_count_by_their_weight(model, files, stripes):
    y = stripes[1]
    light, heavy, none = (
        clone(model)
        .fit(files[:20], y[:20])
        .partial_fit(files[20:22], ["lying"] * 2, sample_weight=[weight, 0])
        for weight in (0.01, 1000, 1)
    )
    assert (len(light.labels_), len(none.labels_)) == (21, 21)
    [asked], [lightly] = (one.explain(files[22:23]) for one in (heavy, light))
    assert asked.weights[list(asked.places).index(20)] > 0.9
    assert 20 not in lightly.places
    assert none._leads[-1] == 0
    doubled = clone(model).fit(files[:20], y[:20], sample_weight=np.full(20, 2.0))
    assert doubled.partial_fit(files[20:21], y[20:21], sample_weight=[2])._leads[-1] == 0


def test_it_stands_in_searches_and_files_with_images(files, stripes):
    pixels, y = stripes
    assert cross_val_score(make(), files, y, cv=2).mean() == 1
    search = GridSearchCV(make(), {"image_size": [6, 12]}, cv=2).fit(pixels, y)
    assert search.best_score_ > 0.9
    brighter = FunctionTransformer(lambda images: images // 2 + 20)
    assert make_pipeline(brighter, make()).fit(pixels, y).score(pixels, y) == 1
    calibrated = CalibratedClassifierCV(make(), cv=2).fit(files, y)
    assert_allclose(calibrated.predict_proba(files[:3]).sum(1), 1)
    file = io.BytesIO()
    joblib.dump(search.best_estimator_, file)
    file.seek(0)
    assert_array_equal(
        joblib.load(file).predict_proba(files), search.best_estimator_.predict_proba(files)
    )


def test_an_encoder_by_name_has_weights(stripes, tmp_path):
    pixels, y = stripes
    torch.manual_seed(0)
    save_file(ENCODERS["small_cnn"](channels=3).state_dict(), tmp_path / "w.safetensors")
    named = {"encoder": "small_cnn", "weights": str(tmp_path / "w.safetensors"), "epochs": 2}
    assert EvidenceClassifier(**named).fit(pixels, y)._reader.image_shape == (3, 64, 64)
    assert EvidenceClassifier(**named, image_size=16).fit(pixels, y)._reader.image_shape == (
        3,
        16,
        16,
    )
    plain = EvidenceClassifier(**named, image_size=16, layers=["output"]).fit(pixels, y)
    [*_, last] = [
        name
        for name, part in network_of(plain._reader.encoder).named_modules()
        if list(part.parameters(recurse=False))
    ]
    layered = clone(EvidenceClassifier(**named, image_size=16, layers=[last, "output"])).fit(
        pixels, y
    )
    wanted = take_layers(ENCODERS["small_cnn"](channels=3), [last, "output"], (3, 16, 16))
    assert (
        layered.n_features_in_ == wanted(torch.zeros(2, 3, 16, 16)).shape[1] > plain.n_features_in_
    )
    with pytest.raises(ValueError, match="encoder 'small_cnn' needs weights"):
        EvidenceClassifier(encoder="small_cnn").fit(pixels, y)
    with pytest.raises(ValueError, match="has no encoder to read them with; name one"):
        EvidenceClassifier().fit(pixels, y)
    with pytest.raises(ValueError, match=r"vectors of texts: make_pipeline\(TfidfVectorizer"):
        EvidenceClassifier().fit(["a good film", "a bad film"], ["good", "bad"])


class Edges(nn.Module):
    """How strong edges are that stand, and that lie."""

    def forward(self, images):
        grey = images.mean(1)
        standing, lying = (grey.diff(dim=axis).abs() for axis in (2, 1))
        return torch.stack([standing[:, :-1], lying[:, :, :-1]], 1)


class Strength(nn.Module):
    """How strong edges are, which ones are forgotten."""

    def forward(self, edges):
        return edges.mean((1, 2, 3))[:, None]


def test_images_choose_among_the_depths_of_the_encoder(stripes):
    pixels, y = stripes
    encoder = nn.Sequential(Edges(), Strength())
    model = EvidenceClassifier(encoder=encoder, image_size=12, epochs=3, random_state=0)
    model.fit(pixels[:30], y[:30])
    assert model.layers_ == ("0",)
    assert model.n_features_in_ == 2
    assert model.score(pixels[30:], y[30:]) == 1
    given = clone(model).set_params(layers=["0"]).fit(pixels[:30], y[:30])
    assert_array_equal(model.predict_proba(pixels[30:]), given.predict_proba(pixels[30:]))
    output = clone(model).set_params(layers=["output"]).fit(pixels[:30], y[:30])
    assert output.score(pixels[30:], y[30:]) < 1
    assert make().fit(pixels[:30], y[:30]).layers_ == ("output",)  # without parts, without depths
    assert EvidenceClassifier().fit(pixels.mean(1), y).layers_ is None


def test_a_folder_is_no_image(model, files):
    with pytest.raises(ValueError, match=r"one image in every place, 1 places hold 40; name files"):
        model.predict([str(Path(files[0]).parent)])


def test_what_holds_images():
    assert holds_images([np.zeros((4, 4))])
    assert holds_images(torch.zeros(2, 3, 4, 4))
    for samples in (
        [[1.0, 2.0]],
        [1.0],
        [],
        "a.png",
        np.zeros(3),
        np.zeros((3, 2), object),
        np.array([["a", "b"]]),
    ):
        assert not holds_images(samples)
    assert name_pictures(["a.png", Image.new("L", (2, 2))]) is None
    assert name_pictures(np.zeros((2, 2))) is None
