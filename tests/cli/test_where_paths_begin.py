"""Where paths begin: at the home folder after ``~``, and at the settings file that names them."""

import pytest
import torch
from PIL import Image

from whence.cli import main
from whence.cli.options import expand, parse
from whence.cli.report import build as build_report
from whence.cli.train import combine_settings
from whence.runs.settings import read_toml


@pytest.fixture
def photos(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = torch.randint(0, 256, (9, 9, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_a_home_folder_is_written_out_after_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = parse(build_report(), ["~/run", "--out=~/page.html"])
    assert (found.run, found.out) == (f"{tmp_path}/run", f"{tmp_path}/page.html")
    assert expand("a/~b") == "a/~b"


def test_a_run_goes_to_the_home_folder(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "~/photos", "--epochs", "1", "--out=~/run"]) == 0
    assert (tmp_path / "run" / "whence.json").exists()
    assert not (tmp_path / "elsewhere" / "~").exists()


def test_paths_in_a_settings_file_begin_at_the_file(photos, tmp_path, monkeypatch):
    (tmp_path / "first.toml").write_text('data = "photos"\nepochs = 1\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["train", "../first.toml", "--out", "run"]) == 0
    trained = read_toml(tmp_path / "elsewhere" / "run" / "settings.toml")
    assert trained["data"] == "../photos"
    assert main(["evaluate", "run"]) == 0


def test_a_table_and_its_corrections_begin_at_the_settings_file(tmp_path):
    for name in ("labels.csv", "audited.csv"):
        (tmp_path / name).touch()
    (tmp_path / "x.toml").write_text('data = "labels.csv"\ncorrections = "audited.csv"\n')
    settings, _ = combine_settings(str(tmp_path / "x.toml"), {})
    assert settings.data == str(tmp_path / "labels.csv")
    assert settings.corrections == str(tmp_path / "audited.csv")


def test_names_of_datasets_stay_names(tmp_path):
    (tmp_path / "x.toml").write_text('data = "mnist"\ndata_root = "/data"\nweights = "default"\n')
    settings, _ = combine_settings(str(tmp_path / "x.toml"), {})
    assert (settings.data, settings.data_root, settings.weights) == ("mnist", "/data", "default")
