"""A model that was saved before it remembered anything: one sentence from every command."""

import json

import pytest
from PIL import Image

import whence
from whence.autoencoders import VAES
from whence.cli import main

SENTENCE = "holds a model without its memory; call model.remember(images) and save it again."


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare") / "run"
    options = ["--train-examples", "30", "--memory-size", "10", "--epochs", "1", "--device", "cpu"]
    assert main(["train", "digits", *options, "--out", str(folder)]) == 0
    about = json.loads((folder / "whence.json").read_text())
    del about["sha256"]["bank.safetensors"]
    (folder / "whence.json").write_text(json.dumps(about))
    whence.save_vae(VAES["residual"]((1, 8, 8), codes=2), folder.parent / "vae")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "RUN", "a.png"],
        ["predict", "RUN", "a.png", "--json"],
        ["explain", "RUN", "a.png"],
        ["explain", "RUN", "--test", "0", "--json"],
        ["attribute", "RUN", "a.png"],
        ["evaluate", "RUN"],
        ["evaluate", "RUN", "--json", "--no-controls"],
        ["report", "RUN"],
        ["morph", "RUN", "a.png", "--vae", "VAE"],
    ],
    ids=" ".join,
)
def test_every_command_says_it(bare, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("a.png")
    folders = {"RUN": str(bare), "VAE": str(bare.parent / "vae")}
    assert main([folders.get(word, word) for word in command]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error == f"whence: {bare} {SENTENCE}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]
