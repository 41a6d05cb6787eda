"""Every class is learnt from, and what cannot be measured is said."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from whence.cli import main
from whence.data.load import load_dataset
from whence.records.images import Dataset, ImageSet
from whence.runs.class_counts import describe_missing
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
    (note,) = describe_missing(Settings(data="letters"), dataset)
    assert note.startswith("No test image is of 'c', 'd', 'e', 'f', 'g' and 3 more classes:")
    whole = replace(dataset, test=ImageSet(images, labels, names))
    assert describe_missing(Settings(data="letters"), whole) == []
