"""The comparison of encoders, against scikit-learn on the same features."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

import whence
from tests.helpers.label_tables import name_columns
from whence.cli import main
from whence.encoders import ENCODERS
from whence.models.classifier import Classifier
from whence.runs.compare_encoders import compare_encoders, cross_validate
from whence.runs.settings import Settings
from whence.training.choose_layers import SHARES, leave_out_by_layers
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
    command = ["encoders", "digits", "--encoder", "small_cnn", "--weights", weights]
    assert main([*command, "--size", "8", "12", "--train-examples", "60"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["encoder", "size", "features"]
    shares = [float(line.split()[5].rstrip("%")) for line in lines[1:3]]
    assert shares == sorted(shares, reverse=True)
    best = lines[1].split()[1]
    expected = f"whence train digits --encoder small_cnn --weights {weights} --freeze-encoder"
    assert lines[-1].strip() == f"{expected} --size {best}"
    elsewhere = ["--size", "8", "--train-examples", "60", "--data-root", "my data"]
    assert main([*command, *elsewhere]) == 0
    last = capsys.readouterr().out.splitlines()[-1].strip()
    assert last == f"{expected} --size 8 --data-root 'my data'"


def test_a_table_with_other_columns_is_read_and_named(tmp_path, capsys):
    table = name_columns(tmp_path)
    weights = tmp_path / "colour.safetensors"
    save_file(ENCODERS["small_cnn"](channels=3, image_size=8).state_dict(), weights)
    command = ["encoders", str(table), "--encoder", "small_cnn", "--weights", str(weights)]
    columns = ["--path-column", "file", "--label-column", "kind"]
    assert main([*command, *columns, "--size", "8"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(" --size 8 --path-column file --label-column kind")
    assert main([*command, *columns[:2], "--size", "8"]) == 2
    assert "must have a column 'label'" in capsys.readouterr().err


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


# layers -----------------------------------------------------------------------------------------


def test_every_image_is_answered_by_a_ridge_regression_that_has_not_seen_it(rng):
    """Against fitting anew without each image, in features whose deviation is known."""
    labels = torch.arange(30) % 3
    features = torch.randn(30, 8, generator=rng) + 0.8 * torch.eye(3, 8)[labels]
    x, y = (features / features.std(0, correction=0)).double().numpy(), np.eye(3)[labels]
    best = []
    for share in SHARES:
        off, right = [], []
        for place in range(30):
            others = np.arange(30) != place
            answer = Ridge(share * 8).fit(x[others], y[others]).predict(x[place : place + 1])[0]
            off.append(((answer - y[place]) ** 2).mean())
            right.append(answer.argmax() == labels[place])
        best.append((np.mean(off), np.mean(right)))
    found = left_out(features, labels)
    assert found == pytest.approx(min(best)[1])
    assert 1 / 3 < found < 1
    noise = torch.randn(60, 200, generator=rng)
    assert left_out(noise, torch.arange(60) % 3) < 0.6  # which that on all would fit exactly
    assert left_out(torch.ones(6, 2), torch.arange(6) % 2) <= 0.5


def left_out(features, labels):
    [(_, share)] = leave_out_by_layers({"output": features}, labels, 0, most=100)
    return share


def test_layers_together_are_answered_as_their_features_side_by_side(rng):
    labels = torch.arange(40) % 4
    early, late = (torch.randn(40, wide, generator=rng) for wide in (7, 30))
    early[:, :4] += torch.eye(4)[labels]
    found = dict(leave_out_by_layers({"early": early, "output": late}, labels, 0, most=100))
    assert found["early", "output"] == left_out(torch.cat([early, late], 1), labels)
    assert found["early",] == left_out(early, labels) > found["output",]


def test_layers_are_measured_on_images_that_are_encoded_once(weights, monkeypatch):
    counts, encode = [], Classifier.encode_features
    monkeypatch.setattr(
        Classifier,
        "encode_features",
        lambda one, images: counts.append(len(images)) or encode(one, images),
    )
    found = list(compare_encoders(SETTINGS, [("small_cnn", weights)], [8], layers=True))
    assert sum(counts) == 80
    names = ["2", "3", "6", "7", "10"]
    assert [one.layers for one in found] == [
        *((name,) for name in names),
        (),
        ("10", "output"),
        ("7", "10", "output"),
        ("6", "7", "10", "output"),
        ("3", "6", "7", "10", "output"),
        ("2", "3", "6", "7", "10", "output"),
    ]
    assert [one.features for one in found] == [32, 32, 64, 64, 128, 128, 256, 320, 384, 416, 448]
    assert all(one.probe is None and 0 < one.left_out < 1 for one in found)
    (plain,) = compare_encoders(SETTINGS, [("small_cnn", weights)], [8])
    assert plain.left_out is None
    assert plain.neighbours == found[5].neighbours


def test_the_command_names_the_layers_to_train_with_and_the_run_keeps_them(
    weights, capsys, tmp_path
):
    common = ["--encoder", "small_cnn", "--weights", weights, "--train-examples", "60"]
    assert main(["encoders", "digits", *common, "--layers", "--json"]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert main(["encoders", "digits", *common, "--layers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["encoder", "size", "layers", "features", "left"]
    assert f"{best['left_out']:.2%}" in lines[1]
    name = ",".join(best["layers"]) or "output"
    assert name in lines[1]
    assert f" --layers {name}" in lines[-1]

    run = tmp_path / "run"
    command = ["train", "digits", *common, "--freeze-encoder", "--epochs", "3", "--device", "cpu"]
    assert main([*command, "--layers", "3, 7,output", "--out", str(run)]) == 0
    model = whence.load(run)
    assert model.kind.layers == ("3", "7", "output")
    assert model.features == 32 + 64 + 128
    assert main(["explain", str(run), "--test", "0", "--out", str(tmp_path / "page.html")]) == 0
    assert "encoder small_cnn at 3, 7, output" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert json.loads(capsys.readouterr().out)["accuracy"] == metrics["test"]["accuracy"]

    assert main([*command, "--layers", "blocks.3", "--out", str(tmp_path / "no")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "whence: Unknown layer 'blocks.3' of the encoder. There are 2, 3, 6, 7, 10, output."
    )
    assert not (tmp_path / "no").exists()
