"""``whence check``: exit codes, the first file, JUnit, and what is wrong with a file."""

import json
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import whence
from tests.helpers.bad_input import QUICK, write_images
from whence.cli import main


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    """Run the command on a run with checks; returns code, lines and errors."""
    monkeypatch.chdir(tmp_path)

    def run(folder, text=None, *words):
        if text is not None:
            (tmp_path / "checks.toml").write_text(text)
        capsys.readouterr()
        code = main(["check", str(folder), *words])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err

    return run


def one(**keys):
    lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
    return "\n".join(["[[check]]", *lines, ""])


@pytest.fixture(scope="session")
def grouped_run(tmp_path_factory):
    """A run on a table of labels with groups."""
    folder = tmp_path_factory.mktemp("grouped")
    write_images(folder / "photos", "ab", count=9)
    rows = [f"photos/{c}/{n}.png,{c},m{n % 6}" for c in "ab" for n in range(9)]
    (folder / "labels.csv").write_text("\n".join(["path,label,group", *rows]))
    assert main(["train", str(folder / "labels.csv"), *QUICK, "--out", str(folder / "run")]) == 0
    return folder


def test_the_first_file_holds_and_is_kept(check, digits_run, tmp_path):
    code, lines, _ = check(digits_run, None, "--write", "--junit", "ci.xml")
    assert code == 0
    assert lines[-2:] == [f"All {len(lines) - 2} checks hold.", "Written: checks.toml"]
    tables = tomllib.loads((tmp_path / "checks.toml").read_text())["check"]
    assert {"balanced_accuracy", "recall", "own_class_weight", "answer", "top_evidence"} == {
        table["assert"] for table in tables
    }
    assert sum(table["assert"] == "recall" for table in tables) == 10
    assert int(ET.parse(tmp_path / "ci.xml").getroot().attrib["tests"]) == len(tables)
    code, _, error = check(digits_run, None, "--write")
    assert (code, "checks.toml is there already" in error) == (2, True)
    assert check(digits_run)[0] == 0


def test_what_does_not_hold_is_told_with_exit_code_one(check, digits_run, tmp_path):
    text = one(**{"assert": "accuracy", "at_least": 1.0}) + one(
        **{"assert": "doubt", "at_most": 1.0}
    )
    code, lines, error = check(digits_run, text, "--junit", "ci.xml")
    assert (code, error) == (1, "")
    assert lines[0].startswith("FAIL  test images: accuracy at least 1 (0.")
    assert lines[1].startswith("ok    test images: wrong with at most 1 (at most 0.")
    assert lines[-1] == "1 of 2 checks fail."
    assert ET.parse(tmp_path / "ci.xml").getroot().attrib["failures"] == "1"
    code, lines, _ = check(digits_run, None, "--json")
    found = json.loads(lines[0])
    assert (code, found["hold"], [item["holds"] for item in found["checks"]]) == (
        1,
        False,
        [False, True],
    )


def test_files_sets_and_stored_images_are_named(check, finished, tmp_path):
    run, photos = finished
    text = "".join(
        one(**keys)
        for keys in (
            {"assert": "answer", "image": str(photos / "a" / "1.png"), "class": "a"},
            {"assert": "accuracy", "data": str(photos), "at_least": 0.0},
            {
                "assert": "no_evidence_from",
                "image": [str(photos / "a" / "1.png")],
                "stored": "nobody/*",
            },
            {"assert": "no_evidence_from", "data": str(photos), "stored": "*"},
            {"assert": "unchanged_without", "test": 0, "stored": "a/*"},
        )
    )
    code, lines, error = check(run, text)
    told = [line for line in lines if not line.startswith(" ")]
    assert (code, error) == (1, ""), error
    assert "none of 0 stored images" in told[2]
    assert told[3].startswith("FAIL")
    assert "0 of 12 images hold" in told[3]
    assert "test image 0: no answer changes without a/*" in told[4]


def test_a_group_of_the_table_is_left_out(check, grouped_run):
    run = grouped_run / "run"
    kept = {int(Path(source).stem) % 6 for source in whence.load(run).bank.sources}
    group = f"m{min(kept)}"
    code, lines, error = check(run, one(**{"assert": "unchanged_without", "group": group}))
    assert (code in (0, 1), error) == (True, "")
    assert f"test images: no answer changes without group {group}" in lines[0]
    keys = {"assert": "no_evidence_from", "data": str(grouped_run / "photos")}
    asked = [check(run, one(**keys, group=f"m{number}")) for number in range(6)]
    assert {number for number, (code, *_) in enumerate(asked) if code == 1} <= kept
    assert any(code == 1 for code, *_ in asked)
    assert all("none of 0 stored images" in asked[number][1][0] for number in {*range(6)} - kept)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"assert": "answer", "class": "z"}, "check 1: unknown class 'z'. Choose from: a, b."),
        ({"assert": "answer", "class": "a", "image": "no.png"}, "No image no.png."),
        ({"assert": "answer", "class": "a", "test": 99}, "test must be in 0 to "),
        ({"assert": "accuracy", "at_least": 1, "data": "none"}, "none"),
        ({"assert": "unchanged_without", "stored": "q/*"}, "no stored image is in 'q/*'."),
        (
            {"assert": "unchanged_without", "group": "m9"},
            "has no group 'm9'; it has m0, m1, m2, m3, m4, ...",
        ),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(check, grouped_run, keys, sentence):
    code, lines, error = check(grouped_run / "run", one(**keys))
    assert (code, lines) == (2, [])
    assert sentence in error
    assert error.count("\n") == 1


def test_a_group_needs_a_table(check, finished):
    code, _, error = check(finished[0], one(**{"assert": "unchanged_without", "group": "m9"}))
    assert (code, 'name stored images by stored = "FOLDER/*".' in error) == (2, True)


def test_a_model_without_memory_has_no_evidence_to_leave_out(check, standard_digits_run):
    keys = {"assert": "no_evidence_from", "stored": "0"}
    code, _, error = check(standard_digits_run, one(**keys))
    assert (code, "needs a memory, and a standard model has none" in error) == (2, True)
    assert check(standard_digits_run, None, "--write", "--force")[0] == 0
