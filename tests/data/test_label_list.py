"""Images that a table names: found, labelled, divided, or refused in a sentence."""

import pandas as pd
import pytest
import torch
from torch.testing import assert_close

from tests.helpers.image_folders import write_images
from whence.data.fingerprint import fingerprint
from whence.data.label_list import find_list_root, label_list
from whence.data.load import load_dataset


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", {"cat": 10, "dog": 10})
    return tmp_path


def table(folder, rows, heads="path,label", name="labels.csv"):
    text = "\n".join([heads, *rows]) + "\n"
    (folder / name).write_text(text)
    return folder / name


def all_rows(*, end=lambda kind, k: ""):
    return [
        f"photos/{kind}/{k}.png,{kind}{end(kind, k)}" for kind in ("dog", "cat") for k in range(10)
    ]


def test_the_same_images_as_those_of_the_folder(photos):
    found = label_list(table(photos, all_rows()))
    folder = load_dataset(photos / "photos")
    assert found.name == "labels"
    assert found.train.class_names == ("cat", "dog")
    assert sorted(found.test.sources + found.train.sources) == sorted(
        f"photos/{one}" for one in folder.test.sources + folder.train.sources
    )
    both = {one.removeprefix("photos/") for one in found.train.sources} & {*folder.train.sources}
    name = max(both)
    place = found.train.sources.index(f"photos/{name}")
    other = folder.train.sources.index(name)
    assert_close(found.train.images[place], folder.train.images[other])
    assert found.train.labels[place] == name.startswith("dog")
    assert len(found.test) == 4
    assert found.test.labels.bincount().tolist() == [2, 2]
    assert found.notes == ("4 of 20 images were drawn for the test, with seed 0.",)
    assert fingerprint(found.train) == fingerprint(load_dataset(str(photos / "labels.csv")).train)


def test_splits_are_taken_as_given(photos):
    splits = {0: "Test", 1: "val", 2: " validation"}
    rows = all_rows(end=lambda kind, k: f",{splits.get(k, 'train')}")
    found = label_list(table(photos, rows, "path,label,split"))
    assert sorted(found.test.sources) == ["photos/cat/0.png", "photos/dog/0.png"]
    validated = [found.train.sources[place] for place in found.marks.validation]
    assert sorted(validated) == [f"photos/{k}/{n}.png" for k in ("cat", "dog") for n in (1, 2)]
    assert found.notes == ()


def test_test_images_are_drawn_where_no_split_says_them(photos):
    rows = all_rows(end=lambda kind, k: ",val" if k < 5 else ",train")
    found = label_list(table(photos, rows, "path,label,split"))
    assert len(found.marks.validation) == 10
    assert all(int(one.split("/")[2][0]) >= 5 for one in found.test.sources)


def test_groups_are_whole(photos):
    rows = all_rows(end=lambda kind, k: f",m{k}")
    found = label_list(table(photos, rows, "path,label,group"))
    number = lambda source: source.split("/")[2]
    assert not set(map(number, found.test.sources)) & set(map(number, found.train.sources))
    assert found.notes == ("4 of 20 images were drawn for the test, with seed 0: 2 of 10 groups.",)
    assert len(found.marks.groups) == 16
    by_group = dict(zip(map(number, found.train.sources), found.marks.groups.tolist(), strict=True))
    assert len(set(by_group.values())) == 8


def test_groups_that_splits_divide_are_said(photos):
    rows = all_rows(end=lambda kind, k: f",{'test' if k == 0 else 'train'},m{k % 2}")
    found = label_list(table(photos, rows, "path,label,split,group"))
    assert any("1 group is in both training and test (first: m0)" in one for one in found.notes)


def test_weights_belong_to_training_images(photos):
    rows = all_rows(end=lambda kind, k: f",{k}.5")
    found = label_list(table(photos, rows, "path,label,weight"))
    expected = [
        float(source.split("/")[2].removesuffix(".png")) + 0.5 for source in found.train.sources
    ]
    assert found.marks.counts.tolist() == expected


def test_a_whole_table_draws_no_test_images(photos):
    found = label_list(table(photos, all_rows()), whole=True)
    assert (len(found.train), len(found.test)) == (20, 0)


def test_a_frame_with_other_names(photos, monkeypatch):
    monkeypatch.chdir(photos)
    frame = pd.DataFrame(
        {
            "file": [f"photos/{k}/{n}.png" for k in ("cat", "dog") for n in range(5)],
            "y": ["c"] * 5 + ["d"] * 5,
        }
    )
    found = load_dataset(frame, columns={"path": "file", "label": "y"})
    assert (found.name, found.train.class_names) == ("frame", ("c", "d"))
    assert len(found.train) + len(found.test) == 10


def test_files_outside_the_tables_folder(photos):
    (photos / "lists").mkdir()
    rows = [f"../{row}" for row in all_rows()]
    rows[0] = f"{photos}/photos/dog/0.png,dog"
    rows[1] = "..\\photos\\dog\\1.png,dog"
    made = table(photos / "lists", rows)
    found = label_list(made)
    assert {source.split("/")[0] for source in found.train.sources} == {"cat", "dog"}
    assert find_list_root(made, {}) == photos / "photos"
    for image in (photos / "photos" / "dog").iterdir():
        image.rename(image.with_suffix(".gone"))
    assert find_list_root(made, {}) == photos / "photos"


def test_labels_that_are_alike_stay_apart_and_are_said(photos):
    rows = [*all_rows(), "photos/x.png,Cat", "photos/y.png,c at"]
    write_images(photos, {"photos": 2})
    rows[-2:] = ["photos/0.png,Cat ", "photos/1.png,Cat "]
    found = label_list(table(photos, rows))
    assert found.train.class_names == ("Cat ", "cat", "dog")
    assert (
        "The labels 'Cat ' (2 images) and 'cat' (10 images) differ by case or spaces alone and stay 2 "
        "classes; write them alike if they are one."
    ) in found.notes


def test_unused_columns_are_said(photos):
    found = label_list(table(photos, all_rows(end=lambda kind, k: ",1,2"), "path,label,a,b"))
    assert found.notes[0] == "Of labels.csv, a, b are not used."


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            lambda rows: [*rows, "no.png,cat", "a.png,cat", "b.png,dog", "c.png,dog"],
            FileNotFoundError,
            r"^4 of the 24 files in .*labels\.csv are not there \(no\.png, a\.png, b\.png and 1 more\); paths begin at /",
        ),
        (
            lambda rows: [*rows, "no.png,cat"],
            FileNotFoundError,
            r"^1 of the 21 files .* is not there \(no\.png\)",
        ),
        (
            lambda rows: [*rows, rows[0], rows[1]],
            ValueError,
            r"every file once, 2 rows name one again \(first: photos/dog/0.png in rows 2 and 22\)",
        ),
        (
            lambda rows: [*rows, rows[0], "photos/./dog/1.png,cat"],
            ValueError,
            r"in rows 3 and 23 as 'dog' and as 'cat'\); keep one",
        ),
        (lambda rows: rows[:10], ValueError, "2 to 100000 different names, got 1"),
        (lambda rows: rows[:11], ValueError, "Class 'cat' in .*csv must have at least 2 images"),
        (
            lambda rows: [*rows[:-1], "photos/cat/9.png,a\x07b"],
            ValueError,
            r"labels of .*csv must be named by printable",
        ),
    ],
)
def test_bad_rows_are_one_sentence(photos, change, error, message):
    with pytest.raises(error, match=message):
        label_list(table(photos, change(all_rows())))


def test_bad_splits_groups_and_weights(photos):
    with pytest.raises(ValueError, match="as split, row 2 has 'later'"):
        label_list(table(photos, all_rows(end=lambda *_: ",later"), "path,label,split"))
    with pytest.raises(ValueError, match="rows with the split train, it has none"):
        label_list(table(photos, all_rows(end=lambda *_: ",test"), "path,label,split"))
    with pytest.raises(ValueError, match="all 20 images are of one; leave the groups out"):
        label_list(table(photos, all_rows(end=lambda *_: ",m"), "path,label,group"))
    with pytest.raises(ValueError, match="some training image a weight above 0"):
        label_list(table(photos, all_rows(end=lambda *_: ",0"), "path,label,weight"))
    with pytest.raises(ValueError, match="columns are for a table of labels"):
        load_dataset(photos / "photos", columns={"path": "x"})


def test_a_folder_of_validation_images_is_used(tmp_path):
    for part, count in (("train", 4), ("val", 2), ("test", 1)):
        write_images(tmp_path / part, {"cat": count, "dog": count}, seed=count)
    found = load_dataset(tmp_path)
    assert [found.train.sources[place] for place in found.marks.validation] == [
        *("val/cat/0.png", "val/cat/1.png", "val/dog/0.png", "val/dog/1.png")
    ]
    assert (len(found.train), len(found.test), found.notes) == (12, 2, ())
    assert found.train.labels[found.marks.validation].tolist() == [0, 0, 1, 1]
    (tmp_path / "validation" / "cat").mkdir(parents=True)
    with pytest.raises(
        ValueError, match="one folder of validation images, it holds val and validation"
    ):
        load_dataset(tmp_path)


def test_validation_images_beside_train_alone(tmp_path):
    write_images(tmp_path / "train", {"cat": 5, "dog": 5})
    write_images(tmp_path / "validation", {"cat": 1, "dog": 1}, seed=3)
    found = load_dataset(tmp_path)
    assert (len(found.marks.validation), len(found.test)) == (2, 2)
    assert torch.isin(found.marks.validation, torch.arange(len(found.train))).all()
    whole = load_dataset(tmp_path, whole=True)
    assert (len(whole.train), len(whole.test)) == (12, 0)
    write_images(tmp_path / "validation", {"cow": 1})
    with pytest.raises(
        ValueError, match=r"validation must have the class folders of .*train, it adds cow"
    ):
        load_dataset(tmp_path)
