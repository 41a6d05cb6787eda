"""What the command prints and refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.paper_cells import write_run
from whence.cli import main
from whence.cli import table as cli_table
from whence.cli.work import table_text
from whence.cli.work.table import plan_jobs
from whence.studies.parameter_counts import PARAMETERS, count_parameters
from whence.tables import paper_tables
from whence.tables.cell import read_cell
from whence.tables.paper_tables import (
    CELLS,
    adapt,
    read_cells,
)
from whence.tables.summary import Result, summarise
from whence.tables.table_runs import Job

# what is printed --------------------------------------------------------------------------------


def test_text_by_hand():
    cell = read_cell(CELLS / "table-12" / "resnet18-memory-wrap-1000-memory-20.toml")
    results = [Result(seed, Path("r"), 0.5, draws, "") for seed, draws in [(0, 0.25), (2, 0.5)]]
    rows = [
        (
            job := Job(cell, settings, Path("f"), 5),
            summarise(job.cell.paper.find("accuracy"), found),
        )
        for settings, found in [
            (cell.settings, results),
            (adapt(cell, data="a/photos", epochs=2), []),
        ]
    ]
    assert table_text.describe_table(12, rows).splitlines() == [
        "Table 12: accuracy on reduced SVHN by memory size, in %",
        "mean ± population deviation over seeds, 5 in the paper",
        "",
        "data    encoder   variant      images  memory  seeds         whence          paper"
        "  difference   whole memory  missing seeds  not the paper's setting",
        "svhn    resnet18  memory-wrap    1000      20    2/5  37.50 ± 12.50  39.32 ±  7.21"
        "       -1.82  50.00 ±  0.00         1, 3-4",
        "photos  resnet18  memory-wrap    1000      20    0/5              -  39.32 ±  7.21"
        "           -                           0-4  data a/photos, not svhn; epochs 2, not 40",
        "",
        "2 of 10 runs done, 8 missing",
    ]


def test_text_of_another_measure(toys, run_table):
    """An old run counts as done, and the text says how to get its number."""
    (cell,) = read_cells(5, folder=paper_tables.CELLS)
    folder = toys / "table-01" / cell.name
    write_run(folder / "seed-0", cell.settings, accuracy=0.5, draws=0.5)
    more = {"explanation_accuracy": 0.75, "explanation_accuracy_draws": {"mean": 0.5, "std": 0}}
    settings = replace(cell.settings, seed=1)
    write_run(folder / "seed-1", settings, accuracy=0.5, draws=0.5, more=more)
    code, out, err = run_table(5, "--list", "--out", toys)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "Table 5: explanation accuracy, MobileNet-v2, in %",
        "mean ± population deviation over seeds, 3 in the paper",
        "measured on the runs of table 1",
        "",
        "data    encoder    variant      images  seeds  whence          paper  difference"
        "  whole memory  missing seeds  seeds without a value",
        "digits  small_cnn  memory-wrap     128    2/3   50.00  75.00 ±  3.00      -25.00"
        "         75.00              2                      0",
        "",
        "2 of 3 runs done, 1 missing",
        f"runs done before whence measured the explanation accuracy: 1, such as "
        f"{folder / 'seed-0'}; move them away and the same command trains them again",
    ]
    (row,) = json.loads(run_table(5, "--list", "--json", "--out", toys)[1])["cells"]
    assert row["seeds"]["not_measured"] == [0]
    assert row["runs"][0]["explanation_accuracy_draws"] is None
    assert "without a value" not in run_table(1, "--list", "--out", toys)[1]

    nothing = {"counterfactual_accuracy": None, "counterfactual_accuracy_draws": None}
    settings = replace(cell.settings, seed=2)
    write_run(folder / "seed-2", settings, accuracy=0.5, draws=0.5, more=nothing)
    assert run_table(13, "--list", "--out", toys)[1].splitlines()[-3:] == [
        "3 of 3 runs done, 0 missing",
        "runs done before whence measured the counterfactual accuracy: 2, such as "
        f"{folder / 'seed-0'}; move them away and the same command trains them again",
        "runs without a test image that has a counterfactual on top: 1; "
        "there is no accuracy on such images",
    ]


def test_parameters_are_the_published_ones(run_table):
    assert {pair: count_parameters(*pair) for pair in PARAMETERS} == PARAMETERS
    assert PARAMETERS["mobilenet_v2", "memory-wrap"] == 15_447_642  # by hand, from table 11


def test_table_of_parameters(capsys):
    assert main(["table", "11", "--encoder", "resnet18", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [cell["whence"] for cell in found["cells"]] == [11_173_962, 11_704_394, 13_288_522]
    assert main(["table", "11", "--variant", "only-memory", "--encoder", "mobilenet_v2"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "encoder       variant         whence      paper  difference",
        "mobilenet_v2  only-memory  5,589,082  5,589,082          +0",
    ]
    for arguments, message in (
        (["--seeds", "2"], "Table 11 counts parameters and trains nothing; leave out --seeds."),
        (["--list"], "leave out --list."),
        (
            ["--encoder", "vit"],
            "encoder must be one that the table has, got 'vit'. Choose from: mob",
        ),
        (["--variant", "none"], "variant must be one that the table has, got 'none'."),
    ):
        assert main(["table", "11", *arguments]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["14"],
            "table must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, got '14'.",
        ),
        (["one"], "got 'one'"),
        (
            ["7", "--dataset", "cinic10"],
            "dataset must be one that the table has, got 'cinic10'. Choose from: svhn, cifar10.",
        ),
        (["6", "--variant", "standard"], "got 'standard'. Choose from: only-memory, memory-wrap."),
        (
            ["13", "--data", "photos"],
            "table 13 has svhn, cifar10; choose one with --dataset.",
        ),
        (["1", "--seeds", "0"], "seeds must be at least 1, got 0."),
        (["1", "--epochs", "0"], "epochs must be at least 1, got 0."),
        (
            ["1", "--encoder", "vgg"],
            "got 'vgg'. Choose from: mobilenet_v2, efficientnet_b0, resnet18.",
        ),
        (["4", "--dataset", "digits"], "got 'digits'. Choose from: svhn, cifar10, cinic10."),
        (
            ["4", "--data", "photos"],
            "table 4 has svhn, cifar10, cinic10; choose one with --dataset.",
        ),
    ],
)
def test_bad_input_is_one_sentence(run_table, arguments, message, tmp_path):
    code, out, err = run_table(*arguments, "--out", tmp_path / "runs")
    assert (code, out) == (2, "")
    assert err.startswith("whence: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "runs").exists()


def test_list_trains_nothing(run_table, tmp_path):
    code, out, _ = run_table("1", "--list", "--out", tmp_path, "--encoder", "resnet18")
    assert code == 0
    assert out.splitlines()[-1] == "0 of 135 runs done, 135 missing"
    assert list(tmp_path.iterdir()) == []


def test_options_reach_the_settings(tmp_path):
    arguments = [
        "4",
        "--dataset",
        "svhn",
        "--data",
        "photos",
        "--data-root",
        "there",
        "--seeds",
        "2",
    ]
    arguments += ["--epochs", "3", "--precision", "bfloat16", "--no-keep-model"]
    options = cli_table.build().parse_args([*arguments, "--out", str(tmp_path)])
    planned = cli_table.plan_cells(4, options)
    jobs = plan_jobs(4, planned, Path(options.out), options.seeds)
    assert len(jobs) == 9
    for job in jobs:
        settings = job.settings
        assert (settings.data, settings.data_root, settings.epochs) == ("photos", "there", 3)
        assert (settings.precision, settings.keep_model, job.seeds) == ("bfloat16", False, 2)
        assert (settings.mean, settings.augmentation) == ((0.485, 0.456, 0.406), "none")
        assert job.folder == tmp_path / "table-04" / job.cell.name
    planned = cli_table.plan_cells(4, cli_table.build().parse_args(["4"]))
    job = plan_jobs(4, planned, Path(cli_table.OUT), None)[0]
    assert (job.settings, job.seeds) == (job.cell.settings, 15)
    assert job.folder == Path("runs/tables/table-04") / job.cell.name
