"""``whence visualise`` as a user meets it, on a small run that kept its checkpoints."""

import json

import pytest

from whence.cli import main

QUICK = ["--steps", "3", "--sample", "40", "--top", "2"]


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    words = ["--train-examples", "60", "--epochs", "2", "--memory-size", "20", "--recipe", "paper"]
    command = ["train", "digits", *words, "--keep-checkpoints", "2", "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture
def call_visualise(kept_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def calls(*words):
        capsys.readouterr()
        code = main(["visualise", str(kept_run), *map(str, words)])
        return code, *capsys.readouterr()

    return calls


def test_the_json_tells_every_unit(call_visualise):
    units = ("logit:3", "channel:4:5", "layer:4")
    code, output, _ = call_visualise("--unit", *units, "--format", "json", *QUICK)
    assert code == 0
    logit, channel, layer = json.loads(output)["units"]
    assert [logit["unit"], channel["unit"], layer["unit"]] == [
        "logit of 3",
        "channel 5 of layer 4",
        "layer 4",
    ]
    names = ["nothing", "norm", "length", "variation", "blur", "jitter"]
    assert [one["kept_natural_by"] for one in logit["made"]] == names
    assert logit["made"][0]["activation"] > logit["mean"]
    assert logit["made"][0]["cut"] == 0
    assert len(logit["patches"]) == 2
    assert logit["patches"][0]["activation"] == pytest.approx(logit["highest"], abs=1e-4)
    assert [one["epoch"] for one in channel["evolution"]] == [0, 2]
    assert channel["evolution"][-1]["activation"] == channel["patches"][0]["activation"]
    assert channel["patches"][0]["box"] != [0, 0, 8, 8]
    assert logit["evolution"] == layer["evolution"] == []


def test_a_page_with_an_autoencoder_and_a_figure(call_visualise, morph_runs, tmp_path):
    words = ("--unit", "channel:4:5", "--vae", morph_runs / "vae", *QUICK)
    assert call_visualise(*words)[0] == 0
    page = (tmp_path / "run-units.html").read_text()
    for text in ("kept natural by nothing: adversarial", "kept natural by the autoencoder"):
        assert text in page
    assert "before training" in page
    assert "after epoch 2" in page
    assert "<script" not in page
    assert call_visualise("--unit", "logit:0", "--format", "png", *QUICK)[0] == 0
    assert (tmp_path / "run-units.png").read_bytes().startswith(b"\x89PNG")


def test_layers_are_listed(call_visualise):
    code, output, _ = call_visualise("--layers")
    assert code == 0
    assert ["4", "64", "x", "4", "x", "4"] in [line.split() for line in output.splitlines()]


def test_the_same_seed_gives_the_same(call_visualise):
    def numbers(seed):
        words = ("--unit", "logit:1", "--format", "json", "--seed", seed, *QUICK)
        return json.loads(call_visualise(*words)[1])["units"][0]["made"]

    assert numbers(1) == numbers(1) != numbers(2)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--unit", "logit:cow"], "Unknown class 'cow'. Choose from: 0, 1, 2"),
        (["--unit", "channel:x:1"], "Unknown layer 'x' of 'channel:x:1'; whence visualise RUN"),
        (["--layers", "--unit", "logit:1"], "--layers prints the layers; leave out --unit, --vae"),
        (["--steps", "0"], "steps must be at least 1, got 0."),
        (["--sample", "0"], "sample must be at least 1, got 0."),
        (["--format", "gif"], "Unknown format 'gif'. Choose from: html, png, json."),
        (["--vae", "none"], "none"),
    ],
    ids=" ".join,
)
def test_what_does_not_fit_is_one_sentence(call_visualise, tmp_path, words, message):
    code, output, errors = call_visualise(*words)
    assert (code, output) == (2, "")
    assert message in errors.splitlines()[-1]
    assert not list(tmp_path.iterdir())
