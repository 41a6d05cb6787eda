"""``whence report`` as a user meets it, on small real runs."""

import json
import re

import pytest

from tests.helpers.html_pages import ParsedPage
from tests.helpers.pages import picture
from whence.cli import main
from whence.report.numbers import percent


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with a memory, without pixels, and a standard one, each of a second."""
    root = tmp_path_factory.mktemp("runs")
    quick = ["--train-examples", "60", "--epochs", "4", "--memory-size", "20"]
    for name, more in (
        ("memory", []),
        ("bare", ["--no-pixels"]),
        ("standard", ["--variant", "standard"]),
    ):
        assert main(["train", "digits", *quick, *more, "--out", str(root / name)]) == 0
    return root


def test_the_page_of_a_run(runs, tmp_path, capsys):
    file = tmp_path / "page.html"
    command = ["report", str(runs / "memory"), "--hard", "3", "--out", str(file)]
    assert main(command) == 0
    output = capsys.readouterr()
    assert "3 hard cases explained" in output.out
    assert f"Written: {file}" in output.out
    assert "Measuring 500 test images" in output.err
    found = ParsedPage(file.read_text())
    accuracy = json.loads((runs / "memory" / "metrics.json").read_text())["test"]["accuracy"]
    assert f"It answers {percent(accuracy)} of 500 test images right" in found.words
    assert len([one for one in found.elements if re.match("image-", one[1].get("id", ""))]) == 3
    assert "integrated gradients, 16 steps from white" in found.words
    assert "(16 steps)" in found.words
    assert "of 20 draws" in found.words
    assert "500 of digits" in found.words
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*command[:2], "--hard", "0", "--out", str(file), "--force"]) == 0
    assert "Hard cases" not in ParsedPage(file.read_text()).words


def test_the_numbers_of_a_run_are_those_of_evaluate(runs, capsys):
    capsys.readouterr()
    assert main(["report", str(runs / "memory"), "--json", "--hard", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(runs / "memory"), "--json", "--no-controls"]) == 0
    expected = json.loads(capsys.readouterr().out)
    same = set(found) & set(expected)
    assert {"accuracy", "accuracy_draws", "flag", "controls", "seed", "variant"} <= same
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    assert found["hard"] == []
    assert sum(map(sum, found["confusion"])) == 500
    assert main(["report", str(runs / "memory"), "--json", "--seed", "7"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert other["accuracy_draws"] != found["accuracy_draws"]
    assert len(other["hard"]) == 8


@pytest.mark.parametrize("name", ["bare", "standard"])
def test_runs_without_pixels_and_without_memory(runs, tmp_path, name, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(runs / name), "--hard", "2"]) == 0
    assert f"Written: {name}-report.html" in capsys.readouterr().out
    found = ParsedPage((tmp_path / f"{name}-report.html").read_text())
    if name == "bare":
        assert "saved without its images" in found.words
        assert "total weight" in found.words
        assert not any("training image" in image["alt"] for image in found.all("img"))
    else:
        assert "This model has no memory" in found.words
        assert "Back to the hard cases" in found.words


def test_other_images_can_be_measured(runs, tmp_path, capsys):
    from PIL import Image

    for label in range(10):
        for part, number in (("train", 1), ("test", 2)):
            (tmp_path / "own" / part / str(label)).mkdir(parents=True)
            for place in range(number):
                pixels = picture(100 * label + 10 * place + number, (8, 8)).numpy()
                Image.fromarray(pixels).save(tmp_path / "own" / part / str(label) / f"{place}.png")
    file = tmp_path / "page.html"
    assert (
        main(
            [
                "report",
                str(runs / "memory"),
                "--data",
                str(tmp_path / "own"),
                "--hard",
                "1",
                "--out",
                str(file),
            ]
        )
        == 0
    )
    found = ParsedPage(file.read_text())
    assert "measured on own." in found.words
    assert "of 20 test images right" in found.words
    assert re.search(r"test image \d+, (test/)?\d/\d\.png", found.words)


@pytest.mark.parametrize(
    "more, message",
    [
        (["--hard", "-1"], "hard must be at least 0, got -1."),
        (["--batch-size", "0"], "batch-size must be at least 1, got 0."),
        (["--seed", "-2"], "seed must be in 0 to 2**63 - 1, got -2."),
        (["--data", "nothing-here"], "nothing-here"),
        (["--groups", "no.csv"], "No table of labels no.csv."),
        (["--groups", "folder"], "Groups are of files, and the measured images of this run come"),
        (
            ["--group-column", "kind"],
            "group-column is for a table of groups; name it with --groups",
        ),
        (["--device", "abacus"], "device must be cpu or cuda, got 'abacus'."),
    ],
)
def test_bad_options_are_one_sentence(runs, tmp_path, more, message, capsys):
    capsys.readouterr()
    assert main(["report", str(runs / "memory"), "--out", str(tmp_path / "x.html"), *more]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_missing_run_and_a_folder_as_page_are_refused(runs, tmp_path, capsys):
    assert main(["report", str(tmp_path / "none"), "--json"]) == 2
    assert "No run in" in capsys.readouterr().err
    assert main(["report", str(runs / "memory"), "--out", str(tmp_path)]) == 2
    assert "is a folder; name a file with --out." in capsys.readouterr().err
