"""Layers that training images choose: the run is the one that names these layers."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

import whence
from tests.helpers.run_folders import interrupt
from whence.cli import main
from whence.encoders import ENCODERS
from whence.encoders.at_layers import list_depths, network_of
from whence.models.about import read_about
from whence.runs.finished import read_settings
from whence.runs.folder import CHOSEN_LAYERS
from whence.runs.images import load_to_train
from whence.runs.run import run
from whence.runs.settings import Settings, to_toml
from whence.runs.untrained import build_untrained, find_memory
from whence.training.choose_layers import choose_layers


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    torch.manual_seed(3)
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), path)
    return Settings(
        data="digits",
        encoder="small_cnn",
        weights=str(path),
        freeze_encoder=True,
        train_examples=80,
        validation_examples=40,
        epochs=10,
        seed=1,
    )


@pytest.fixture(scope="module")
def dataset(settings):
    return load_to_train(settings)


@pytest.fixture(scope="module")
def best(settings, dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "best"
    return folder, run(settings, folder, dataset)


def test_the_run_is_the_one_that_names_the_layers(settings, dataset, best, tmp_path):
    folder, metrics = best
    layers = metrics["layers"]["layers"]
    assert layers != ["output"]  # of a random network, on digits
    named = run(replace(settings, layers=",".join(layers)), tmp_path / "named", dataset)
    assert metrics["test"] == named["test"]
    ours, theirs = (load_file(one / "model.safetensors") for one in (folder, tmp_path / "named"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert whence.load(folder).kind.layers == tuple(layers)


def test_the_network_before_training_has_the_layers_of_the_run(best):
    folder, _ = best
    model, memory, start = find_start(folder)
    assert start.kind.layers == model.kind.layers
    images = memory.images[:3]
    assert torch.equal(start.encode_features(images), model.encode_features(images))


def find_start(folder):
    """The model of a run, its memory, and the model before training."""
    model, about = whence.load(folder), read_about(folder)
    memory = find_memory(model, folder, about)
    given = (read_settings(folder), about["run"])
    return model, memory, build_untrained(model, memory, *given, download=False, hint="")


def test_the_training_images_choose_as_a_ridge_regression_without_each_does(settings):
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    told = torch.nn.functional.one_hot(labels).double() + torch.randn(60, 3).double() / 2
    features = {"early": told, "late": torch.randn(60, 5).double(), "output": told[:, :1]}
    found = choose_layers(features, labels, seed=0)
    assert found.layers == ("early",)
    standard = (told - told.mean(0)) / told.std(0, correction=0)
    shares = []
    for share in (0.01, 0.1, 1.0, 10.0):
        wanted = torch.nn.functional.one_hot(labels).double().numpy()
        answers = cross_val_predict(Ridge(share * 3), standard.numpy(), wanted, cv=LeaveOneOut())
        shares.append(
            (((answers - wanted) ** 2).mean(), (answers.argmax(1) == labels.numpy()).mean())
        )
    assert found.left_out == pytest.approx(min(shares)[1])
    assert found.output_left_out < found.left_out


def test_of_equally_good_layers_the_output_stays():
    labels = torch.arange(20) % 2
    same = labels[:, None].double()
    assert choose_layers({"early": same, "output": same}, labels, seed=0).layers == ("output",)


def test_a_run_that_was_stopped_keeps_its_choice(settings, dataset, best, tmp_path, monkeypatch):
    monkeypatch.setattr("whence.runs.run.fit_beside", stop)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "run", dataset)
    monkeypatch.undo()
    kept = tmp_path / "run" / CHOSEN_LAYERS
    content = json.loads(kept.read_text())
    assert content == best[1]["layers"]
    kept.write_text(json.dumps({**content, "layers": ["output"]}))
    assert run(settings, tmp_path / "run", dataset, resume=True)["layers"]["layers"] == ["output"]
    model, _, start = find_start(tmp_path / "run")
    assert model.kind.layers == start.kind.layers == ()


def stop(*arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize("content", [{}, {"layers": ["unknown"]}, {"layers": ["output"]}])
def test_a_damaged_choice_is_refused(settings, dataset, tmp_path, monkeypatch, content):
    monkeypatch.setattr("whence.runs.run.fit_beside", stop)
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "run", dataset)
    (tmp_path / "run" / CHOSEN_LAYERS).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"layers.json must"):
        run(settings, tmp_path / "run", dataset, resume=True)


def test_a_training_that_began_on_the_output_goes_on_with_it(
    settings, dataset, tmp_path, monkeypatch
):
    """As versions did whose default it was: their folders say nothing of layers."""
    plain, begun = replace(settings, layers="output"), tmp_path / "begun"
    expected = run(plain, tmp_path / "plain", dataset)
    interrupt(begun, dataset, monkeypatch, step=5, settings=plain)
    (begun / "settings.toml").write_bytes(to_toml(settings))
    found = run(settings, begun, dataset, resume=True)
    assert found["layers"]["layers"] == ["output"]
    assert found["test"] == expected["test"]


def test_the_paper_and_encoders_that_learn_have_the_output(settings):
    assert settings.chooses_layers
    assert not replace(settings, recipe="paper").chooses_layers
    assert not replace(settings, freeze_encoder=False).chooses_layers
    output = replace(settings, layers="output")
    assert (output.chooses_layers, output.named_layers) == (False, ())


def test_an_encoder_that_learns_has_no_best_layers(settings, tmp_path, capsys):
    found = main(["train", "digits", "--layers", "best", "--out", str(tmp_path / "run")])
    assert found == 2
    assert "add --freeze-encoder" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_was_chosen(settings, tmp_path, capsys):
    options = ["--encoder", "small_cnn", "--weights", settings.weights, "--freeze-encoder"]
    options += ["--train-examples", "60", "--epochs", "5", "--seeds", "2"]
    assert main(["train", "digits", *options, "--out", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert said.count("with each training image left out in turn") == 2


def test_all_layers_are_the_depths_and_the_output():
    model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8), layers=["all"])
    depths = list_depths(network_of(model.encoder), (1, 8, 8))
    assert model.kind.layers == (*depths, "output")
    plain = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8))
    assert model.features == sum(depths.values()) + plain.features
