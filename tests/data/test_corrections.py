"""Corrections that a person wrote into a table of suspicious labels."""

import pytest
import torch

from whence.data.corrections import correct_dataset, read_corrections
from whence.records.images import Dataset, ImageSet, Marks
from whence.runs.before import describe_corrections
from whence.runs.divide import divide
from whence.runs.folds import take_fold
from whence.runs.marks import hash_marks
from whence.runs.settings import Settings

HEADS = "file,index,label,suggested_label,score,corrected_label,nearest\n"
CLASSES = ("cat", "dog")


@pytest.fixture
def dataset():
    images = torch.arange(30, dtype=torch.uint8)[:, None, None, None].expand(30, 1, 4, 4).clone()
    labels = torch.arange(30) % 2
    sources = tuple(f"{k}.png" for k in range(30))
    whole = ImageSet(images, labels, CLASSES, sources)
    return Dataset("pets", whole.take(range(24)), whole.take(range(24, 30)), ("look",))


@pytest.fixture
def write(tmp_path):
    def make(*rows, heads=HEADS):
        (tmp_path / "s.csv").write_text(heads + "\n".join(rows))
        return tmp_path / "s.csv"

    return make


def read(path):
    return read_corrections(path, CLASSES)


def test_what_a_person_filled_in_is_read(write):
    found = read(
        write(
            "0.png,0,cat,dog,0.9,dog,x",
            "1.png,1,dog,cat,0.8,,x",
            "2.png,2,cat,dog,0.7, Remove ,x",
            "",
            "3.png,3,dog,cat,0.6,dog,",
        )
    )
    assert [(one.name, one.corrected, one.row) for one in found] == [
        ("0.png", "dog", 2),
        ("2.png", None, 4),
        ("3.png", "dog", 6),
    ]
    [one] = read(write("4;cat;dog;", heads="index;label;corrected_label;file\n"))
    assert (one.name, one.label, one.corrected) == ("image 4", "cat", "dog")


@pytest.mark.parametrize(
    "rows, heads, message",
    [
        (["0.png,dog"], "file,corrected_label\n", "it lacks index"),
        (
            ["0.png,0,cat,dog,0.9,fish,"],
            HEADS,
            r"a class as corrected_label \(cat, dog\), or remove, row 2 has 'fish'",
        ),
        ([",,cat,dog,0.9,dog,"], HEADS, "name a file or an index in every row, row 2 has none"),
        (
            ["0.png,0,cat,dog,0.9,dog,"] * 2,
            HEADS,
            "correct every image once, 0.png is in rows 2 and 3",
        ),
    ],
)
def test_bad_tables(write, rows, heads, message):
    with pytest.raises(ValueError, match=message):
        read(write(*rows, heads=heads))


def test_labels_change_and_no_image_moves_to_another_part(dataset, write):
    settings = Settings(data="x", validation_examples=6)
    before = divide(dataset, settings)
    trained, kept = before.train[:3].tolist(), int(before.validation[0])
    names = [dataset.train.class_names[int(dataset.train.labels[k])] for k in (*trained, kept)]
    other = [{"cat": "dog", "dog": "cat"}[name] for name in names]
    table = write(
        f"{trained[0]}.png,0,{names[0]},x,1,{other[0]},",
        f"{trained[1]}.png,0,{names[1]},x,1,remove,",
        f"{trained[2]}.png,0,{names[2]},x,1,{names[2]},",
        f"{kept}.png,0,{names[3]},x,1,remove,",
        "25.png,0,dog,x,1,cat,",
        "26.png,0,cat,x,1,remove,",
    )
    found = correct_dataset(dataset, read(table), str(table))
    after = divide(found, settings)
    assert after.train.tolist() == [k for k in before.train.tolist() if k != trained[1]]
    assert after.validation.tolist() == [k for k in before.validation.tolist() if k != kept]
    changed = (found.train.labels != dataset.train.labels).nonzero().flatten().tolist()
    assert changed == [trained[0]]
    assert len(found.test) == 5
    assert found.test.labels[1] == 0
    assert found.notes == (
        "look",
        "s.csv corrects 2 labels, takes 3 images out and confirms 1, of them 2 test images.",
    )
    assert hash_marks(found.marks) != hash_marks(dataset.marks)
    said = describe_corrections(Settings(data="x", corrections=str(table)), CLASSES)
    counts = [said[name] for name in ("table", "relabelled", "removed", "confirmed")]
    assert counts == ["s.csv", 2, 3, 1]
    first = {"image": f"{trained[0]}.png", "label": names[0], "corrected": other[0]}
    tested = {"image": "26.png", "label": "cat", "corrected": None}
    assert first in said["changed"]
    assert tested in said["changed"]
    assert len(said["changed"]) == 5
    assert describe_corrections(settings, CLASSES) is None


def test_a_test_image_is_left_to_measure_on(dataset, write):
    rows = [f"{k}.png,{k},{CLASSES[k % 2]},x,1,remove," for k in range(24, 30)]
    assert len(correct_dataset(dataset, read(write(*rows[1:])), "s.csv").test) == 1
    with pytest.raises(ValueError, match=r"^s.csv must leave a test image to measure on, it rem"):
        correct_dataset(dataset, read(write(*rows)), "s.csv")


def test_folds_stay_what_they_were(dataset, write):
    table = write("0.png,0,cat,x,1,dog,", "1.png,1,dog,x,1,remove,")
    found = correct_dataset(dataset, read(table), "s.csv")
    for fold in ("1/3", "2/3", "3/3"):
        before, after = (take_fold(one, fold, 0)[0] for one in (dataset, found))
        assert after.test.sources == tuple(name for name in before.test.sources if name != "1.png")
        assert after.train.sources == before.train.sources
        removed = after.marks.removed
        assert bool(removed.any()) == ("1.png" in after.train.sources)


def test_images_without_files_are_known_by_their_index(dataset, write):
    plain = Dataset(
        "x", ImageSet(dataset.train.images, dataset.train.labels, CLASSES), dataset.test.take([])
    )
    found = correct_dataset(plain, read(write(",3,dog,cat,1,cat,")), "s.csv")
    assert found.train.labels[3] == 0
    with pytest.raises(ValueError, match=r"1 of 1 are not there \(first: image 24\)"):
        correct_dataset(plain, read(write(",24,dog,cat,1,cat,")), "s.csv")


def test_corrections_of_other_images_or_labels_are_refused(dataset, write):
    with pytest.raises(ValueError, match=r"images of pets, 1 of 2 are not there \(first: no.png\)"):
        correct_dataset(
            dataset, read(write("0.png,0,cat,x,1,dog,", "no.png,1,cat,x,1,dog,")), "s.csv"
        )
    with pytest.raises(
        ValueError, match=r"that 0.png has the label 'dog', it has 'cat'.*\(row 2\)"
    ):
        correct_dataset(dataset, read(write("0.png,0,dog,x,1,remove,")), "s.csv")
    again = correct_dataset(dataset, read(write("0.png,0,cat,x,1,dog,")), "s.csv")
    twice = correct_dataset(again, read(write("0.png,0,cat,x,1,dog,")), "s.csv")
    assert twice.train.labels.equal(again.train.labels)
    assert twice.marks.first_labels.equal(dataset.train.labels)


def test_marks_follow_their_images():
    marks = Marks(first_labels=torch.tensor([0, 1]), removed=torch.tensor([True, False]))
    assert hash_marks(marks) != hash_marks(Marks(first_labels=marks.first_labels))
