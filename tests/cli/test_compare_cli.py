"""``whence compare``: two runs, one run on other images, and what cannot be compared."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from whence.cli import main
from whence.cli.work.compare import read_own
from whence.runs.where import AS_SETTINGS_SAY


def test_two_runs_are_compared_on_the_test_images_of_the_first(
    digits_run, standard_digits_run, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", str(digits_run), str(standard_digits_run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "answers changed: " in lines[0]
    assert lines[-1] == "Written: digits-compared.html"
    assert "From digits to standard" in (tmp_path / "digits-compared.html").read_text()
    assert main(["compare", str(digits_run), str(standard_digits_run)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["compare", str(digits_run), str(digits_run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == 0
    assert found["stored_in_both"] == 60
    assert found["drift"][0]["control"] is None


def test_one_run_is_asked_about_unlabelled_images(finished, tmp_path, capsys):
    run, photos = finished
    (tmp_path / "new").mkdir()
    for number in range(4):
        shutil.copy(photos / "a" / f"{number}.png", tmp_path / "new" / f"{number}.png")
    command = [
        "compare",
        str(run),
        "--data",
        str(tmp_path / "new"),
        "--out",
        str(tmp_path / "d.html"),
    ]
    assert main(command) == 0
    output = capsys.readouterr()
    assert "% of 4 images are farther from the nearest stored image" in output.out
    assert "knows " in output.err
    assert "accuracy" not in output.out


def test_runs_that_see_other_sizes_need_images_that_are_named():
    shapes = [{"image_shape": [1, side, side]} for side in (8, 16)]
    with pytest.raises(ValueError, match="see images at different sizes; name the images"):
        read_own([Path("one"), Path("other")], shapes, AS_SETTINGS_SAY)


def test_what_cannot_be_compared_is_said(finished, digits_run, fails, tmp_path):
    run, photos = finished
    fails("compare", run, message="needs a second run, or images for one: name them with --data")
    alone = "same classes, the first alone has a, b and digits alone has 0, 1, 2, 3, 4, ..."
    fails("compare", run, digits_run, message=alone)
    fails("compare", run, digits_run, "--data", photos, message=alone)
    fails("compare", run, tmp_path / "none", message="No run in")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    fails("compare", run, "--data", tmp_path / "x.png", message="x.png")
    mapped = ("--data", photos / "a", "--map", "a=b")
    fails("compare", run, *mapped, message="has no labels: classes cannot be mapped; leave out")
