"""The cells of the paper's tables, and their published numbers."""

import csv
import importlib.util
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.paper_cells import (
    COUNTS,
    EXPLANATION,
    OTHER_COUNTS,
    OUR_NAMES,
    PAPER,
    PUBLISHED,
    ROOT,
    write_toys,
)
from whence.cli.train import combine_settings
from whence.runs.recipe_and_plan import choose_plan, choose_recipe
from whence.tables import paper_tables
from whence.tables.cell import EXPLANATION_TABLES, Number, read_cell
from whence.tables.paper_tables import (
    CELLS,
    TABLES,
    read_cells,
    select,
)
from whence.tables.table_runs import Job
from whence.training.recipes import Recipe

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
        assert settings.head == OUR_NAMES[paper.variant]
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
    rows = [(c.settings.encoder, c.settings.head, c.settings.train_examples) for c in read_cells(1)]
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
    assert combine_settings(str(path), {}) == (cell.settings, 5)


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
        assert all(cell.settings.head != "standard" for cell in shown)
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
