"""The tables of smaller memories: means, and differences paired by seed."""

from benchmarks.memory_selection import SHARES, print_tables


def cell(selection, size, seed, accuracy):
    named = {"images": "x", "train_examples": 9, "selection": selection, "size": size}
    return named | dict.fromkeys(SHARES, accuracy) | {"seed": seed, "seconds": 1.0}


def test_selections_are_paired_with_all_and_with_chance_of_their_size(capsys):
    accuracies = {("all", 9): (0.9, 0.8), ("random", 3): (0.5, 0.7), ("herding", 3): (0.8, 0.75)}
    print_tables(
        [cell(*key, seed, one) for key, both in accuracies.items() for seed, one in enumerate(both)]
        + [cell("herding", 3, 2, 0.1)]  # without the others
    )
    lines = capsys.readouterr().out.splitlines()
    assert "| x | 9 | herding | 3 | 3 | 55.00 | 55.00 | 55.00 | 55.00 | 1.00 |" in lines
    last = lines[-1].split(" | ")
    assert (last[4:6], last[7]) == (["2", "-7.50"], "+17.50")
