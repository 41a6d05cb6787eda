"""Every class is learnt from, and what cannot be measured is said."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

import whence
from whence.cli import main
from whence.data.load import load_dataset
from whence.gather.overview import describe_run
from whence.records.images import Dataset, ImageSet
from whence.report.imbalance import say_imbalance
from whence.runs.class_counts import describe_class_counts
from whence.runs.finished import read_run, read_settings
from whence.runs.images import load_to_train
from whence.runs.prepare import prepare
from whence.runs.settings import Settings


@pytest.fixture
def photos(tmp_path):
    """An image folder of three classes, divided by the user."""

    def make(train, test):
        for part, counts in (("train", train), ("test", test)):
            for name, count in counts.items():
                folder = tmp_path / "photos" / part / name
                folder.mkdir(parents=True)
                for place in range(count):
                    Image.new("L", (8, 8), 20 * place).save(folder / f"{part}{place}.png")
        return str(tmp_path / "photos")

    return make


def test_a_class_without_a_training_image_is_refused_by_name(photos, tmp_path, capsys):
    folder = photos({"ant": 6, "bee": 6, "cat": 6}, {"ant": 2, "bee": 2, "cat": 2})
    out = str(tmp_path / "run")
    assert main(["train", folder, "--train-examples", "2", "--epochs", "1", "--out", out]) == 2
    said = capsys.readouterr().err
    assert (
        "train_examples must leave an image of every class to learn from, 2 leave none of" in said
    )
    assert not (tmp_path / "run").exists()
    settings = Settings(data=folder, train_examples=2)
    for load in (load_to_train, lambda settings: prepare(settings, load_dataset(folder))):
        with pytest.raises(ValueError, match=r"2 leave none of '(ant|bee|cat)'; use more"):
            load(settings)
    parts = prepare(replace(settings, train_examples=3), load_dataset(folder))
    assert parts.train.labels.sort().values.tolist() == [0, 1, 2]


def test_a_class_that_is_not_validated_is_named(photos):
    folder = photos({"ant": 9, "bee": 9, "cat": 1}, {"ant": 2, "bee": 2, "cat": 2})
    notes = load_to_train(Settings(data=folder)).notes
    assert [note for note in notes if "validation" in note] == [
        "No validation image is of 'cat': the accuracy there says nothing of that."
    ]
    assert not any("test image" in note for note in notes)
    none = load_to_train(Settings(data=folder, validation_examples=0)).notes
    assert not any("validation" in note for note in none)


def test_a_class_that_is_not_tested_is_named():
    labels = torch.arange(40) % 10
    names = tuple("abcdefghij")
    images = torch.zeros(40, 1, 4, 4, dtype=torch.uint8)
    test = ImageSet(images[:3], torch.tensor([0, 1, 1]), names)
    dataset = Dataset("letters", ImageSet(images, labels, names), test, ())
    (note,) = describe_class_counts(Settings(data="letters"), dataset)
    assert note.startswith("No test image is of 'c', 'd', 'e', 'f', 'g' and 3 more classes:")
    whole = replace(dataset, test=ImageSet(images, labels, names))
    assert describe_class_counts(Settings(data="letters"), whole) == []


def test_unequal_classes_are_said_before_the_training(photos, tmp_path, capsys):
    folder = photos({"ant": 13, "bee": 4, "cat": 6}, {"ant": 2, "bee": 2, "cat": 2})
    settings = Settings(data=folder, validation_examples=0)
    (note,) = (one for one in load_to_train(settings).notes if "unequal" in one)
    assert note == (
        "The classes are unequal: 13 training images of 'ant', 4 of 'bee'. The accuracy can be "
        "high while 'bee' is missed, so look at the balanced accuracy and at its recall; --balance "
        "lets classes count alike, --target-recall and --cost set a threshold for one."
    )
    with_validation = load_to_train(replace(settings, validation_examples=3)).notes
    assert any("training images of 'ant'" in note and "13" not in note for note in with_validation)


def test_three_times_as_many_images_are_not_yet_called_unequal():
    assert say_imbalance((9, 3, 4), ("ant", "bee", "cat")) is None
    assert say_imbalance((), ()) is None
    assert "10 training images of 'ant', 3 of 'bee'" in (
        say_imbalance((10, 3, 3), ("ant", "bee", "cat")) or ""
    )


def test_a_run_notes_its_classes_and_its_report_says_that_they_are_unequal(photos, tmp_path):
    folder, out = photos({"ant": 13, "bee": 4}, {"ant": 3, "bee": 3}), tmp_path / "run"
    options = ["--epochs", "1", "--validation-examples", "0", "--memory-size", "4"]
    assert main(["train", folder, *options, "--out", str(out)]) == 0
    about = read_run(out)
    assert about["run"]["class_counts"] == [13, 4]
    made = describe_run(about, read_settings(out), "photos", whence.load(out))
    assert made.class_counts == (13, 4)
    del about["run"]["class_counts"]
    assert describe_run(about, read_settings(out), "photos", whence.load(out)).class_counts == (
        13,
        4,
    )
    page = tmp_path / "page.html"
    assert main(["report", str(out), "--hard", "0", "--out", str(page)]) == 0
    assert "13 training images of &#39;ant&#39;, 4 of &#39;bee&#39;" in page.read_text()


@pytest.mark.parametrize("counts", [[13], [13, -1], [13, 4.0], "13, 4"])
def test_a_damaged_count_of_classes_is_refused(counts, photos, tmp_path):
    folder, out = photos({"ant": 6, "bee": 4}, {"ant": 1, "bee": 1}), tmp_path / "run"
    options = ["--epochs", "1", "--validation-examples", "0", "--memory-size", "4"]
    assert main(["train", folder, *options, "--out", str(out)]) == 0
    about = json.loads((out / "whence.json").read_text())
    about["run"]["class_counts"] = counts
    (out / "whence.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="must say how its run was made; it is damaged"):
        read_run(out)
