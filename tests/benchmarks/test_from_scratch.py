"""Cells of the comparison of recipes, and the tables that are made of them."""

import pytest

from benchmarks.from_scratch import CELLS, RECIPES, RIVALS, compare, pick, print_tables
from benchmarks.kept_cells import read_cells


def cell(head, recipe, seed, accuracy, validation=0.5, **more):
    here = {"images": "cells", "train_examples": 9, "encoder": "small_cnn", **more}
    numbers = {"accuracy": accuracy, "validation": validation}
    return {**here, "head": head, "recipe": recipe, "seed": seed, **numbers}


CASES = [
    cell("standard", "default", 0, 0.50, 0.6),
    cell("standard", "default", 1, 0.52, 0.4),
    cell("standard", "paper", 0, 0.46),
    cell("standard", "paper", 1, 0.47),
    cell("memory-wrap", "default", 0, 0.54, 0.5),
    cell("memory-wrap", "default", 1, 0.51, 0.5),
    cell("votes", "default", 0, 0.53),
    cell("votes", "default", 1, 0.53),
    cell("votes", "default", 2, 0.99),  # without rivals
    cell("votes", "paper", 0, 0.99),
]


def test_votes_are_compared_with_the_rival_that_validation_chooses():
    assert compare(CASES) == pytest.approx([3, 2])


def test_cells_of_a_head_and_a_recipe_by_seed():
    assert pick(CASES, "standard", "paper") == {0: 0.46, 1: 0.47}


def test_tables_by_hand(capsys):
    print_tables(CASES)
    lines = capsys.readouterr().out.splitlines()
    # differences 4 and 5: mean 4.5, deviation .707, t of one degree of freedom 12.706
    row = "| cells | 9 | small_cnn | standard | 2 | 51.00 ± 1.00 | 46.50 ± 0.50 | +4.50 | -1.85 to +10.85 |"
    assert row in lines
    assert "| cells | 9 | small_cnn | memory-wrap | 2 | 52.50 ± 1.50 |  |  |  |" in lines
    assert lines[-1] == "| cells | 9 | small_cnn | 2 | +2.50 | -3.85 to +8.85 |"


def test_published_cells_are_whole_and_none_stands_twice():
    cells = read_cells(CELLS)
    names = ("images", "train_examples", "encoder", "head", "recipe", "seed")
    assert len({tuple(one[name] for name in names) for one in cells}) == len(cells)
    for one in cells:
        assert 0 < one["accuracy"] <= 1
        assert one["recipe"] in RECIPES
        assert one["head"] in (*RIVALS, "votes")
