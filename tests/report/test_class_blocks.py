"""The blocks of a run's classes."""

import pytest
import torch

from tests.helpers.overviews import overview
from tests.helpers.pages import CLASSES
from whence.report.class_blocks import (
    LARGEST,
    list_pairs,
    mix_with_white,
    say_balance,
    shade_confusion,
    show_confusion,
    show_recall,
)

BLUE, AMBER = (31, 95, 153), (176, 98, 16)


def test_cells_are_shaded_by_their_share():
    confusion = torch.tensor([[6, 2, 0], [1, 9, 0], [0, 0, 0]])
    table = shade_confusion(confusion, CLASSES)
    rows = table.rows
    assert [row.name for row in rows] == list(table.header) == list(CLASSES)
    assert [[int(cell.text) for cell in row.cells] for row in rows] == confusion.tolist()
    assert rows[0].cells[0].colour == mix_with_white(BLUE, 0.75)
    assert rows[1].cells[1].colour == mix_with_white(BLUE, 0.9)
    assert rows[0].cells[1].colour == mix_with_white(AMBER, 1.0)  # the largest share of errors
    assert rows[1].cells[0].colour == mix_with_white(AMBER, 0.4)
    assert rows[2].cells[2].colour == rows[0].cells[2].colour == "#ffffff"
    assert rows[0].cells[1].title == "2 of 8 images of cat answered dog"
    assert [cell.faint for cell in rows[0].cells] == [False, False, True]
    perfect = shade_confusion(torch.eye(2, dtype=torch.int64), ("a", "b"))
    assert perfect.rows[0].cells[1].colour == "#ffffff"


def test_figures_stay_readable_on_the_darkest_cell():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    ink = luminance("#1d2733")
    for colour in (BLUE, AMBER):
        assert (luminance(mix_with_white(colour, 1.0)) + 0.05) / (ink + 0.05) > 4.5


def pairs_of(confusion, pairs):
    return [
        (row.name, row.cells[0].text)
        for table in list_pairs(confusion, CLASSES, pairs=pairs)
        for row in table.rows
    ]


def test_pairs_are_listed_most_images_first():
    confusion = torch.tensor([[6, 2, 1], [2, 0, 0], [1000, 0, 9]])
    assert pairs_of(confusion, 3) == [
        ("fox taken for cat", "1,000 of 1,009 images (99.1%)"),
        ("cat taken for dog", "2 of 9 images (22.2%)"),
        ("dog taken for cat", "2 of 2 images (100%)"),
    ]
    assert len(pairs_of(confusion, 99)) == 4
    assert list_pairs(torch.eye(3).long(), CLASSES, pairs=3) == ()


@pytest.mark.parametrize("classes", [LARGEST, LARGEST + 1])
def test_many_classes_become_lists(classes):
    names = (*CLASSES, *(f"class{number}" for number in range(classes - 3)))
    confusion = torch.full((classes, classes), 1).fill_diagonal_(50)
    confusion[7, 2] = 30
    found = overview(class_names=names, confusion=confusion)
    small = classes <= LARGEST
    block = show_confusion(found)
    assert [table.layout for table in block.shown] == (["matrix"] if small else []) + ["grid"]
    pairs = block.shown[-1].rows
    assert len(pairs) == (5 if small else 20)
    assert pairs[0].name == f"{names[7]} taken for fox"
    block = show_recall(found)
    assert (len(block.sentences) == 2) is not small
    worst = block.shown[0].bars[0 if not small else 7]
    assert worst.name == names[7]
    assert len(block.shown[0].bars) == 20


def test_every_class_has_recall_and_precision_with_their_counts():
    block = show_recall(overview())
    bars, table = block.shown
    assert [(bar.name, bar.share, bar.text) for bar in bars.bars] == [
        ("cat", 0.9, "90.0% (45 of 50)"),
        ("dog", 0.78, "78.0% (39 of 50)"),
        ("fox", 0.0, "none (0 of 0)"),
    ]
    assert table.header == ("recall", "precision")
    assert [cell.text for cell in table.rows[1].cells] == ["78.0% (39 of 50)", "88.6% (39 of 44)"]


def test_the_opening_has_balanced_accuracy_and_the_worst_class():
    confusion = torch.tensor([[90, 0, 0], [9, 1, 0], [0, 0, 0]])
    assert say_balance(overview(confusion=confusion)) == (
        "With every class counting alike, however rare, 55.0% are right (balanced accuracy over 2 "
        "classes). The class found least often is dog: recall 10.0% (1 of 10), precision 100% "
        "(1 of 1).",
    )
    assert say_balance(overview(confusion=torch.diag(torch.tensor([9, 0, 0])))) == ()
    never = torch.tensor([[0, 4, 0], [0, 4, 0], [0, 3, 0]])
    assert "One of the 2 classes found least often is " in say_balance(overview(confusion=never))[0]
