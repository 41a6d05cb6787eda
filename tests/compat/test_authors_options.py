"""The options of the paper's code are taken with its train.yaml, and nowhere else."""

import pytest
import torch
from PIL import Image

import whence
from tests.helpers.authors_yaml import AUTHORS
from whence.cli import main
from whence.cli.train import build
from whence.compat.options import AUTHORS_OPTIONS


@pytest.fixture
def train_yaml(tmp_path, rng):
    """Their settings file, beside a CINIC-10 of ten images a class."""
    for part in ("train", "test"):
        for name in "abcdefghij":
            folder = tmp_path / "datasets" / "CINIC10" / part / name
            folder.mkdir(parents=True)
            for number in range(10):
                pixels = torch.randint(0, 256, (32, 32, 3), generator=rng, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    path = tmp_path / "train.yaml"
    text = AUTHORS.replace("name: SVHN", "name: CINIC10").replace("examples: 1000", "examples: 60")
    text = text.replace("num_epochs: 300", "num_epochs: 2").replace("[150, 225]", "[1]")
    path.write_text(text.replace("mem_examples: 100", "mem_examples: 20"))
    return path


def test_modality_and_spelling_of_the_authors(train_yaml, tmp_path, capsys):
    out = tmp_path / "std"
    quick = ["--encoder", "small_cnn", "--seed", "0", "--batch-size", "30"]
    command = ["train", str(train_yaml), *quick, "--modality=std", "--out", str(out)]
    assert main([*command, "--continue_train=False"]) == 0
    assert whence.load(out).variant == "standard"
    assert main([*command, "--continue_train=True", "--log_interval=100"]) == 0
    assert main([*command, "--continue-train"]) == 0
    capsys.readouterr()
    assert main([*command, "--continue_train=False"]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--modality", "x"], "Unknown modality 'x'. Choose from: std, memory, encoder_memory.\n"),
        (["--modality=std", "--variant=standard"], "modality and variant both name the head, give"),
    ],
)
def test_a_modality_that_makes_no_sense(options, message, train_yaml, capsys):
    assert main(["train", str(train_yaml), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", AUTHORS_OPTIONS)
def test_other_data_takes_none_of_them(option, capsys):
    assert option not in build()._option_string_actions
    assert option in build(authors=True)._option_string_actions
    assert main(["train", "digits", option, "1"]) == 2
    assert f"unrecognized arguments: {option} 1" in capsys.readouterr().err


def test_the_help_names_them(train_yaml, capsys):
    for arguments, heading in ((["train"], False), (["train", str(train_yaml)], True)):
        with pytest.raises(SystemExit):
            main([*arguments, "--help"])
        said = capsys.readouterr().out
        assert ("options of the paper's code" in said) is heading
        assert all(option in said for option in AUTHORS_OPTIONS[:2])
