"""The section on groups of a run's page."""

from dataclasses import replace

from tests.helpers.html_pages import ParsedPage, check_accessible, check_alone
from tests.helpers.overviews import hard_answers, overview
from tests.helpers.pages import ORIGIN
from whence.records.by_group import ByGroup, GroupMeasures
from whence.records.memory_use import Used
from whence.report.group_blocks import say_groups, show_groups, tabulate_groups
from whence.report.overview_page import render_overview

OUT = GroupMeasures("roof", 60, 45, (30, 30, 0), (25, 20, 0), 0.75, 0.125, 0.5, 12)
IN = GroupMeasures("field", 40, 39, (20, 20, 0), (20, 19, 0), 0.5, 0.0625, 0.25, 0)
FOUND = ByGroup("a.csv, column group", (OUT, IN), "roof", (Used(5, 2.0, 2.0, 3),), ((5, "field"),))


def test_a_page_shows_groups_and_what_errors_of_the_worst_rest_on():
    page = check_alone(render_overview(overview(groups=FOUND), hard_answers(), ORIGIN))
    check_accessible(page)
    assert "#groups" in [link["href"] for link in page.all("a")]
    place = 0
    for part in (
        "How good it is for each group",
        "The least accurate group is roof: 75.0% (45 of 60) of its images are answered right, of "
        "all others 97.5% (39 of 40). The groups are from a.csv, column group.",
        "Reliance is how much",
        "doubt is the mean",
        "own evidence is the weight",
        "roof 60 images, 12 stored",
        "83.3%",
        "75.0%",
        "12.5%",
        "field 40 images, 0 stored",
        "What the errors in roof rest on",
        "in the 15 wrong answers of this group",
        "total weight 2.0 in wrong answers",
        "group field",
        "How far to trust it",
    ):
        found = page.words.find(part, place)
        assert found >= 0, part
        place = found


def test_without_groups_there_is_no_section():
    page = ParsedPage(render_overview(overview(), hard_answers(), ORIGIN))
    assert "each group" not in page.words.lower()


def test_what_is_not_known_has_no_column_and_no_word():
    bare = [replace(one, reliance=None, doubt=None, own_weight=None) for one in (OUT, IN)]
    found = ByGroup("x", tuple(bare), "roof")
    assert len(say_groups(found)) == 1
    table = tabulate_groups(overview(), found)
    assert table.header == ("right", "recall of cat", "recall of dog", "recall of fox")
    assert [cell.text for cell in table.rows[1].cells][1:] == [
        "100%",
        "95.0%",
        "\N{EN DASH}",
    ]
    assert len(show_groups(overview(), found)) == 1


def test_many_groups_and_classes_are_cut_short():
    many = tuple(replace(IN, name=f"g{i}") for i in range(25))
    found = ByGroup("x", (OUT, *many), "roof")
    classes = tuple("abcde")
    given = overview(class_names=classes, confusion=overview().confusion.new_zeros(5, 5))
    table = tabulate_groups(given, found)
    assert len(table.rows) == 20
    assert table.header[:2] == ("right", "balanced accuracy")
    assert table.rows[0].cells[1].text == "75.0%"
    assert say_groups(found)[-1] == "The 20 least accurate of 26 groups."
