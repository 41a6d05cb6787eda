"""Tables of labels: what is read from text and from frames, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from whence.data import label_table
from whence.data.label_table import is_table, read_label_table

ROWS = "path,label,group,split,weight\na.png,cat,m1,train,1\nb.png,dog,m2,test,0.5\n"


@pytest.fixture
def write(tmp_path):
    def make(text, name="labels.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return make


def test_all_columns_are_read(write):
    found = read_label_table(write(ROWS))
    assert found.paths == ["a.png", "b.png"]
    assert found.labels == ["cat", "dog"]
    assert found.groups == ["m1", "m2"]
    assert found.splits == ["train", "test"]
    assert found.weights == [1.0, 0.5]
    assert found.lines == [2, 3]
    assert found.unused == ()


@pytest.mark.parametrize("separator", ["\t", ";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings(write, separator, encoding):
    found = read_label_table(write(ROWS.replace(",", separator), encoding=encoding))
    assert (found.paths, found.labels) == (["a.png", "b.png"], ["cat", "dog"])


@pytest.mark.parametrize(
    ("first", "separator"), [("sep=;", ";"), ("SEP=,", ","), ("sep=\t", "\t"), ('"sep=;"', ";")]
)
def test_a_line_that_names_the_separator_names_no_columns(write, first, separator):
    text = ROWS.replace(",", separator).replace("\n", "\r\n")
    found = read_label_table(write(f"{first}\r\n{text}", encoding="utf-8-sig"))
    assert (found.paths, found.labels) == (["a.png", "b.png"], ["cat", "dog"])
    assert found.lines == [3, 4]


def test_columns_have_other_names_and_an_order_of_their_own(write):
    text = 'kind, file ,note\ncat,"x, y.png",\n\ndog,b.png,7\n'
    found = read_label_table(write(text), {"path": "file", "label": "kind"})
    assert found.paths == ["x, y.png", "b.png"]
    assert found.labels == ["cat", "dog"]
    assert found.groups is found.splits is found.weights is None
    assert found.lines == [2, 4]  # the empty one counts as an editor counts it
    assert found.unused == ("note",)


def test_equal_labels_are_held_once(write):
    found = read_label_table(write("path,label\n" + "".join(f"{k}.png,cat\n" for k in range(9))))
    assert len(set(map(id, found.labels))) == 1


def test_frames():
    frame = pd.DataFrame({"path": ["a.png", "b.png"], "label": [1, 0], "weight": [2, 1.5]})
    found = read_label_table(frame)
    assert (found.labels, found.weights, found.lines) == (["1", "0"], [2.0, 1.5], [0, 1])
    frame["label"] = ["cat", None]
    with pytest.raises(
        ValueError, match=r"have a label in every row, 1 of 2 rows has none \(first: row 1\)"
    ):
        read_label_table(frame)
    frame["label"] = [np.nan, pd.NA]
    with pytest.raises(ValueError, match="2 of 2 rows have none"):
        read_label_table(frame)


@pytest.mark.parametrize(
    "text, columns, message",
    [
        (
            "file,label\na,b\n",
            {},
            r"column 'path' \(it has file, label\); name the column of the path with --path-column",
        ),
        ("path,kind\na,b\n", {}, "column 'label' .* with --label-column"),
        ("path,label\na,b\n", {"group": "module"}, "column 'module' .*group with --group-column"),
        ("path,label,label\na,b,c\n", {}, "have one column 'label', it has 2"),
        (
            "path,label\na,b\n",
            {"label": "path"},
            "one for each of path and label, got 'path' for both",
        ),
        ("path,label\na,b\n", {"labels": "x"}, "got one of 'labels'"),
        ("", {}, "it is empty"),
        ("path,label\n", {}, "must have a row for every image, it has none"),
        ("path,label\na.png\n", {}, "2 columns in every row, row 2 has 1"),
        (
            "path,label\na.png,cat\nb.png, \n",
            {},
            r"a label in every row, 1 of 2 rows has none \(first: row 3\)",
        ),
        ("path,label\n,cat\n", {}, "a path in every row"),
        ("path,label,weight\na,b,heavy\n", {}, "as weights, row 2 has 'heavy'"),
        ("path,label,weight\na,b,-1\n", {}, "as weights, row 2 has '-1'"),
        ("path,label,weight\na,b,nan\n", {}, "as weights, row 2 has 'nan'"),
        ("path,label\n" + "x" * 200_000 + ",b\n", {}, r"damaged \(field larger"),
    ],
)
def test_bad_tables_are_one_sentence(write, text, columns, message):
    with pytest.raises(ValueError, match=message):
        read_label_table(write(text), columns)


def test_what_is_no_text_and_what_is_not_there(write, tmp_path):
    with pytest.raises(ValueError, match="must be text in UTF-8"):
        read_label_table(write("path,label\né.png,cat\n", encoding="latin-1"))
    with pytest.raises(FileNotFoundError, match=r"No table of labels .*gone\.csv"):
        read_label_table(tmp_path / "gone.csv")


def test_more_rows_than_can_be_held_are_refused_while_they_are_read(write, monkeypatch):
    monkeypatch.setattr(label_table, "MOST_ROWS", 2)
    assert len(read_label_table(write(ROWS)).paths) == 2
    with pytest.raises(ValueError, match="at most 2 rows, it has more"):
        read_label_table(write(ROWS + "c.png,cat,m1,train,1\n"))


def test_a_table_without_labels_where_none_are_needed(write):
    found = read_label_table(write("path\na.png\n"), unlabelled=True)
    assert found.labels is None
    with pytest.raises(ValueError, match="column 'label'"):
        read_label_table(write("path\na.png\n"), {"label": "label"}, unlabelled=True)


def test_what_is_a_table(tmp_path):
    assert is_table("x.tsv")
    assert not is_table("x.txt")
    (tmp_path / "folder.csv").mkdir()
    assert not is_table(tmp_path / "folder.csv")
    assert not is_table(7)
