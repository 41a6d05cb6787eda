"""The table of heads on frozen features: means, and differences paired by seed."""

import pytest

from benchmarks.frozen_heads import compare, print_table, read_cells


def cell(head, seed, accuracy, validation=0.5, **more):
    named = {"images": "x", "train_examples": 9, "seed": seed, "head": head}
    return named | {"accuracy": accuracy, "validation": validation} | more


CELLS = [
    cell("linear", 0, 0.5, 0.9),
    cell("mlp", 0, 0.7, 0.8),  # better, but not by its validation images
    cell("votes", 0, 0.6, changed=1.0),
    cell("linear", 1, 0.5, 0.6),
    cell("mlp", 1, 0.6, 0.7),
    cell("votes", 1, 0.63, changed=1.0),
    cell("neighbours", 1, 0.9, 0.9),  # no rival
    cell("votes", 2, 0.1),  # without one
]


def test_the_rival_is_chosen_on_validation_images_and_paired_by_seed():
    seeds, mean, interval = compare(CELLS)
    assert (seeds, mean) == ("2", "+6.50")  # of 10 and 3
    low, high = (float(end) for end in interval.split(" to "))
    half = 12.7062 * (2 * 3.5**2) ** 0.5 / 2**0.5  # t of 97.5 % with one degree of freedom
    assert (low, high) == pytest.approx((6.5 - half, 6.5 + half), abs=0.01)
    assert compare(CELLS[:3]) == ["1", "", ""]


def test_the_table_averages_what_is_there(capsys):
    print_table(CELLS)
    lines = capsys.readouterr().out.splitlines()
    assert "| x | 9 | votes | 3 | 44.33 |  |  | 100.00 |  |  |  |  |" in lines
    assert "| x | 9 | linear | 2 | 50.00 |  |  |  |  |  |  |  |" in lines


def test_no_file_holds_no_cells(tmp_path):
    assert read_cells(tmp_path / "none.jsonl") == []
