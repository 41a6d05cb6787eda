"""``whence check``: exit codes, the first file, JUnit, and what is wrong with a file."""

import json
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

import whence
from tests.helpers.bad_input import QUICK, write_images
from whence.checks.expectations import Expectations
from whence.cli import main
from whence.runs.check_epochs import EpochChecks
from whence.runs.check_run import name_labelled


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


TRAINED = ["train", "digits", "--train-examples", "60", "--epochs", "3", "--memory-size", "20"]
EASY = one(**{"assert": "accuracy", "at_least": 0.0}) + one(
    **{"assert": "own_class_weight", "at_least": 0.0}
)
HARD = one(**{"assert": "accuracy", "at_least": 1.0, "name": "never wrong"})


def test_a_training_is_looked_at_after_every_epoch(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(EASY + HARD)
    assert main([*TRAINED, "--out", "looked", "--expect", "c.toml"]) == 1
    errors = capsys.readouterr().err
    for epoch in (1, 2, 3):
        assert f"epoch {epoch}: fails: never wrong (0." in errors
    assert "FAIL  never wrong (0." in errors
    assert "1 of 3 checks fail." in errors
    lines = [json.loads(line) for line in Path("looked/checks.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    looked = EpochChecks(Expectations(tmp_path), tmp_path / "looked", None, None)
    looked.begin(2, None)
    assert [json.loads(line)["epoch"] for line in looked.lines] == [1, 2]
    for damaged in ("[1]", "{", '{"epoch": "one"}', "\xe9"):
        Path("looked/checks.jsonl").write_bytes(damaged.encode("latin-1"))
        with pytest.raises(ValueError, match=r"checks.jsonl must hold a check in each line, it is"):
            looked.begin(2, None)
    assert [one["holds"] for one in lines[0]["checks"]] == [True, True, False]
    assert lines[0]["checks"][0]["expected"] == "validation images: accuracy at least 0"
    assert main([*TRAINED, "--out", "plain"]) == 0
    looked, plain = (whence.load(name) for name in ("looked", "plain"))
    for name, tensor in plain.state_dict().items():  # looking changes no bit
        assert tensor.equal(looked.state_dict()[name]), name


def test_images_without_files_are_called_by_their_part():
    images = whence.ImageSet(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), [0, 1], ("a", "b"))
    assert name_labelled(images).names == ["test image 0", "test image 1"]
    assert name_labelled(images, [7, 9]).names == ["test image 7", "test image 9"]
    assert name_labelled(images, part="validation").names[1] == "validation image 1"


def test_what_holds_ends_a_training_with_exit_code_zero(digits_run, tmp_path, capsys):
    (tmp_path / "c.toml").write_text(EASY)
    weights = ["--weights", str(digits_run / "model.safetensors"), "--freeze-encoder"]
    command = [*TRAINED, *weights, "--expect", str(tmp_path / "c.toml")]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert "All 2 checks hold." in capsys.readouterr().err
    assert whence.load(tmp_path / "run").variant == "votes"
    assert len((tmp_path / "run" / "checks.jsonl").read_text().splitlines()) == 3


def test_votes_whose_encoder_learns_are_looked_at_as_if_the_epoch_were_the_last(tmp_path):
    (tmp_path / "c.toml").write_text(EASY + HARD)
    command = [*TRAINED, "--variant", "votes"]
    main([*command, "--expect", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run")])
    lines = (tmp_path / "run" / "checks.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])["checks"]
    assert len(lines) == 3
    model = whence.load(tmp_path / "run")
    validation = whence.load_parts(tmp_path / "run").validation
    right = [
        one.predicted == label
        for one, label in zip(
            whence.predict(model, validation.images), validation.labels.tolist(), strict=True
        )
    ]
    assert last[-1]["found"] == f"{sum(right) / len(right):.3f}"


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        (one(**{"assert": "answer", "class": "z"}), [], "unknown class 'z'"),
        (one(**{"assert": "answer", "class": "1", "image": "no.png"}), [], "No image"),
        (one(**{"assert": "answer", "class": "1", "test": 9999}), [], "test must be in 0 to "),
        (one(**{"assert": "x"}), [], "Unknown assertion 'x'"),
        (HARD, ["--workers", "2", "--seeds", "2"], "expect cannot be looked at with --workers"),
        (HARD, ["--folds", "2"], "expect cannot be looked at with --folds"),
    ],
)
def test_a_wrong_file_ends_a_training_before_it_begins(tmp_path, capsys, text, words, sentence):
    (tmp_path / "c.toml").write_text(text)
    command = [
        *TRAINED,
        "--out",
        str(tmp_path / "run"),
        "--expect",
        str(tmp_path / "c.toml"),
        *words,
    ]
    assert main(command) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
