"""The command line as a user meets it: real runs on the embedded digits and on small folders."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import whence
from tests.helpers.pages import evidence
from whence.cli import COMMANDS, SUMMARIES, main
from whence.cli.train import combine_settings
from whence.cli.work.demo import show_evidence
from whence.encoders import ENCODERS

QUICK = ["--train-examples", "60", "--epochs", "6", "--memory-size", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def photos(tmp_path, rng):
    """A folder of colour pictures: red ones and green ones, 24 pixels square."""
    for place, name in enumerate(("green", "red")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = torch.randint(0, 100, (24, 24, 3), generator=rng, dtype=torch.uint8)
            pixels[..., 1 - place] += 120
            Image.fromarray(pixels.numpy()).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_help_is_complete_and_imports_no_torch():
    assert set(COMMANDS) == set(SUMMARIES)
    code = (
        "import sys; from whence.cli import main; main(['--help']); main(['--version']); "
        "import whence; dir(whence); print('torch' in sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.splitlines()[-1] == "False"
    assert all(name in output.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: whence {name}" in capsys.readouterr().out


def test_public_names_all_exist():
    assert all(getattr(whence, name) is not None for name in whence.__all__)
    with pytest.raises(AttributeError, match=r"has no attribute 'explian'"):
        whence.explian  # noqa: B018


def test_train_evaluate_predict(run, tmp_path, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    metrics = json.loads((run / "metrics.json").read_text())
    assert found["accuracy"] == metrics["test"]["accuracy"] > 0.3
    assert found["accuracy_draws"] == metrics["test"]["accuracy_draws"]
    assert [one["class"] for one in found["by_class"]] == [str(i) for i in range(10)]
    assert found["seed"] == 0

    bank = whence.load(run).bank
    digit = bank.images[3, 0]
    Image.fromarray(digit.numpy()).save(tmp_path / "digit.png")
    (tmp_path / "more").mkdir()
    Image.fromarray(digit.numpy()).convert("RGB").save(tmp_path / "more" / "rgb.png")
    assert (
        main(["predict", str(run), str(tmp_path / "digit.png"), str(tmp_path / "more"), "--json"])
        == 0
    )
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["evidence"] == second["evidence"]
    assert sum(item["weight"] for item in first["evidence"]) == pytest.approx(1, abs=1e-5)
    assert int(bank.indices[3]) not in [item["index"] for item in first["evidence"]]  # left out
    assert sum(first["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert first["left_out"] == [int(bank.indices[3])]
    assert main(["predict", str(run), str(tmp_path / "digit.png")]) == 0
    text = capsys.readouterr().out
    assert f"digit.png: {first['predicted']['name']} (" in text
    assert f"training image {first['evidence'][0]['index']} (" in text
    assert f"  {first['doubt']['title']}: {first['doubt']['sentences'][0]}\n" in text


def test_predict_and_explain_lay_the_same_things_out_alike(run, tmp_path, capsys):
    pixels = (whence.load(run).bank.images[3, 0].float() * 0.6 + 40).to(torch.uint8).numpy()
    Image.fromarray(pixels).save(tmp_path / "new.png")
    capsys.readouterr()
    assert main(["predict", str(run), str(tmp_path / "new.png"), "--json"]) == 0
    fast = json.loads(capsys.readouterr().out)
    out = tmp_path / "new.json"
    command = [
        "explain",
        str(run),
        str(tmp_path / "new.png"),
        "--draws",
        "0",
        "--method",
        "none",
    ]
    assert main([*command, "--format", "json", "--out", str(out)]) == 0
    whole = json.loads(out.read_text())
    assert fast.pop("classes") == whole["classes"]
    (slow,) = whole["answers"]
    assert fast.keys() <= slow.keys()
    assert {"error_probability", "flag", "doubt", "left_out", "threshold"} <= fast.keys()
    for name in ("predicted", "left_out", "flag"):
        assert fast[name] == slow[name]
    for name in ("probabilities", "threshold", "error_probability"):
        assert fast[name] == pytest.approx(slow[name], abs=1e-5)
    assert len(fast["evidence"]) == len(slow["evidence"])
    for one, other in zip(fast["evidence"], slow["evidence"], strict=True):
        assert one.keys() | {"without"} == other.keys()
        for name in ("index", "label", "predicted", "role", "source"):
            assert one[name] == other[name]
        for name in ("weight", "similarity"):
            assert one[name] == pytest.approx(other[name], abs=1e-5)


def test_colour_for_a_grey_model_is_converted_and_said(run, tmp_path, capsys):
    Image.new("RGB", (8, 8), (250, 10, 10)).save(tmp_path / "red.png")
    assert main(["predict", str(run), str(tmp_path / "red.png")]) == 0
    assert "note: 1 of 1 image is in colour and was converted to grey" in capsys.readouterr().err


def test_evaluate_on_other_images(run, tmp_path, capsys):
    bank = whence.load(run).bank
    for label in range(10):
        (tmp_path / "other" / "train" / str(label)).mkdir(parents=True)
        (tmp_path / "other" / "test" / str(label)).mkdir(parents=True)
    for place, (image, label) in enumerate(zip(bank.images, bank.labels.tolist(), strict=True)):
        for part in ("train", "test"):
            Image.fromarray(image[0].numpy()).save(
                tmp_path / "other" / part / str(label) / f"{place}.png"
            )
    assert main(["evaluate", str(run), "--data", str(tmp_path / "other"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["data"]) == (60, "other")


def test_seeds_and_a_folder_of_runs(tmp_path, capsys):
    out = tmp_path / "three"
    assert main(["train", "digits", *QUICK, "--seeds", "2", "--out", str(out), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert list(results) == [str(out / "seed-0"), str(out / "seed-1")]
    assert main(["evaluate", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    values = [metrics["test"]["accuracy"] for metrics in results.values()]
    assert summary["accuracy"]["mean"] == pytest.approx(sum(values) / 2)
    assert summary["accuracy"]["std"] == pytest.approx(abs(values[0] - values[1]) / 2)
    assert main(["evaluate", str(out)]) == 0
    assert "mean of 2 runs: " in capsys.readouterr().out


def test_runs_of_the_same_images_read_them_once(photos, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "runs")
    assert main(["train", str(photos), "--epochs", "1", "--seeds", "2", "--out", out]) == 0
    opened, read = Counter(), Image.open

    def count(path, *given, **options):
        opened[path.relative_to(photos).as_posix()] += 1
        return read(path, *given, **options)

    monkeypatch.setattr(Image, "open", count)
    test = whence.load_parts(tmp_path / "runs" / "seed-0").test.sources
    for more in ([], ["--data", str(photos)]):
        opened.clear()
        capsys.readouterr()
        assert main(["evaluate", out, "--no-controls", "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)["runs"]
        assert [one["images"] for one in found] == [24 if more else len(test)] * 2
        assert set(opened.values()) == {1}
        assert more or set(opened) == set(test)


def test_an_image_folder_is_split_and_learnt(photos, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", str(photos), "--epochs", "20", "--batch-size", "8", "--out", str(out)]
    assert main(command) == 0
    assert "test images right with the whole memory" in capsys.readouterr().out
    model = whence.load(out)
    assert model.class_names == ("green", "red")
    assert all((photos / source).is_file() for source in model.bank.sources)
    assert main(["predict", str(out), str(photos / "red")]) == 0
    assert capsys.readouterr().out.count("png: red (") >= 10


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_trained_here_and_a_frozen_encoder(run, photos, tmp_path, capsys, kind):
    torch.manual_seed(5)
    encoder = ENCODERS["small_cnn"]()
    path = tmp_path / f"weights.{kind}"
    if kind == "pt":
        torch.save({"state_dict": encoder.state_dict()}, path)
    else:
        save_file(encoder.state_dict(), path)
    out = tmp_path / "frozen"
    command = ["train", str(photos), "--encoder", "small_cnn", "--weights", str(path)]
    assert main([*command, "--freeze-encoder", "--epochs", "5", "--out", str(out)]) == 0
    model = whence.load(out)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], tensor), name
    about = json.loads((out / "whence.json").read_text())
    assert f"weights.{kind}" in about["run"]["weights"]
    assert about["run"]["recipe"]["optimizer"] == "adamw"
    tuned = tmp_path / "tuned"
    assert main([*command, "--epochs", "1", "--out", str(tuned)]) == 0
    assert not torch.equal(whence.load(tuned).encoder[0].weight, encoder[0].weight)


@pytest.mark.parametrize(
    "words", [["table", "1", "--list"], ["evaluate", "--no-controls"]], ids=lambda words: words[0]
)
def test_a_reader_that_has_gone_is_no_error(run, words):
    reading, writing = os.pipe()
    os.close(reading)
    place = [str(run)] if words[0] == "evaluate" else []
    command = [sys.executable, "-m", "whence", *words, *place]
    buffered = {name: v for name, v in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=buffered
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_options_of_the_command_itself_are_checked(capsys):
    assert main(["train", "digits", "--seeds", "x"]) == 2
    assert capsys.readouterr().err == "whence: seeds must be a whole number, got 'x'.\n"
    assert main(["train", "digits", "--seeds", "2", "--seed", "1"]) == 2
    assert "give either --seeds or --seed" in capsys.readouterr().err
    assert main(["trane"]) == 2
    assert "Unknown command 'trane'. Choose from: demo, train" in capsys.readouterr().err


def test_a_settings_file_and_options_over_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('data = "digits"\nepochs = 3\nvariant = "only-memory"\nseeds = 4\n')
    settings, seeds = combine_settings(str(path), {"epochs": 5, "out": "x", "variant": "standard"})
    assert (settings.epochs, settings.variant, seeds) == (5, "standard", 4)
    path.write_text('sedes = 3\n[settings]\ndata = "digits"\n')
    with pytest.raises(ValueError, match=r"unknown setting 'sedes' beside its \[settings\]"):
        combine_settings(str(path), {})
    path.write_text("settings = 3\n")
    with pytest.raises(ValueError, match=r"must have settings as a table, got 3"):
        combine_settings(str(path), {})


def test_the_demo_rounds_to_no_false_100(digits, capsys):
    item = evidence(40, 0.997, 1)
    answer = SimpleNamespace(
        predicted=1, probabilities=torch.tensor([0.005, 0.995]), evidence=(item,)
    )
    show_evidence(SimpleNamespace(class_names=("a", "b")), digits, (answer,), [0])
    text = capsys.readouterr().out
    assert 'answer "b" (99.5%, ' in text
    assert "99.7% a 1" in text
    assert "100%" not in text


def test_demo_is_resumed_and_shows_evidence(tmp_path, capsys, monkeypatch):
    from whence.cli.work import demo as work

    quick = {"train_examples": 40, "epochs": 4, "memory_size": 20}
    monkeypatch.setattr(work, "SETTINGS", replace(work.SETTINGS, **quick))
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path / "demo"), "--seeds", "1"]) == 0
    text = capsys.readouterr().out
    assert text.count("Memory Wrap  ") == 2
    assert text.count("computed from these training images") == 8
    assert "@@" in text
    assert str(tmp_path / "demo" / "evidence.html") in text
    page = (tmp_path / "demo" / "evidence.html").read_text()
    assert page.count("The evidence the model used") == 4
    assert "data:image/png" in page
