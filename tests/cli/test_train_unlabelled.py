"""``whence train --unlabelled``: labels are taken from a run before, by its calibrated doubt."""

import csv
import json

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import whence
from whence.cli import main
from whence.cli.work import train_unlabelled as command
from whence.evidence.predict import predict
from whence.records.images import ImageParts, ImageSet
from whence.runs.taken_up import find_fresh, read_taken
from whence.storage.whole_files import write_json

LABELLED, UNLABELLED = 300, 60
OPTIONS = ("--epochs", "6", "--validation-examples", "80")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Digits in files, most of them labelled, one of ten wrongly; and copies among the others."""
    folder = tmp_path_factory.mktemp("photos")
    digits = load_digits()
    for place in range(LABELLED + UNLABELLED):
        label = digits.target[place]
        if place % 10 == 0:
            label = (label + 1) % 10
        file = folder / "some" / f"{label}" / f"{place}.png"
        if place >= LABELLED:
            file = folder / "more" / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[place] * 15).astype("uint8")).save(file)
    for name, source in (("copy", f"more/{LABELLED}.png"), ("known", "some/1/1.png")):
        (folder / "more" / f"{name}.png").write_bytes((folder / source).read_bytes())
    return folder


def train(photos, out, *more):
    data = [photos / "some", "--unlabelled", photos / "more", "--out", out]
    return main([str(word) for word in ("train", *data, *OPTIONS, *more)])


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(photos, out, "--pseudo-limit", "0.12") == 0
    return out


def read_rows(out):
    with (out / "unlabelled" / "labels.csv").open() as file:
        return list(csv.DictReader(file))


def test_answers_that_are_likely_right_are_taken_up_and_no_others(trained, photos):
    first = whence.load(trained / "unlabelled" / "first")
    files = [photos / "more" / f"{place}.png" for place in range(LABELLED, LABELLED + UNLABELLED)]
    expected = {
        str(file): (first.class_names[one.predicted], f"{one.error_probability:.4f}")
        for file, one in zip(files, predict(first, files), strict=True)
        if one.error_probability <= 0.12
    }
    taken = [row for row in read_rows(trained) if row["origin"] == "taken up"]
    assert 5 < len(taken) < UNLABELLED
    found = {row["path"]: (row["label"], row["error_probability"]) for row in taken}
    files_of_copy = {str(photos / "more" / "copy.png"), str(photos / "more" / f"{LABELLED}.png")}
    for file in files_of_copy & set(found):  # either of the two will do, once
        expected.pop(str(photos / "more" / f"{LABELLED}.png"), None)
        assert len(files_of_copy & set(found)) == 1
        found.pop(file)
    assert found == expected
    assert {row["split"] for row in taken} == {"train"}


def test_the_second_run_learns_from_them_and_is_tested_on_the_same_images(trained):
    first = whence.load_parts(trained / "unlabelled" / "first")
    second = whence.load_parts(trained)
    taken = [row for row in read_rows(trained) if row["origin"] == "taken up"]
    assert len(second.train) == len(first.train) + len(taken)
    for part in ("validation", "test"):
        ours, theirs = getattr(second, part), getattr(first, part)
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.images.equal(theirs.images)
    assert len(whence.load(trained).bank) == len(second.train)


def test_it_goes_on_where_it_was_stopped(trained, photos, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(command, "take_up", lambda *_, **__: exec("raise KeyboardInterrupt"))
    assert train(photos, out, "--pseudo-limit", "0.12") == 130
    monkeypatch.undo()
    assert train(photos, out, "--pseudo-limit", "0.12", "--resume") == 0
    assert [*read_rows(out)] == [*read_rows(trained)]
    ours, theirs = whence.load(out), whence.load(trained)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=0)
    capsys.readouterr()
    again = [photos / "some", "--unlabelled", f"{photos}/./more/", "--out", out, *OPTIONS]
    again += ["--pseudo-limit", "0.12", "--resume", "--json"]
    assert main([str(word) for word in ("train", *again)]) == 0
    assert json.loads(capsys.readouterr().out)[str(out)]["test"]["images"] == 60


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--pseudo-limit", "0.2", "--resume"), "was started with another pseudo-limit (0.12)"),
        (
            ("--pseudo-limit", "0.12"),
            "is not empty; choose another --out, or add --resume to go on",
        ),
    ],
)
def test_another_limit_and_a_full_folder_are_refused(trained, photos, more, sentence, capsys):
    assert train(photos, trained, *more) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("sentences", [None, "one", [1]])
def test_a_damaged_record_of_what_was_taken_up_is_named(tmp_path, sentences):
    path = tmp_path / "unlabelled" / "taken.json"
    write_json(path, {"limit": 0.1, "sentences": sentences})
    with pytest.raises(ValueError, match=r"taken.json must say what was taken up, it is damaged"):
        read_taken(tmp_path, {"limit": 0.1})
    with pytest.raises(FileExistsError, match=r"was started with another limit \(0.1\)"):
        read_taken(tmp_path, {"limit": 0.2})


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none", None, "none must be a folder of images, it is none"),
        ("empty", (), "empty holds no image"),
        ("gone.csv", "path\ngone.png\n", "1 of the 1 files in"),
        ("other.csv", "file\ngone.png\n", "must have a column 'path'"),
    ],
)
def test_images_that_are_not_there_are_said_before_anything_is_trained(
    photos, tmp_path, capsys, name, content, sentence
):
    if content == ():
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_text(content)
    data = [photos / "some", "--unlabelled", tmp_path / name, "--out", tmp_path / "run"]
    assert main([str(word) for word in ("train", *data, *OPTIONS)]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["spoilt", "spoilt.csv"])
def test_images_that_cannot_be_read_are_said_before_anything_is_trained(
    photos, tmp_path, capsys, name
):
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "a.png").write_bytes(b"no image")
    (tmp_path / "spoilt.csv").write_text("path\nspoilt/a.png\n")
    data = [photos / "some", "--unlabelled", tmp_path / name, "--out", tmp_path / "run"]
    assert main([str(word) for word in ("train", *data, *OPTIONS)]) == 2
    assert "a.png cannot be read" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_the_table_of_unlabelled_images_has_the_column_of_the_labelled_ones(photos, tmp_path):
    files = sorted((photos / "some").rglob("*.png"))
    for name, head, rows in (
        ("some.csv", "file,label", [f"{one},{one.parent.name}" for one in files]),
        ("more.csv", "file", [str(one) for one in sorted((photos / "more").glob("*.png"))]),
    ):
        (tmp_path / name).write_text("\n".join([head, *rows]))
    data = [tmp_path / "some.csv", "--unlabelled", tmp_path / "more.csv", "--path-column", "file"]
    words = ("train", *data, "--out", tmp_path / "run", *OPTIONS, "--pseudo-limit", "0.3")
    assert main([str(word) for word in words]) == 0
    assert "taken up" in {row["origin"] for row in read_rows(tmp_path / "run")}


def test_known_images_alone_are_nothing_to_take_up(photos, tmp_path, capsys):
    data = [photos / "some", "--unlabelled", photos / "some", "--out", tmp_path / "run"]
    assert main([str(word) for word in ("train", *data, *OPTIONS)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "must hold images that are not among the labelled ones, it holds none" in last


def test_no_likely_answer_leaves_the_first_run(photos, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(photos, out, "--pseudo-limit", "1e-9") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("whence: None of 60 unlabelled images is taken up: each answer is wrong")
    assert whence.load(out / "unlabelled" / "first").bank is not None


def test_labelled_images_that_are_no_files_are_refused(photos, tmp_path, capsys):
    words = ["train", "digits", "--unlabelled", photos / "more", "--out", tmp_path / "run"]
    assert main([str(word) for word in words]) == 2
    assert "unlabelled needs labelled images in files" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_known_images_and_copies_are_left_out():
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).repeat(1, 1, 2, 2)
    part = lambda *places: ImageSet(
        images[list(places)], torch.zeros(len(places)).long(), ("a", "b")
    )
    parts = ImageParts(part(0), part(1), part(2), torch.tensor([0]))
    assert find_fresh(images[[3, 0, 4, 3, 2, 1]], parts) == [0, 2]
