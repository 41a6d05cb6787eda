"""The table of heads on frozen features: means, and differences paired by seed."""

import pytest

from benchmarks.frozen_heads import compare, print_table
from benchmarks.kept_cells import read_cells


def cell(head, seed, accuracy, validation=0.5, depths="output", **more):
    named = {"images": "x", "train_examples": 9, "depths": depths, "seed": seed, "head": head}
    known = {"accuracy": accuracy, "balanced": accuracy / 2, "validation": validation}
    return named | known | more


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
    assert compare(CELLS, "balanced")[1] == "+3.25"
    seeds, mean, interval = compare(CELLS, "accuracy")
    assert (seeds, mean) == ("2", "+6.50")  # of 10 and 3
    low, high = (float(end) for end in interval.split(" to "))
    half = 12.7062 * (2 * 3.5**2) ** 0.5 / 2**0.5  # t of 97.5 % with one degree of freedom
    assert (low, high) == pytest.approx((6.5 - half, 6.5 + half), abs=0.01)
    assert compare(CELLS[:3], "accuracy") == ["1", "", ""]


def test_the_table_averages_what_is_there(capsys):
    print_table(CELLS)
    lines = capsys.readouterr().out.splitlines()
    assert (
        "| x | 9 | output | votes | 3 | 44.33 | 22.17 |  | 100.00 |  |  |  |  |  |  |  |" in lines
    )
    assert "| x | 9 | output | linear | 2 | 50.00 | 25.00 |  |  |  |  |  |  |  |  |  |" in lines


def test_chosen_layers_are_compared_with_the_output_by_seed(capsys):
    chosen = [cell("votes", seed, 0.65, depths="best") for seed in range(2)]
    print_table([*CELLS, *chosen, cell("mlp", 7, 0.5, depths="best")])
    lines = capsys.readouterr().out.splitlines()
    assert "| x | 9 | votes | 2 | +3.50 | -15.56 to +22.56 |" in lines  # 5 and 2, t = 12.7062
    assert not any(line.startswith("| x | 9 | mlp | 1 |") for line in lines)


def test_curves_are_read_at_the_same_numbers_of_voters_and_averaged(capsys):
    curves = [[(20.0, 0.8), (1.0, 0.6), (4.0, 0.7)], [(2.0, 0.5), (12.0, 0.9)]]
    print_table([cell("votes", seed, 0.5, curve=curve) for seed, curve in enumerate(curves)])
    last = capsys.readouterr().out.splitlines()[-1]
    found = [one.strip() for one in last.split("|")[1:-1]]
    # at 2, 3, 5, 10 voters; the second curve ends before 15
    expected = [(0.6 + 0.1 / 3 + 0.5) / 2, (0.6 + 0.2 / 3 + 0.54) / 2]
    expected += [(0.7 + 0.1 / 16 + 0.62) / 2, (0.7 + 0.6 / 16 + 0.82) / 2]
    assert found == ["x", "9", "output", "2", *(f"{100 * one:.2f}" for one in expected), "", "", ""]


def test_no_file_holds_no_cells(tmp_path):
    assert read_cells(tmp_path / "none.jsonl") == []
