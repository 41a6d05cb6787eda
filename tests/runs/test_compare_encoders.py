"""The comparison of encoders, against scikit-learn on the same features."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.neighbors import KNeighborsClassifier

import whence
from whence.encoders import ENCODERS
from whence.runs.compare_encoders import compare_encoders, cross_validate
from whence.runs.settings import Settings
from whence.training.labelled import Labelled

SETTINGS = Settings(data="digits", train_examples=60, validation_examples=20, seed=3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    torch.manual_seed(3)
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def found(weights):
    return list(compare_encoders(SETTINGS, [("small_cnn", weights)], [8, 12]))


def test_neighbours_are_those_of_scikit_learn_with_every_image_left_out_in_turn(found, weights):
    from whence.runs.images import load_data
    from whence.runs.prepare import prepare

    settings = Settings(**vars(SETTINGS) | {"encoder": "small_cnn", "weights": weights})
    parts = prepare(settings, load_data(settings))
    images = torch.cat([parts.train.images, parts.validation.images])
    labels = torch.cat([parts.train.labels, parts.validation.labels]).numpy()
    with torch.no_grad():
        features = parts.model.eval().encode_features(images).numpy()
    centred = features - features.mean(0)
    right = []
    for place in range(80):
        others = np.arange(80) != place
        oracle = KNeighborsClassifier(10, metric="cosine", algorithm="brute")
        oracle.fit(centred[others], labels[others])
        right.append(oracle.predict(centred[place : place + 1])[0] == labels[place])
    one = found[0]
    assert one.neighbours == pytest.approx(np.mean(right), abs=0.02)  # ties of votes
    assert (one.size, one.images, one.features) == ((8, 8), 80, parts.model.features)
    assert found[1].size == (12, 12)
    assert 0.3 < one.probe <= 1
    assert one.milliseconds > 0


def test_no_image_is_asked_by_a_probe_that_was_fitted_to_it(rng):
    labels = torch.arange(60) % 3
    noise = Labelled(torch.randn(60, 200, generator=rng), labels)  # any probe fits these exactly
    assert cross_validate(noise, 3, 0) < 0.6
    clear = Labelled(torch.eye(3)[labels] + 0.1 * torch.randn(60, 3, generator=rng), labels)
    assert cross_validate(clear, 3, 0) == 1
    assert cross_validate(clear.take(torch.arange(4)), 3, 0) is None  # a class of one image


def test_the_command_prints_the_best_first_and_how_to_train_it(weights, capsys):
    from whence.cli import main

    command = ["encoders", "digits", "--encoder", "small_cnn", "--weights", weights]
    assert main([*command, "--size", "8", "12", "--train-examples", "60"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["encoder", "size", "features"]
    shares = [float(line.split()[5].rstrip("%")) for line in lines[1:3]]
    assert shares == sorted(shares, reverse=True)
    best = lines[1].split()[1]
    expected = f"whence train digits --encoder small_cnn --weights {weights} --freeze-encoder"
    assert lines[-1].strip() == f"{expected} --size {best}"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--weights", "a", "b"], "weights must be one for all encoders, or one for each of 1"),
        (["--size", "0"], "size must be"),
        (["--weights", "missing.safetensors"], "missing.safetensors"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(more, sentence, capsys):
    assert whence.cli.main(["encoders", "digits", "--encoder", "small_cnn", *more]) == 2
    assert sentence in capsys.readouterr().err
