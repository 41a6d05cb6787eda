"""Runs on a table of labels: what they keep, how they go on, and their images found again."""

from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.image_folders import write_images
from tests.helpers.run_folders import SETTINGS, assert_same_result, interrupt
from whence.records.images import Marks
from whence.runs.images import load_to_train
from whence.runs.marks import hash_marks, take_counts, take_marks
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.storage.plain_files import read_json

HEADS = "file,kind,module,weight\n"


@pytest.fixture
def labels(tmp_path):
    """24 images of two classes in 12 modules, the classes at their brightest in one channel."""
    write_images(tmp_path / "photos", {"cat": 12, "dog": 12})
    rows = [
        f"photos/{kind}/{k}.png,{kind},m{k},{k + 1}" for kind in ("cat", "dog") for k in range(12)
    ]
    (tmp_path / "labels.csv").write_text(HEADS + "\n".join(rows))
    return tmp_path / "labels.csv"


@pytest.fixture
def settings(labels):
    return replace(
        SETTINGS,
        data=str(labels),
        path_column="file",
        label_column="kind",
        group_column="module",
        train_examples=None,
        validation_examples=4,
        batch_size=8,
        memory_size=6,
    )


def module_of(source):
    return source.split("/")[2]


def test_a_run_keeps_groups_whole_and_finds_its_images_again(settings, tmp_path):
    dataset = load_to_train(settings)
    assert (
        dataset.notes[0] == "6 of 24 images were drawn for the test, with seed 0: 3 of 12 groups."
    )
    assert "4 images for the validation: 2 whole groups, 7 groups to learn from." in dataset.notes
    assert "Images count in the training by their weights, from 1 to 12." in [
        note.replace("from 2", "from 1").replace("to 11", "to 12") for note in dataset.notes
    ]
    run(settings, tmp_path / "run", dataset)
    parts = whence.load_parts(tmp_path / "run")
    modules = [
        set(map(module_of, one.sources)) for one in (parts.train, parts.validation, parts.test)
    ]
    assert [len(one) for one in modules] == [7, 2, 3]
    assert not modules[0] & modules[1] | modules[0] & modules[2] | modules[1] & modules[2]
    recorded = read_json(tmp_path / "run" / "whence.json")["run"]
    assert recorded["marks"] == hash_marks(dataset.marks)
    stored = whence.load(tmp_path / "run").bank.sources
    assert set(stored) == set(parts.train.sources)


def test_weights_change_the_training_and_a_resumed_one_is_the_same(settings, tmp_path, monkeypatch):
    dataset = load_to_train(settings)
    counts = prepare(settings, dataset).counts
    assert counts.mean() == pytest.approx(1)
    assert counts.max() / counts.min() == pytest.approx(
        dataset.marks.counts[prepare(settings, dataset).indices].max()
        / dataset.marks.counts[prepare(settings, dataset).indices].min()
    )
    run(settings, tmp_path / "run", dataset)
    interrupt(tmp_path / "half", dataset, monkeypatch, step=2, settings=settings)
    run(settings, tmp_path / "half", dataset, resume=True)
    assert_same_result(tmp_path / "half", tmp_path / "run")
    alike = replace(dataset, marks=replace(dataset.marks, counts=None))
    run(settings, tmp_path / "alike", alike)
    one, other = (
        read_json(tmp_path / name / "whence.json")["sha256"]["model.safetensors"]
        for name in ("run", "alike")
    )
    assert one != other


def test_other_weights_or_groups_do_not_go_on(settings, tmp_path, monkeypatch):
    dataset = load_to_train(settings)
    interrupt(tmp_path / "half", dataset, monkeypatch, step=1, settings=settings)
    other = replace(dataset, marks=replace(dataset.marks, counts=dataset.marks.counts + 1))
    with pytest.raises(FileExistsError, match="was started with other marks"):
        run(settings, tmp_path / "half", other, resume=True)
    run(settings, tmp_path / "half", dataset, resume=True)
    with pytest.raises(
        FileExistsError, match="made with other groups, weights or validation images"
    ):
        run(settings, tmp_path / "half", other, resume=True)


def test_a_table_that_is_gone_is_said(settings, labels, tmp_path):
    run(settings, tmp_path / "run", load_to_train(settings))
    labels.rename(tmp_path / "moved.csv")
    with pytest.raises(FileNotFoundError, match=r"No table of labels .*labels\.csv"):
        whence.load_parts(tmp_path / "run")
    assert len(whence.load_parts(tmp_path / "run", root=tmp_path / "photos").test) == 6


def test_one_group_that_is_left_is_said(settings, labels):
    text = labels.read_text()
    for number in range(12):
        text = text.replace(f",m{number},", f",m{number % 2},")
    labels.write_text(text)
    dataset = load_to_train(settings)
    assert any(note.startswith("One group alone is left to learn from") for note in dataset.notes)
    assert len(prepare(settings, dataset).validation) == 4


def test_given_validation_images_are_those_of_the_run(settings, labels):
    lines = labels.read_text().splitlines()
    splits = ["split", *(["validation"] * 3 + ["train"] * 7 + ["test"] * 2) * 2]
    labels.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, splits, strict=True)))
    asked = replace(settings, validation_examples=None, group_column=None)
    dataset = load_to_train(asked)
    assert "The data name 6 validation images." in dataset.notes
    assert [module_of(one) for one in prepare(asked, dataset).validation.sources] == [
        *("0.png", "1.png", "2.png") * 2
    ]
    assert (len(dataset.test), len(prepare(asked, dataset).train)) == (4, 14)


def test_marks_of_some_images():
    marks = Marks(torch.tensor([5, 6, 7]), torch.tensor([2]), torch.tensor([1.0, 0.0, 3.0]))
    kept = take_marks(marks, [2, 0])
    assert (kept.groups.tolist(), kept.validation.tolist(), kept.counts.tolist()) == (
        [7, 5],
        [0],
        [3.0, 1.0],
    )
    assert take_counts(marks, torch.tensor([0, 2])).tolist() == [0.5, 1.5]
    assert take_counts(Marks(), torch.tensor([0])) is None
    with pytest.raises(ValueError, match="weights must be above 0 for some image to learn from"):
        take_counts(marks, torch.tensor([1]))
    assert hash_marks(Marks()) is None
    several = [marks, kept, Marks(groups=marks.groups), Marks(validation=marks.groups)]
    assert len({hash_marks(one) for one in several}) == 4
