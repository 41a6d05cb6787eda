"""``whence evaluate`` and ``report`` on tables, and on images without labels."""

import csv
import json

import pytest

import whence
from tests.helpers.bad_input import QUICK
from tests.helpers.image_folders import write_images
from whence.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on the classes ant and bee, and 10 other images with a table of their labels."""
    folder = tmp_path_factory.mktemp("any")
    write_images(folder / "photos", {"ant": 12, "bee": 12})
    assert main(["train", str(folder / "photos"), *QUICK, "--out", str(folder / "run")]) == 0
    write_images(folder / "other", {"ant": 6, "crack": 4}, seed=1)
    rows = [
        f"other/{k}/{n}.png,{k}" for k, count in (("ant", 6), ("crack", 4)) for n in range(count)
    ]
    (folder / "other.csv").write_text("file,label\n" + "\n".join(rows))
    return folder


TABLE = ["--path-column", "file", "--map", "crack=bee"]


def call(capsys, *words):
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_a_table_is_measured_as_the_folder_is(trained, capsys, tmp_path):
    words = ["evaluate", trained / "run", "--no-controls", "--json", "--data"]
    answers = tmp_path / "answers.csv"
    code, out, _ = call(capsys, *words, trained / "other.csv", *TABLE, "--answers", answers)
    assert code == 0
    found, folder = (
        json.loads(out),
        json.loads(call(capsys, *words, trained / "other", "--map", "crack=bee")[1]),
    )
    assert found["test_fingerprint"] == folder["test_fingerprint"]
    assert found["accuracy"] == folder["accuracy"]
    assert [one["class"] for one in found["ranking"]] == ["ant", "bee"]
    assert found["thresholds"]["class"] == "bee"
    with answers.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert sum(row["right"] == "yes" for row in rows) / 10 == found["accuracy"]
    assert (rows[0]["image"], rows[-1]["label"]) == ("other/ant/0.png", "bee")
    model = whence.load(trained / "run")
    sample = whence.load_sample(
        trained / "other", ["ant", "bee"], (3, 8, 8), renamed={"crack": "bee"}
    )
    one = whence.predict(model, sample.images.images[:1])[0]
    assert float(rows[0]["probability of ant"]) == pytest.approx(
        float(one.probabilities[0]), abs=1e-5
    )
    assert rows[0]["evidence"] == one.evidence[0].source


def test_text_has_ranking_and_thresholds(trained, capsys):
    words = ["evaluate", trained / "run", "--no-controls", "--data", trained / "other.csv", *TABLE]
    _, out, _ = call(capsys, *words, "--cost", "bee=7")
    lines = [line.split() for line in out.splitlines()]
    assert ["class", "AUROC", "average", "precision"] in lines
    assert "(missing an image costs 7, a false alarm 1; * is in use)" in out
    assert sum(line[0].endswith("%*") for line in lines if line) == 1
    table = next(line for line in lines if line and line[0].rstrip("*") == "50.0%")
    found = json.loads(call(capsys, *words, "--cost", "bee=7", "--json")[1])["thresholds"]
    row = next(one for one in found["rows"] if one["threshold"] == 0.5)
    assert table[3:] == [str(row["false_alarms"]), str(4 - row["found"]), f"{row['cost']:g}"]


def test_a_report_on_a_table_shows_curves_and_originals(trained, capsys, tmp_path):
    page = tmp_path / "page.html"
    words = ["report", trained / "run", "--data", trained / "other.csv", *TABLE, "--hard", "1"]
    assert call(capsys, *words, "--out", page)[0] == 0
    text = page.read_text()
    for said in ("ROC curves", "Precision and recall", "Thresholds for bee", "average precision"):
        assert said in text
    curves = json.loads(call(capsys, *words, "--json")[1])["class_curves"]
    assert curves["ant"]["hits"][-1] == curves["ant"]["false_alarms"][-1] == 1


@pytest.mark.parametrize("data", ["folder", "table", "nested"])
def test_images_without_labels(trained, capsys, tmp_path, data):
    (tmp_path / "x.csv").write_text(
        "path\n" + "\n".join(f"{trained}/other/ant/{k}.png" for k in range(6))
    )
    place = {
        "folder": trained / "other/ant",
        "table": tmp_path / "x.csv",
        "nested": trained / "other",
    }
    words = ["evaluate", trained / "run", "--data", place[data]]
    words += ["--unlabelled"] if data == "nested" else []
    code, out, err = call(capsys, *words, "--json", "--answers", tmp_path / "a.csv")
    assert code == 0
    assert "These images have no labels" in err
    found = json.loads(out)
    total = 10 if data == "nested" else 6
    assert (found["images"], sum(found["answers"].values()), found["known"]) == (total, total, 0)
    assert "accuracy" not in found
    shares = [row["probability"] for row in found["rows"]]
    assert found["probability"]["mean"] == pytest.approx(sum(shares) / total)
    doubts = [one["probability"] for one in found["doubtful"]]
    assert doubts[0] == min(shares)
    assert doubts == sorted(doubts)
    assert "label" not in found["rows"][0]
    assert len((tmp_path / "a.csv").read_text().splitlines()) == total + 1
    code, out, _ = call(capsys, *words)
    assert f"{total} images of " in out
    assert "not calibrated: how many answers are wrong cannot be estimated" in out


def test_images_that_the_run_saw_are_counted(trained, capsys):
    words = ["evaluate", trained / "run", "--data", trained / "photos/ant"]
    assert "of these images were seen in training or validation" in call(capsys, *words)[1]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--unlabelled"], "unlabelled is for other images; name them with --data"),
        (["--path-column", "x"], "path-column is for a table of other images"),
        (["--data", "FLAT", "--map", "a=ant"], "has no labels: classes cannot be mapped"),
        (["--data", "FLAT", "--cost", "ant=2"], "has no labels"),
        (["--data", "other.csv"], "must have a column 'path' (it has file, label)"),
        (["--data", "gone.csv"], "No table of labels"),
        (["--answers", "other.csv"], "is there already; choose another --answers, or add --force"),
    ],
)
def test_what_cannot_be_measured(trained, capsys, monkeypatch, words, message):
    monkeypatch.chdir(trained)
    words = [str(trained / "other/ant") if word == "FLAT" else word for word in words]
    code, out, err = call(capsys, "evaluate", trained / "run", *words)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
