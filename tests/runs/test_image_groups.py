"""Groups of images from tables and folders."""

import pytest

from whence.records.by_group import Groups
from whence.runs.image_groups import find_own_table, read_all_groups, read_groups
from whence.runs.settings import Settings


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,kind,weight\nb/a.png,x,1\n./b/b.png,y,2\nb\\c.png,x,1\n")
    return str(path)


def test_groups_are_found_by_file_in_every_spelling(table):
    columns = {"group": "kind"}
    sources = ["b/c.png", "b/b.png", "b/a.png"]
    assert read_groups(table, sources, columns) == ["x", "y", "x"]
    found = read_all_groups(table, sources[:2], ["b/a.png", "other.png"], columns, ["cat"])
    assert found == Groups("labels.csv, column kind", ("x", "y"), ("x", None))


@pytest.mark.parametrize(
    "sources, columns, message",
    [
        (["b/a.png", "n.png"], {"group": "kind"}, "every measured image, 1 are missing .*n.png"),
        (["b/a.png"], {}, "must have a column group, it has none; name another one"),
        (["b/a.png"], {"group": "size"}, "must have a column 'size'"),
        (None, {"group": "kind"}, "the measured images of this run come from none"),
    ],
)
def test_what_is_missing_is_said(table, sources, columns, message):
    with pytest.raises(ValueError, match=message):
        read_all_groups(table, sources, None, columns, ["cat"])


def test_folders_are_groups_where_they_are_no_classes():
    measured = ("test/cat/garden/1.png", "zoo/cat/2.png", "train/cat/1.png")
    found = read_all_groups("folder", measured, ("zoo/dog/3.png",), {}, ["cat", "dog"])
    assert found == Groups("folders of the files", ("garden", "zoo", "(none)"), ("zoo",))
    with pytest.raises(ValueError, match="Groups are of files"):
        read_all_groups("folder", None, None, {}, ["cat"])


def test_the_own_table_of_a_run_is_taken_where_it_has_groups(table, tmp_path):
    plain, named = Settings(data=table), Settings(data=table, group_column="kind")
    assert find_own_table(plain, None, plain.columns) is None
    assert find_own_table(named, None, named.columns) == table
    assert find_own_table(Settings(data="digits"), None, {}) is None
    assert find_own_table(Settings(data="digits"), table, {"group": "kind"}) == table
    assert find_own_table(Settings(data=str(tmp_path / "gone.csv")), None, {}) is None
