"""Nothing is fetched, and no folder written to, because a settings file or a run folder says so."""

import json
import urllib.request
from urllib.error import URLError

import pytest
import torch

import whence
from tests.helpers.image_folders import write_images
from whence.cli import main
from whence.runs.images import load_data
from whence.runs.run import run
from whence.runs.settings import Settings, to_toml

QUICK = ["--epochs", "1", "--device", "cpu"]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The addresses that were asked for; there is no network, and the caches are empty."""
    addresses = []

    def refuse(request, *_, **__):
        addresses.append(request if isinstance(request, str) else request.full_url)
        raise URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return addresses


@pytest.fixture
def settings_file(tmp_path):
    """A file of somebody else's that names a dataset and a folder for it."""
    path = tmp_path / "theirs.toml"
    path.write_text(f'data = "mnist"\ndata_root = "{tmp_path / "victim"}"\nepochs = 1\n')
    return path


def fails(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_a_settings_file_downloads_nothing_unless_asked(asked, settings_file, tmp_path, capsys):
    error = fails(capsys, "train", settings_file, *QUICK)
    assert "mnist needs " in error
    assert "download is switched off (--download allows it)" in error
    assert asked == []
    error = fails(capsys, "train", settings_file, "--download", *QUICK)
    assert "download writes to no folder that a settings file names" in error
    assert "name it yourself with --data-root" in error
    assert asked == []
    error = fails(capsys, "train", settings_file, "--download", "--data-root", "mine", *QUICK)
    assert "downloading it failed" in error
    assert all("mnist" in address for address in asked)
    assert asked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.toml"]


def test_what_the_command_line_names_is_downloaded(asked, tmp_path, capsys):
    assert "downloading it failed" in fails(capsys, "train", "mnist", *QUICK)
    assert asked
    assert list(tmp_path.iterdir()) == []


def test_weights_that_a_settings_file_names_are_not_downloaded(asked, tmp_path, capsys):
    write_images(tmp_path / "photos", {"ant": 4, "bee": 4})
    text = 'data = "photos"\nencoder = "torchvision:resnet18"\nweights = "default"\nsize = 32\n'
    (tmp_path / "theirs.toml").write_text(text)
    error = fails(capsys, "train", "theirs.toml", *QUICK)
    assert "theirs.toml names weights that would be fetched from the network; allow it" in error
    assert asked == []
    for allowed in (["--download"], ["--weights", "default"]):
        error = fails(capsys, "train", "theirs.toml", *QUICK, *allowed)
        assert "could not be downloaded" in error
        assert len(asked) == 1
        asked.clear()
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def hostile(tmp_path):
    """A run folder whose settings name a dataset that is not here, and a folder for it."""
    settings = Settings(data="digits", train_examples=20, epochs=1, pixels=False)
    run(settings, tmp_path / "run", load_data(settings))
    changed = Settings(data="mnist", data_root=str(tmp_path / "victim"), pixels=False)
    (tmp_path / "run" / "settings.toml").write_bytes(to_toml(changed))
    return tmp_path / "run"


@pytest.mark.parametrize("with_record", [True, False])
@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "RUN"],
        ["evaluate", "RUN", "--data", "fashion_mnist"],
        ["report", "RUN"],
        ["explain", "RUN", "--test", "0"],
    ],
    ids=" ".join,
)
def test_a_run_folder_downloads_nothing_unless_asked(asked, hostile, capsys, command, with_record):
    if not with_record:
        about = json.loads((hostile / "whence.json").read_text())
        del about["run"]["images_sha256"]
        (hostile / "whence.json").write_text(json.dumps(about))
    before = sorted(hostile.parent.rglob("*"))
    words = [str(hostile) if word == "RUN" else word for word in command]
    assert "download is switched off (--download allows it)" in fails(capsys, *words)
    assert asked == []
    assert "downloading it failed" in fails(capsys, *words, "--download")
    assert asked
    assert sorted(hostile.parent.rglob("*")) == before
    with pytest.raises(FileNotFoundError, match="switched off"):
        whence.load_parts(hostile)


def test_the_network_before_training_downloads_no_weights(asked, tmp_path, capsys):
    """Of a frozen encoder nothing is needed, else the cache is enough, and no cache is an error."""
    write_images(tmp_path / "photos", {"ant": 6, "bee": 6})
    import torchvision

    torch.manual_seed(1)
    state = torchvision.models.get_model("squeezenet1_1", weights=None).state_dict()
    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    cached = tmp_path / "torch" / "hub" / "checkpoints" / url.split("/")[-1]
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    start = ["train", "photos", "--encoder", "torchvision:squeezenet1_1", "--size", "32", *QUICK]
    start += ["--weights", "default", "--learning-rate", "0.001", "--out"]
    assert main([*start, "tuned"]) == 0
    assert main([*start, "frozen", "--freeze-encoder"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "tuned", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["controls"]["untrained"] is not None
    cached.unlink()
    error = fails(capsys, "evaluate", "tuned")
    assert "The pretrained weights of torchvision:squeezenet1_1 are not here, and are not" in error
    assert "add --no-controls" in error
    assert main(["evaluate", "frozen", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["controls"]["untrained"] is not None
    assert asked == []
    assert "could not be downloaded" in fails(capsys, "evaluate", "tuned", "--download")
    assert asked == [url]
