"""From finished runs to one row of a table."""

import json
from dataclasses import replace

import pytest

from tests.helpers.paper_cells import write_run
from whence.runs.settings import Settings
from whence.tables.cell import Number, read_cell
from whence.tables.paper_tables import (
    CELLS,
    adapt,
    find_deviations,
)
from whence.tables.summary import read_results, summarise

# settings of a run ------------------------------------------------------------------------------


def test_adapt_changes_what_is_asked_for():
    cell = read_cell(CELLS / "table-02" / "resnet18-standard-1000.toml")
    assert adapt(cell) == cell.settings
    assert adapt(cell, data="cifar10") == cell.settings
    assert find_deviations(cell, adapt(cell, data_root="there", keep_model=False)) == {}
    changed = adapt(
        cell, data="photos", data_root="there", epochs=2, precision="bfloat16", keep_model=False
    )
    assert changed == replace(
        cell.settings,
        data="photos",
        data_root="there",
        epochs=2,
        precision="bfloat16",
        keep_model=False,
        size=32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        augmentation="flip",
    )
    assert find_deviations(cell, changed) == {
        "data": ("cifar10", "photos"),
        "epochs": (300, 2),
        "precision": ("float32", "bfloat16"),
    }
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        adapt(cell, epochs=0)


# summary ----------------------------------------------------------------------------------------

SETTINGS = Settings(data="digits", encoder="small_cnn")
NUMBER = Number(1, 0.25, 0.0125)


def test_summary_by_hand(tmp_path):
    for seed, (accuracy, draws) in enumerate([(0.5, 0.25), (0.75, 0.5), (1.0, 1.0)]):
        write_run(
            tmp_path / f"seed-{seed}", replace(SETTINGS, seed=seed), accuracy=accuracy, draws=draws
        )
    summary = summarise(NUMBER, read_results(tmp_path, SETTINGS, 2))
    assert [result.seed for result in summary.results] == [0, 1]
    assert (summary.mean, summary.std) == (0.375, 0.125)  # population deviation
    assert (summary.whole_mean, summary.whole_std) == (0.625, 0.125)
    assert (summary.paper_mean, summary.paper_std, summary.difference) == (0.25, 0.0125, 0.125)
    assert len(read_results(tmp_path, SETTINGS, 9)) == 3


def test_summary_of_a_standard_model_takes_its_plain_accuracy(tmp_path):
    settings = replace(SETTINGS, variant="standard", seed=1)
    write_run(tmp_path / "seed-1", settings, accuracy=0.5, draws=None)
    summary = summarise(NUMBER, read_results(tmp_path, replace(settings, seed=0), 3))
    assert (summary.mean, summary.std, summary.difference) == (0.5, None, 0.25)
    assert summary.whole_mean is summary.whole_std is None


def test_summary_of_nothing(tmp_path):
    summary = summarise(NUMBER, read_results(tmp_path / "none", SETTINGS, 15))
    assert summary.mean is summary.std is summary.whole_mean is summary.difference is None
    assert (summary.results, summary.paper_mean) == ((), 0.25)


def test_summary_refuses_runs_that_do_not_belong_together(tmp_path):
    write_run(tmp_path / "seed-0", SETTINGS, accuracy=0.5, draws=0.5)
    write_run(
        tmp_path / "seed-1", replace(SETTINGS, seed=1), accuracy=0.5, draws=0.5, fingerprint="x"
    )
    with pytest.raises(ValueError, match=r"seed-1 must have been made with the images of .*seed-0"):
        read_results(tmp_path, SETTINGS, 2)
    with pytest.raises(FileExistsError, match="started with another epochs"):
        read_results(tmp_path, replace(SETTINGS, epochs=2), 1)
    for test in ({"accuracy": 0.5}, {"accuracy": None, "accuracy_draws": None}):
        (tmp_path / "seed-0" / "metrics.json").write_text(json.dumps({"test": test}))
        with pytest.raises(ValueError, match="seed-0 must hold the accuracies of a finished run"):
            read_results(tmp_path, SETTINGS, 1)


def test_summary_of_another_measure(tmp_path):
    """Seed 0 is of an old version; in the draws of seed 2 no counterfactual is on top."""
    whole, draws = "counterfactual_accuracy", "counterfactual_accuracy_draws"
    for seed, more in enumerate(
        (
            {},
            {whole: 0.25, draws: {"mean": 0.5, "std": 0.0}},
            {whole: 0.125, draws: None},
            {whole: 0.75, draws: {"mean": 0.75, "std": 0.0}},
        )
    ):
        settings = replace(SETTINGS, seed=seed)
        write_run(tmp_path / f"seed-{seed}", settings, accuracy=0.9, draws=0.8, more=more)
    results = read_results(tmp_path, SETTINGS, 4, measure=whole)
    assert [result.value for result in results] == [None, 0.5, None, 0.75]
    assert [result.whole_memory for result in results] == [None, 0.25, 0.125, 0.75]
    assert [result.measured for result in results] == [False, True, True, True]
    summary = summarise(Number(6, 0.5, 0.02), results)
    assert (summary.mean, summary.std, summary.difference) == (0.625, 0.125, 0.125)
    assert (summary.whole_mean, summary.whole_std) == (0.5, 0.25)
    assert (summary.paper_mean, summary.paper_std) == (0.5, 0.02)
    plain = read_results(tmp_path, SETTINGS, 4)
    assert [(one.value, one.measured) for one in plain] == [(0.8, True)] * 4
    old = summarise(Number(6, 0.5, 0.02), results[:1])
    assert old.mean is old.whole_mean is old.difference is None
    write_run(
        tmp_path / "seed-4",
        replace(SETTINGS, seed=4),
        accuracy=0.9,
        draws=0.8,
        more={whole: None, draws: None},
    )
    (nothing,) = read_results(tmp_path, SETTINGS, 5, measure=whole)[4:]
    assert (nothing.value, nothing.whole_memory, nothing.measured) == (None, None, True)

    metrics = tmp_path / "seed-1" / "metrics.json"
    metrics.write_text(metrics.read_text().replace(draws, "else"))
    with pytest.raises(ValueError, match="seed-1 must hold the accuracies of a finished run"):
        read_results(tmp_path, SETTINGS, 4, measure=whole)
