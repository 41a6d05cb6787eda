"""Layers chosen by leave-one-out: the choice is of the training images, votes are the command's."""

import pytest

from benchmarks.frozen_features import build_parser, choose_counts, read_problem
from benchmarks.layers import RULES, measure
from tests.benchmarks.test_frozen_features import WORDS, save_weights
from whence.runs.run import run


def test_votes_on_chosen_layers_are_those_of_a_run(tmp_path):
    words = [*WORDS, "--weights", str(save_weights(tmp_path)), "--features", str(tmp_path / "kept")]
    options = build_parser("x", tmp_path / "cells").parse_args(["digits", *words])
    counts = choose_counts(40) | {"validation_examples": 30}
    settings, dataset = read_problem(options, epochs=2, variant="votes", **counts)
    rows = measure(settings, dataset, tmp_path / "kept")
    assert [row[0] for row in rows] == [*RULES]
    assert rows[0][1] == "output"
    assert rows[2][2] >= rows[1][2] >= rows[0][2]
    assert rows[1][1] in ("2", "3", "6", "7", "output")
    for _, layers, _, accuracy in rows:
        chosen = type(settings)(**vars(settings) | {"layers": layers})
        metrics = run(chosen, tmp_path / layers, dataset)
        assert metrics["test"]["accuracy"] == pytest.approx(accuracy)
