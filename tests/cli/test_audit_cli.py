"""The audit loop: a report's table of suspicious labels, filled in, applied with and without training."""

import copy
import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import whence
from tests.helpers.bad_input import QUICK
from whence.cli import main
from whence.evidence.suspicious import find_suspicious
from whence.models.using import encode_frozen
from whence.records.measures import Calibration
from whence.runs.audit import read_corrected
from whence.runs.other_memory import say_calibration_lost

WRONG = 4
"""The first images of each class show the other one."""


def write_stripes(folder, *, noise_seed=0):
    """Write stripes that lie, called ants, and stripes that stand, called bees."""
    numbers = np.random.default_rng(noise_seed)
    lines = np.arange(16) // 2 % 2 * 200.0
    for label, name in enumerate(("ant", "bee")):
        (folder / name).mkdir(parents=True)
        for place in range(16):
            lying = (place < WRONG) != (label == 0)
            noise = numbers.normal(20, 12, (16, 16))
            pixels = (lines[:, None] if lying else lines) + noise
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / name / f"{place}.png")


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A run with some wrong labels, and its report with the table of suspicious ones."""
    folder = tmp_path_factory.mktemp("audit")
    write_stripes(folder / "photos")
    words = ["train", str(folder / "photos"), *QUICK, "--variant", "votes", "--seed", "1"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    assert (
        main(
            ["report", str(folder / "run"), "--out", str(folder / "run-report.html"), "--hard", "0"]
        )
        == 0
    )
    return folder


def fill(folder, tmp_path, how):
    """Fill in the rows of the table; ``how`` maps its rows to labels."""
    with (folder / "run-suspicious.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, label in zip(rows, how(rows), strict=False):
        row["corrected_label"] = label
    table = tmp_path / "filled.csv"
    with table.open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return table, rows


def correct_three(rows):
    return [rows[0]["suggested_label"], "remove", rows[2]["label"]]


def call(capsys, *words):
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_the_table_is_the_list_of_the_encoders_own_features(audited):
    model = whence.load(audited / "run")
    features = encode_frozen(model, model.bank.images)
    expected = find_suspicious(model, features=features)
    with (audited / "run-suspicious.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 3, "else nothing is tested"
    assert all(int(row["file"].split("/")[1].removesuffix(".png")) < WRONG for row in rows)
    assert [row["file"] for row in rows] == [one.source for one in expected]
    assert [row["corrected_label"] for row in rows] == [""] * len(rows)
    first = rows[0]["nearest"].split("; ")
    assert len(first) == 5
    alike = torch.nn.functional.normalize(features, dim=1)
    place = model.bank.sources.index(rows[0]["file"])
    cosines = alike @ alike[place]
    cosines[place] = -1
    best = int(cosines.argmax())
    assert first[0].startswith(f"{model.bank.sources[best]} (")
    assert first[0].endswith(f", {float(cosines[best]):.2f})")


def test_a_run_is_edited_without_training(audited, tmp_path, capsys):
    table, rows = fill(audited, tmp_path, correct_three)
    out = tmp_path / "edited"
    code, text, err = call(capsys, "edit", audited / "run", "--corrections", table, "--out", out)
    assert code == 0
    assert text.startswith("1 label corrected, 1 image taken out, 1 label confirmed.")
    before, after = whence.load(audited / "run"), whence.load(out)
    lost = before.calibration is not None and after.calibration is None
    assert ("note: The new run is not calibrated, fewer than 5" in err) == lost
    wanted = whence.edit(before, relabel={rows[0]["file"]: rows[0]["suggested_label"]})
    wanted = whence.edit(wanted, remove=rows[1]["file"])
    assert after.bank.sources == wanted.bank.sources
    assert after.bank.labels.equal(wanted.bank.labels)
    assert not after.bank.labels.equal(before.bank.labels[: len(after.bank)])
    page = tmp_path / "page.html"
    assert call(capsys, "report", out, "--out", page, "--hard", "0")[0] == 0
    said = page.read_text()
    assert "What the corrections changed" in said
    assert "With filled.csv, 1 label changed and 1 image was taken out. 1 label looked at" in said
    assert "On the same test images" in said
    found = json.loads(call(capsys, "report", out, "--json", "--hard", "0")[1])["corrections"]
    assert found["changed"] == [
        [rows[0]["file"], rows[0]["label"], rows[0]["suggested_label"]],
        [rows[1]["file"], rows[1]["label"], None],
    ]
    assert (
        found["before"][0]
        == json.loads((audited / "run/metrics.json").read_text())["test"]["accuracy"]
    )


def test_of_several_corrections_the_report_says_the_last():
    one, other = ({"table": name, "before": {}} for name in ("first.csv", "second.csv"))
    edited = {"corrections": one, "memory": {"corrections": other}}
    assert read_corrected(edited, None).table == "second.csv"
    assert read_corrected({"corrections": one, "memory": {"added": 3}}, None).table == "first.csv"
    assert read_corrected({"corrections": None}, None) is None


def test_a_run_is_trained_with_corrections(audited, tmp_path, capsys):
    table, rows = fill(audited, tmp_path, correct_three)
    words = ["train", audited / "photos", *QUICK, "--variant", "votes", "--seed", "1"]
    code, _, err = call(capsys, *words, "--corrections", table, "--out", tmp_path / "run")
    assert code == 0
    assert "note: filled.csv corrects 1 label, takes 1 image out and confirms 1." in err
    old, new = (whence.load_parts(run) for run in (audited / "run", tmp_path / "run"))
    assert new.test.sources == old.test.sources
    assert new.validation.sources == old.validation.sources
    assert new.train.sources == tuple(one for one in old.train.sources if one != rows[1]["file"])
    place = new.train.sources.index(rows[0]["file"])
    assert new.train.class_names[new.train.labels[place]] == rows[0]["suggested_label"]
    found = json.loads(call(capsys, "report", tmp_path / "run", "--json", "--hard", "0")[1])
    assert (found["corrections"]["relabelled"], found["corrections"]["removed"]) == (1, 1)
    assert "names no run that is there, so that accuracy before" in err
    assert found["corrections"]["before"] is None
    table.write_text(table.read_text().replace("remove", ""))
    code, _, err = call(
        capsys, *words, "--corrections", table, "--out", tmp_path / "run", "--resume"
    )
    assert (code, "made with other groups, weights or validation images" in err) == (2, True)


def shares_of(folder):
    found = json.loads((folder / "metrics.json").read_text())
    return {name: found["test"][name] for name in ("accuracy", "balanced_accuracy")}


def test_accuracy_before_stands_beside_the_new_one(audited, tmp_path, capsys):
    table, rows = fill(audited, audited, correct_three)  # beside the run, as its report left it
    assert rows[0]["run"] == "run"
    words = ["train", audited / "photos", *QUICK, "--variant", "votes", "--seed", "1"]
    code, out, err = call(capsys, *words, "--corrections", table, "--out", tmp_path / "run")
    assert (code, "not shown" in err) == (0, False)
    before, after = shares_of(audited / "run"), shares_of(tmp_path / "run")
    for name, share in before.items():
        said = f"{name.replace('_', ' ')}: {share:.2%} before, {after[name]:.2%} after"
        assert said in out
    found = json.loads(call(capsys, "report", tmp_path / "run", "--json", "--hard", "0")[1])
    assert found["corrections"]["before"] == list(before.values())
    assert found["corrections"]["after"] == list(after.values())
    assert found["corrections"]["confirmed"] == 1


def test_a_run_whose_test_labels_were_wrong_is_asked_again(audited, tmp_path, capsys):
    parts = whence.load_parts(audited / "run")
    call(capsys, "evaluate", audited / "run", "--answers", tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open() as file:
        answers = list(csv.DictReader(file))
    names = {"ant": "bee", "bee": "ant"}
    [wrong, gone, *_] = [k for k, row in enumerate(answers) if row["answer"] == row["label"]]
    label = answers[wrong]["label"]
    lines = [f"{parts.test.sources[wrong]},,{label},{names[label]}"]
    words = ["train", audited / "photos", *QUICK, "--variant", "votes", "--seed", "1"]
    words += ["--before", audited / "run", "--corrections"]
    for more in ([], [f"{parts.test.sources[gone]},,{answers[gone]['label']},remove"]):
        table = tmp_path / f"{len(more)}.csv"
        heads = "file,index,label,corrected_label\n"
        table.write_text(heads + "\n".join([*lines, *more]))
        assert call(capsys, *words, table, "--out", tmp_path / f"run-{len(more)}")[0] == 0
        found = json.loads((tmp_path / f"run-{len(more)}/metrics.json").read_text())["before"]
        kept = [row for k, row in enumerate(answers) if not more or k != gone]
        labels = [names[label] if row is answers[wrong] else row["label"] for row in kept]
        right = [row["answer"] == name for row, name in zip(kept, labels, strict=True)]
        assert found["accuracy"] == pytest.approx(sum(right) / len(right))
        assert found["accuracy"] != shares_of(audited / "run")["accuracy"]
        recalls = [
            np.mean([hit for hit, one in zip(right, labels, strict=True) if one == name])
            for name in set(labels)
        ]
        assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_a_run_with_another_threshold_since_is_asked_again(audited, tmp_path, capsys):
    table, _ = fill(audited, tmp_path, correct_three)
    first = shutil.copytree(audited / "run", tmp_path / "first")
    words = ["evaluate", first, "--no-controls", "--json", "--cost", "ant=1000", "--keep"]
    now = json.loads(call(capsys, *words)[1])
    assert now["accuracy"] != shares_of(first)["accuracy"], "else nothing is tested"
    words = ["train", audited / "photos", *QUICK, "--variant", "votes", "--seed", "1"]
    words += ["--before", first, "--corrections", table, "--out", tmp_path / "run"]
    assert call(capsys, *words)[0] == 0
    before = json.loads((tmp_path / "run" / "metrics.json").read_text())["before"]
    assert before["accuracy"] == pytest.approx(now["accuracy"])


def test_runs_that_are_not_before(audited, tmp_path, capsys):
    table, _ = fill(audited, tmp_path, correct_three)
    words = ["train", audited / "photos", *QUICK, "--variant", "votes", "--out", tmp_path / "x"]
    code, _, err = call(capsys, *words, "--before", audited / "run")
    assert (code, "it needs --corrections" in err) == (2, True)
    words += ["--corrections", table, "--before"]
    code, _, err = call(capsys, *words, tmp_path / "none")
    assert (code, "No run in" in err) == (2, True)
    write_stripes(tmp_path / "photos", noise_seed=1)
    other = ["train", tmp_path / "photos", *QUICK, "--variant", "votes", "--out"]
    assert call(capsys, *other, tmp_path / "other")[0] == 0
    code, _, err = call(capsys, *words, tmp_path / "other")
    assert (code, "other was tested on other images" in err) == (2, True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "how, message",
    [
        (lambda rows: [], "corrects nothing: write a class, or remove, into its column"),
        (lambda rows: [rows[0]["label"]], "corrects nothing"),
        (lambda rows: ["wasp"], "must have a class as corrected_label (ant, bee), or remove"),
    ],
)
def test_what_is_no_correction(audited, tmp_path, capsys, how, message):
    table, _ = fill(audited, tmp_path, how)
    code, out, err = call(
        capsys, "edit", audited / "run", "--corrections", table, "--out", tmp_path / "x"
    )
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_edited(audited, tmp_path, capsys):
    table, rows = fill(audited, tmp_path, correct_three)
    table.write_text(table.read_text().replace(rows[0]["file"], "ant/none.png"))
    words = ["edit", audited / "run", "--corrections", table, "--out"]
    assert (
        "corrects ant/none.png, which is not in the memory (row 2)"
        in call(capsys, *words, tmp_path / "x")[2]
    )
    shutil.copytree(audited / "run", tmp_path / "there")
    assert "is there already" in call(capsys, *words, tmp_path / "there")[2]
    words[3] = tmp_path / "gone.csv"
    assert "No table of labels" in call(capsys, *words, tmp_path / "x")[2]


def test_the_table_is_not_overwritten(audited, capsys):
    words = ["report", audited / "run", "--hard", "0", "--out"]
    code, _, err = call(capsys, *words, audited / "run-report.html")
    assert (code, "is there already" in err) == (2, True)
    (audited / "other-suspicious.csv").write_text("mine")
    code, _, err = call(capsys, *words, audited / "other-report.html")
    assert (code, "other-suspicious.csv is there already" in err) == (2, True)
    assert not (audited / "other-report.html").exists()


def test_an_edit_says_that_a_calibration_is_lost(audited):
    calibrated, plain = (copy.copy(whence.load(audited / "run")) for _ in range(2))
    calibrated.calibration = Calibration(("margin",), (0.0,), (1.0,), (1.0,), 0.0, 20, 5)
    plain.calibration = None
    [said] = say_calibration_lost(calibrated, plain)
    assert said.startswith("The new run is not calibrated, fewer than 5 of its validation images")
    assert say_calibration_lost(calibrated, calibrated) == ()
    assert say_calibration_lost(plain, plain) == ()
