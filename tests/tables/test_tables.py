"""The paper's tables: their cells, the runs behind them, the rows that are printed."""

import csv
import importlib.util
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from whence.cli import main
from whence.cli import table as cli_table
from whence.cli.train import read_settings
from whence.cli.work import table_text
from whence.cli.work.table import plan_jobs
from whence.models.classifier import wrap
from whence.models.saved import describe
from whence.records.images import Dataset, ImageSet
from whence.runs.prepare import choose_plan, choose_recipe
from whence.runs.settings import Settings, read_toml, to_toml
from whence.studies.parameter_counts import PARAMETERS, count_parameters
from whence.tables import paper_tables, table_runs
from whence.tables.cell import EXPLANATION_TABLES, Cell, Number, Paper, read_cell
from whence.tables.paper_tables import (
    CELLS,
    TABLES,
    adapt,
    find_deviations,
    read_cells,
    select,
)
from whence.tables.summary import Result, read_results, summarise
from whence.tables.table_runs import Job
from whence.training.recipes import Recipe

ROOT = Path(__file__).parents[2]
COUNTS = {1: 27, 2: 27, 3: 27, 4: 27, 8: 27, 9: 27, 10: 27, 12: 36}
OTHER_COUNTS = {5: 18, 6: 18, 7: 12, 13: 12}  # tables that show what else those runs measured
OUR_NAMES = {
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "CINIC10": "cinic10",
    "EfficientNetB0": "efficientnet_b0",
    "MobileNet-v2": "mobilenet_v2",
    "ResNet18": "resnet18",
    "GoogLeNet": "googlenet",
    "DenseNet": "densenet",
    "ShuffleNet": "shufflenet_v2",
    "Standard": "standard",
    "Only Memory": "only-memory",
    "Memory Wrap": "memory-wrap",
}
PUBLISHED = [  # read by hand from the paper
    (1, "mobilenet_v2-memory-wrap-1000", 66.93, 3.15),
    (1, "resnet18-standard-1000", 20.63, 2.85),
    (1, "efficientnet_b0-only-memory-5000", 85.30, 0.52),
    (2, "mobilenet_v2-memory-wrap-1000", 43.87, 1.40),
    (3, "resnet18-standard-2000", 37.67, 0.98),
    (4, "svhn-efficientnet_b0-memory-wrap-full", 94.67, 0.16),
    (4, "cifar10-resnet18-standard-full", 91.94, 0.19),
    (4, "cinic10-mobilenet_v2-only-memory-full", 74.60, 0.13),
    (8, "densenet-only-memory-1000", 40.94, 12.06),
    (9, "shufflenet_v2-memory-wrap-5000", 68.52, 1.38),
    (10, "googlenet-memory-wrap-2000", 50.47, 0.77),
    (12, "efficientnet_b0-memory-wrap-1000-memory-20", 64.95, 2.46),
    (12, "resnet18-memory-wrap-2000-memory-500", 76.97, 2.48),
]
TOY = """
seeds = 3
[settings]
data = "digits"
encoder = "small_cnn"
variant = "{variant}"
train_examples = 128
memory_size = 20
epochs = 1
precision = "float32"
compat = "authors"
[paper]
table = 1
dataset = "SVHN"
encoder = "Toy"
variant = "{variant}"
train_examples = 128
accuracy = 0.25
accuracy_std = 0.0125
"""
EXPLANATION = """
[paper.explanation_accuracy]
table = 5
mean = 0.75
std = 0.03
[paper.counterfactual_accuracy]
table = 13
mean = 0.5
std = 0.02
"""
PAPER = Paper(
    1, "SVHN", "Toy", "Memory Wrap", 128, 0.25, 0.0125, counterfactual_accuracy=Number(6, 0.5, 0.02)
)


@pytest.fixture(scope="module")
def every_cell() -> list[Cell]:
    return [cell for table in COUNTS for cell in read_cells(table)]


@pytest.fixture(scope="module")
def other_cells() -> dict[int, tuple[Cell, ...]]:
    return {table: read_cells(table) for table in OTHER_COUNTS}


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    """Tables 5, 6, 7 and 13 of the paper."""
    with (ROOT / "tests" / "helpers" / "explanation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_toys(folder: Path, variants=("standard", "memory-wrap")) -> Path:
    (folder / "table-01").mkdir(parents=True)
    for variant in variants:
        path = folder / "table-01" / f"small_cnn-{variant}-128.toml"
        more = "" if variant == "standard" else EXPLANATION
        path.write_text(TOY.format(variant=variant) + more)
    for table in (2, 3):
        shutil.copytree(folder / "table-01", folder / f"table-{table:02}")
        for path in (folder / f"table-{table:02}").iterdir():
            text = path.read_text().replace("table = 1\n", f"table = {table}\n")
            path.write_text(text.split("[paper.explanation_accuracy]")[0])
    return folder


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Two small cells in place of the paper's table 1."""
    monkeypatch.setattr(paper_tables, "CELLS", write_toys(tmp_path / "cells"))
    return tmp_path / "runs"


@pytest.fixture
def run_table(capsys):
    """Call ``whence table`` and return its exit code, stdout and stderr."""

    def call(*arguments):
        code = main(["table", *map(str, arguments), "--device", "cpu"])
        return code, *capsys.readouterr()

    return call


def write_run(folder, settings, *, accuracy, draws, fingerprint="same", more=None):
    """What a finished run leaves, as far as a summary reads it."""
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_bytes(to_toml(settings))
    test = {"accuracy": accuracy, "accuracy_draws": draws and {"mean": draws, "std": 0.0}}
    (folder / "metrics.json").write_text(json.dumps({"test": test | (more or {})}))
    model = wrap("small_cnn", 2, settings.variant, (1, 8, 8))
    identity = {"train_fingerprint": "t", "test_fingerprint": fingerprint}
    about = {**describe(model), "sha256": {}, "run": identity}
    (folder / "whence.json").write_text(json.dumps(about))


# cells ------------------------------------------------------------------------------------------


def test_counts(every_cell):
    assert dict(Counter(cell.paper.table for cell in every_cell)) == COUNTS
    assert sorted(path.name for path in CELLS.iterdir()) == [f"table-{n:02}" for n in COUNTS]
    assert len(list(CELLS.rglob("*"))) == len(COUNTS) + sum(COUNTS.values())


def test_cells_have_the_papers_protocol(every_cell):
    for cell in every_cell:
        settings, paper = cell.settings, cell.paper
        assert settings.data == OUR_NAMES[paper.dataset]
        assert settings.encoder == OUR_NAMES[paper.encoder]
        assert settings.variant == OUR_NAMES[paper.variant]
        assert (settings.train_examples or "full") == paper.train_examples
        assert settings.validation_examples == 6000
        assert cell.seeds == (5 if paper.table == 12 else 15)
        flipped = paper.dataset != "SVHN"
        recipe = choose_recipe(settings)
        assert recipe == Recipe(augmentation="flip" if flipped else "none")
        plan = choose_plan(settings, recipe, 5000, has_memory=True)
        assert plan.epochs == (300 if flipped else 40)
        assert plan.memory_size == (paper.memory_size or 100)
        assert plan.self_attention
        assert not plan.bfloat16
        assert settings.mean is settings.std is None  # so that the data's published ones count


def test_cells_are_all_different(every_cell):
    kinds = {replace(cell.settings, seed=cell.paper.table) for cell in every_cell}
    assert len(kinds) == len(every_cell)
    assert {cell.paper.memory_size for cell in read_cells(12)} == {20, 100, 300, 500}
    assert {cell.paper.dataset for cell in read_cells(4)} == {"SVHN", "CIFAR10", "CINIC10"}


@pytest.mark.parametrize("table, name, mean, std", PUBLISHED)
def test_published_numbers(table, name, mean, std):
    paper = read_cell(CELLS / f"table-{table:02}" / f"{name}.toml").paper
    assert (paper.accuracy, paper.accuracy_std) == pytest.approx((mean / 100, std / 100))


def test_rows_are_in_the_papers_order():
    rows = [
        (c.settings.encoder, c.settings.variant, c.settings.train_examples) for c in read_cells(1)
    ]
    assert rows[:4] == [
        ("mobilenet_v2", "standard", 1000),
        ("mobilenet_v2", "standard", 2000),
        ("mobilenet_v2", "standard", 5000),
        ("mobilenet_v2", "only-memory", 1000),
    ]
    assert [c.settings.data for c in read_cells(4)][::9] == ["svhn", "cifar10", "cinic10"]
    assert [c.paper.memory_size for c in read_cells(12)][:12:3] == [20, 100, 300, 500]


def test_train_takes_a_cell():
    path = CELLS / "table-12" / "resnet18-memory-wrap-2000-memory-300.toml"
    cell = read_cell(path)
    assert read_settings(str(path), {}, None) == (cell.settings, 5)


def test_tool_writes_the_cells(every_cell, tmp_path, capsys):
    def percent(fraction):
        return f"{100 * fraction:.2f}"

    columns = ["table", "dataset", "encoder", "variant", "train_examples", "mean", "std"]
    shutil.copy(ROOT / "tests" / "helpers" / "explanation.csv", tmp_path)
    for name, extra in (("accuracy", []), ("memory_size", ["memory_size"])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, *extra])
            writer.writeheader()
            for cell in every_cell:
                if (cell.paper.memory_size is not None) == bool(extra):
                    row = {column: getattr(cell.paper, column, None) for column in columns + extra}
                    row["mean"] = percent(cell.paper.accuracy)
                    row["std"] = percent(cell.paper.accuracy_std)
                    writer.writerow(row)
    tool = load_tool()
    tool.main([str(tmp_path), "--out", str(tmp_path / "cells")])
    assert "225 cells" in capsys.readouterr().out
    written = {path.relative_to(tmp_path / "cells"): path for path in tmp_path.rglob("*.toml")}
    assert written.keys() == {path.relative_to(CELLS) for path in CELLS.rglob("*.toml")}
    for name, path in written.items():
        assert path.read_text() == (CELLS / name).read_text()

    with (tmp_path / "explanation.csv").open("a") as file:
        file.write("5,explanation_accuracy,SVHN,MobileNet-v2,Memory Wrap,7000,81.46,1.05\n")
    with pytest.raises(ValueError, match=r"rows of runs in accuracy.csv only, got .*'7000'"):
        tool.main([str(tmp_path), "--out", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()


def load_tool():
    place = ROOT / "tools" / "write_cells.py"
    spec = importlib.util.spec_from_file_location("write_cells", place)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_published_numbers_on_explanations(published, other_cells):
    assert Counter(int(row["table"]) for row in published) == OTHER_COUNTS
    seen = set()
    for row in published:
        wanted = {name: OUR_NAMES[row[name]] for name in ("dataset", "encoder", "variant")}
        wanted["train_examples"] = row["train_examples"]
        (cell,) = select(other_cells[int(row["table"])], wanted)
        number = cell.paper.find(row["metric"])
        assert number.table == int(row["table"])
        assert number.mean == pytest.approx(float(row["mean"]) / 100, abs=1e-9)
        assert number.std == pytest.approx(float(row["std"]) / 100, abs=1e-9)
        seen.add((row["table"], cell))
    assert len(seen) == 60


def test_tables_on_explanations_have_the_cells_of_the_others(every_cell, other_cells):
    cells = {cell for cell in every_cell if cell.paper.table in (1, 2, 3)}
    for table, count in OTHER_COUNTS.items():
        shown = other_cells[table]
        assert len(shown) == count
        assert set(shown) < cells
        assert all(cell.settings.variant != "standard" for cell in shown)
        assert list(shown) == sorted(shown, key=paper_tables.rank)
    assert [c.paper.table for c in other_cells[5]] == [1] * 6 + [2] * 6 + [3] * 6
    assert other_cells[5] == other_cells[6]
    assert other_cells[7] == other_cells[13]
    assert {t for tables in EXPLANATION_TABLES.values() for t in tables} == OTHER_COUNTS.keys()
    assert TABLES.keys() == COUNTS.keys() | OTHER_COUNTS.keys()
    assert [paper_tables.name_measure(t) for t in (4, 5, 6, 7, 13)] == [
        "accuracy",
        "explanation_accuracy",
        "counterfactual_accuracy",
        "explanation_accuracy",
        "counterfactual_accuracy",
    ]


def test_a_cell_finds_its_numbers():
    assert PAPER.find("accuracy") == Number(1, 0.25, 0.0125)
    assert PAPER.find("counterfactual_accuracy") == Number(6, 0.5, 0.02)
    assert PAPER.find("explanation_accuracy") is None
    cell = read_cells(4)[0]
    with pytest.raises(ValueError, match=f"{cell.name} must have a published explanation_accuracy"):
        Job(cell, cell.settings, Path("f"), 1, "explanation_accuracy").summarise()


@pytest.mark.parametrize(
    "right, wrong, message",
    [
        ("seeds = 3", "seeds = 0", "must have seeds as a whole number of at least 1, got 0"),
        ("seeds = 3", "seeds = true", "must have seeds as a whole number of at least 1, got True"),
        (
            "seeds = 3",
            "seeds = 3\nsedes = 4",
            "unknown setting sedes. Choose from: seeds, settings",
        ),
        ("seeds = 3", "", "must give seeds, it is missing"),
        ("[paper]", "[papers]", "unknown setting papers"),
        ("epochs = 1", "epoch = 1", "unknown setting settings.epoch. Choose from: data"),
        ("epochs = 1", "epochs = 'x'", "epochs"),
        ("epochs = 1", "seed = 1", "unknown setting settings.seed"),
        ('encoder = "small_cnn"', "", "must give settings.encoder, it is missing"),
        (
            '"small_cnn"',
            '"small_cmn"',
            "unknown settings.encoder 'small_cmn'. Choose from: small_cnn",
        ),
        ('"digits"', '"digit"', "unknown settings.data 'digit'. Choose from: digits"),
        (
            "accuracy = 0.25",
            "accuracy = 25.0",
            r"paper.accuracy as a fraction in \[0, 1\], got 25.0",
        ),
        ("accuracy = 0.25", "accuracy = 1", "paper.accuracy as a fraction"),
        ("accuracy = 0.25", "precision = 0.25", "unknown setting paper.precision"),
        ("accuracy = 0.25", "", "must give paper.accuracy, it is missing"),
        ('dataset = "SVHN"', "dataset = 1", "paper.dataset as text, got 1"),
        ("= 128\naccuracy", "= 'half'\naccuracy", "of at least 1, or 'full', got 'half'"),
        (
            "accuracy = 0.25",
            "accuracy = 0.25\nmemory_size = 0",
            "paper.memory_size as a whole number",
        ),
        ("table = 1\n", "table = 2\n", "must have paper.table as 1, got 2"),
        (
            "mean = 0.75",
            "mean = 75.0",
            r"paper.explanation_accuracy.mean as a fraction .* got 75.0",
        ),
        ("mean = 0.5", "means = 0.5", "unknown setting paper.counterfactual_accuracy.means"),
        ("mean = 0.5", "", "must give paper.counterfactual_accuracy.mean, it is missing"),
        ("table = 13", "table = 5", "paper.counterfactual_accuracy.table as 6 or 13, got 5"),
        ("table = 5", "table = 0", "paper.explanation_accuracy.table as a whole number"),
        (
            "[paper.explanation_accuracy]",
            "[paper.example_accuracy]",
            "unknown setting paper.example_accuracy",
        ),
        (
            EXPLANATION,
            "explanation_accuracy = 1\n",
            r"must have a block \[paper.explanation_accuracy\], got 1",
        ),
    ],
)
def test_refuses_a_wrong_cell(tmp_path, right, wrong, message):
    folder = write_toys(tmp_path, ["memory-wrap"])
    path = folder / "table-01" / "small_cnn-memory-wrap-128.toml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(ValueError, match=message) as caught:
        read_cells(1, folder=folder)
    assert str(path) in str(caught.value)


def test_refuses_a_block_that_is_none(tmp_path):
    path = tmp_path / "cell.toml"
    path.write_text("seeds = 1\nsettings = 2\npaper = 3\n")
    with pytest.raises(ValueError, match=r"must have a block \[settings\], got 2"):
        read_cell(path)


def test_refuses_a_table_without_cells(tmp_path):
    with pytest.raises(FileNotFoundError, match="No settings file of table 1 in"):
        read_cells(1, folder=tmp_path)
    with pytest.raises(
        ValueError, match="table must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, got 11"
    ):
        read_cells(11)


def test_select():
    def chosen(table, **wanted):
        return [cell.name for cell in select(read_cells(table), wanted)]

    assert chosen(1, encoder="resnet18", variant="memory-wrap", train_examples="2000") == [
        "resnet18-memory-wrap-2000"
    ]
    assert len(chosen(4, dataset="cifar10")) == 9
    assert len(chosen(4, train_examples="full")) == 27
    assert len(chosen(12, memory_size="100")) == len(chosen(12, memory_size="20")) == 9
    assert len(chosen(1, memory_size="100")) == 27
    with pytest.raises(
        ValueError,
        match=r"train-examples must be one that the table has, got '100'\. Choose from: 1000, 2000, 5000",
    ):
        chosen(1, encoder="resnet18", train_examples="100")
    few = read_cells(1)[::26]  # mobilenet_v2 standard 1000, resnet18 memory-wrap 5000
    with pytest.raises(ValueError, match=r"got 'memory-wrap'\. Choose from: standard\."):
        select(few, {"encoder": "mobilenet_v2", "variant": "memory-wrap"})


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


# runs -------------------------------------------------------------------------------------------


def test_every_dataset_is_loaded_once(tmp_path, monkeypatch):
    images = ImageSet(
        torch.zeros(10, 3, 4, 4, dtype=torch.uint8), torch.arange(10), tuple("abcdefghij")
    )
    loads, runs, said = [], [], []

    def load(settings):
        loads.append(settings.data)
        return Dataset(settings.data, images, images, notes=("look",))

    def pretend(settings, folder, dataset, *, resume, device):
        assert resume
        assert folder.name == f"seed-{settings.seed}"
        runs.append((settings.data, dataset.name, settings.seed, device))
        return {"test": {"accuracy": 0.5, "accuracy_draws": {"mean": 0.25}, "images": 8}}

    monkeypatch.setattr(table_runs, "load_data", load)
    monkeypatch.setattr(table_runs, "run", pretend)
    jobs = [Job(cell, cell.settings, tmp_path / cell.name, 2) for cell in read_cells(4)]
    table_runs.train_missing(jobs, device="cuda:1", say=said.append)
    assert loads == ["svhn", "cifar10", "cinic10"]
    assert len(runs) == 54
    assert all(data == name and device == "cuda:1" for data, name, _, device in runs)
    assert [seed for *_, seed, _ in runs] == [0, 1] * 27
    first = tmp_path / jobs[0].cell.name / "seed-0"
    assert said[:2] == ["note: look", f"{first}: 25.00% of 8 test images right"]


def test_runs_what_is_missing_and_nothing_twice(toys, run_table, monkeypatch):
    loads = []
    monkeypatch.setattr(
        table_runs,
        "load_data",
        lambda s, load=table_runs.load_data: loads.append(s.data) or load(s),
    )
    code, out, err = run_table("1", "--seeds", "1", "--out", toys, "--no-keep-model")
    assert code == 0
    assert "seed-0: " in err
    assert "1/1" in out
    table = toys / "table-01"
    names = ["small_cnn-memory-wrap-128", "small_cnn-standard-128"]
    assert sorted(path.name for path in table.iterdir()) == names
    for name in names:
        assert read_toml(table / name / "seed-0" / "settings.toml")["seed"] == 0
        assert not (table / name / "seed-0" / "model.safetensors").exists()
    assert loads == ["digits"]  # once, not once per cell

    variant = ["--variant", "memory-wrap", "--out", toys, "--no-keep-model", "--json"]
    code, out, _ = run_table("1", "--seeds", "2", *variant)
    found = json.loads(out)
    assert (code, found["table"], len(found["cells"]), len(loads)) == (0, 1, 1, 2)
    row = found["cells"][0]
    assert row["seeds"] == {"asked": 2, "done": 2, "missing": [], "not_measured": [], "paper": 3}
    written = [
        json.loads((table / names[0] / f"seed-{k}" / "metrics.json").read_text()) for k in (0, 1)
    ]
    draws = [metrics["test"]["accuracy_draws"]["mean"] for metrics in written]
    assert [run["accuracy_draws"] for run in row["runs"]] == draws
    assert row["whence"]["mean"] == pytest.approx(sum(draws) / 2)
    assert row["whence"]["std"] == pytest.approx(abs(draws[0] - draws[1]) / 2)
    assert row["difference"] == pytest.approx(sum(draws) / 2 - 0.25)
    assert row["whole_memory"]["mean"] == pytest.approx(
        sum(m["test"]["accuracy"] for m in written) / 2
    )
    assert (row["deviations"], row["train_examples"], row["memory_size"]) == ({}, 128, 20)

    def never(*arguments, **options):
        raise AssertionError

    monkeypatch.setattr(table_runs, "run", never)
    assert json.loads(run_table("1", "--seeds", "2", *variant)[1]) == found
    assert len(loads) == 2
    code, _, err = run_table("1", "--seeds", "2", *variant, "--epochs", "2")
    assert code == 2
    assert "was started with another epochs (1 and 2); choose another --out." in err


def test_tables_on_explanations_take_the_runs_of_the_accuracies(toys, run_table, monkeypatch):
    """Table 13 trains in the folders of table 1, table 1 and 5 then train nothing."""
    trained = []

    def count(settings, folder, dataset, run=table_runs.run, **options):
        trained.append(folder)
        return run(settings, folder, dataset, **options)

    monkeypatch.setattr(table_runs, "run", count)
    arguments = ["--seeds", "2", "--out", toys, "--epochs", "12", "--no-keep-model", "--json"]
    code, out, err = run_table("13", *arguments)
    assert (code, err.count("test images right")) == (0, 2)
    folder = toys / "table-01" / "small_cnn-memory-wrap-128"
    assert trained == [folder / "seed-0", folder / "seed-1"]
    assert [path.name for path in toys.iterdir()] == ["table-01"]
    found = {13: json.loads(out)}
    for table in (1, 5):
        code, out, _ = run_table(table, "--variant", "memory-wrap", *arguments)
        assert code == 0
        found[table] = json.loads(out)
    assert len(trained) == 2
    tests = [json.loads((path / "metrics.json").read_text())["test"] for path in trained]
    for table, measure, published in (
        (1, "accuracy", (0.25, 0.0125)),
        (5, "explanation_accuracy", (0.75, 0.03)),
        (13, "counterfactual_accuracy", (0.5, 0.02)),
    ):
        assert found[table]["measure"] == measure
        (row,) = found[table]["cells"]
        draws = [test[f"{measure}_draws"]["mean"] for test in tests]
        assert [one[f"{measure}_draws"] for one in row["runs"]] == draws
        assert [one[measure] for one in row["runs"]] == [test[measure] for test in tests]
        assert row["whence"]["mean"] == pytest.approx(sum(draws) / 2)
        assert row["whole_memory"]["mean"] == pytest.approx(
            sum(test[measure] for test in tests) / 2
        )
        assert row["paper"] == {"mean": published[0], "std": published[1]}
        assert row["difference"] == pytest.approx(sum(draws) / 2 - published[0])
        assert (row["runs_of_table"], row["seeds"]["not_measured"]) == (1, [])
    assert len({str(found[table]["cells"][0]["whence"]) for table in found}) == 3


def test_refuses_a_foreign_folder_before_the_first_training(toys, run_table):
    foreign = toys / "table-01" / "small_cnn-memory-wrap-128" / "seed-2"
    foreign.mkdir(parents=True)
    (foreign / "letter.txt").write_text("keep me")
    code, out, err = run_table("1", "--out", toys)
    assert (code, out) == (2, "")
    assert "seed-2 holds no run that could go on; choose another --out." in err
    assert [path.name for path in (toys / "table-01").iterdir()] == ["small_cnn-memory-wrap-128"]
    assert [path.name for path in foreign.iterdir()] == ["letter.txt"]


def test_stopped_runs_go_on(toys, run_table, monkeypatch, capsys):
    def stop_at_the_second(settings, folder, dataset, run=table_runs.run, **options):
        if settings.seed == 1:
            raise KeyboardInterrupt
        return run(settings, folder, dataset, **options)

    arguments = ["1", "--variant", "standard", "--seeds", "2", "--epochs", "2", "--out", str(toys)]
    with monkeypatch.context() as patch:
        patch.setattr(table_runs, "run", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
            cli_table.table(arguments)
    capsys.readouterr()
    listed = json.loads(run_table(*arguments, "--list", "--json")[1])["cells"][0]
    assert listed["seeds"]["missing"] == [1]
    assert listed["deviations"] == {"epochs": {"cell": 1, "run": 2}}
    assert listed["whole_memory"] == {"mean": None, "std": None}
    assert listed["memory_size"] is None
    code, out, err = run_table(*arguments)
    assert code == 0
    assert "seed-0" not in err
    assert "epochs 2, not 1" in out
    assert out.splitlines()[-1] == "2 of 2 runs done, 0 missing"


def test_other_images_keep_the_published_normalisation(toys, run_table, tmp_path):
    path = paper_tables.CELLS / "table-01" / "small_cnn-memory-wrap-128.toml"
    text = (
        path.read_text().replace('"digits"', '"cifar10"').replace("= 128\nmemory", "= 20\nmemory")
    )
    path.write_text(text)
    generator = torch.Generator().manual_seed(0)
    for name in range(10):
        for part, images in (("train", 4), ("test", 1)):
            folder = tmp_path / "photos" / part / str(name)
            folder.mkdir(parents=True)
            for image in range(images):
                pixels = torch.randint(0, 256, (6, 5, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{image}.png")
    photos = tmp_path / "photos"
    wanted = ["1", "--variant", "memory-wrap", "--seeds", "1", "--out", toys, "--data"]
    code, out, _ = run_table(*wanted, photos)
    assert code == 0
    assert f"data {photos}, not cifar10" in out
    run = toys / "table-01" / "small_cnn-memory-wrap-128" / "seed-0"
    settings = read_toml(run / "settings.toml")
    assert settings["mean"] == [0.4914, 0.4822, 0.4465]
    assert settings["augmentation"] == "flip"
    about = json.loads((run / "whence.json").read_text())
    assert about["image_shape"] == [3, 32, 32]
    assert about["run"]["recipe"]["augmentation"] == "flip"

    code, _, err = run_table(*wanted[:-2], toys / "other", "--data", "digits")
    assert code == 2
    assert "data must have 10 classes and 3 channels like cifar10, got 10 and 1 in digits." in err
    assert not (toys / "other").exists()
