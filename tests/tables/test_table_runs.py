"""The runs behind a table: nothing is trained twice."""

import json
from dataclasses import replace
from itertools import groupby

import pytest
import torch
from PIL import Image

from tests.helpers.bad_input import write_images
from whence.cli import table as cli_table
from whence.runs.settings import read_toml
from whence.tables import paper_tables, table_runs
from whence.tables.paper_tables import (
    read_cells,
)
from whence.tables.table_runs import Job

# runs -------------------------------------------------------------------------------------------


def test_every_dataset_is_loaded_once(toys, tmp_path):
    """Loading says what it notes on the images; each cell and seed then says how it went."""
    jobs = []
    for name in ("beasts", "plants"):
        write_images(tmp_path / name, "abcdefghij", count=3)
        (tmp_path / name / "a" / "list.txt").touch()
        few = {
            "data": str(tmp_path / name),
            "train_examples": None,
            "memory_size": 4,
            "validation_examples": 2,
        }
        jobs += [
            Job(cell, replace(cell.settings, **few), toys / name / cell.name, 2)
            for cell in read_cells(1)
        ]
    said = []
    table_runs.train_missing(jobs, device="cpu", say=said.append)
    seeds = [job.folder / f"seed-{seed}" for job in jobs for seed in (0, 1)]
    assert all((seed / "whence.json").exists() for seed in seeds)
    assert [start for start, _ in groupby(said, lambda line: line.split(":")[0])] == [
        *("note", *map(str, seeds[:4])),
        *("note", *map(str, seeds[4:])),
    ]


def written_at(folder):
    """When each run's files were written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_runs_what_is_missing_and_nothing_twice(toys, run_table):
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

    variant = ["--variant", "memory-wrap", "--out", toys, "--no-keep-model", "--json"]
    code, out, _ = run_table("1", "--seeds", "2", *variant)
    found = json.loads(out)
    assert (code, found["table"], len(found["cells"])) == (0, 1, 1)
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
    before = written_at(toys)
    assert json.loads(run_table("1", "--seeds", "2", *variant)[1]) == found
    assert written_at(toys) == before
    code, _, err = run_table("1", "--seeds", "2", *variant, "--epochs", "2")
    assert code == 2
    assert "was started with another epochs (1 and 2); choose another --out." in err


def test_tables_on_explanations_take_the_runs_of_the_accuracies(toys, run_table):
    """Table 13 trains in the folders of table 1, table 1 and 5 then train nothing."""
    arguments = ["--seeds", "2", "--out", toys, "--epochs", "12", "--no-keep-model", "--json"]
    code, out, err = run_table("13", *arguments)
    assert (code, err.count("test images right")) == (0, 2)
    folder = toys / "table-01" / "small_cnn-memory-wrap-128"
    trained = sorted(folder.iterdir())
    assert trained == [folder / "seed-0", folder / "seed-1"]
    before = written_at(toys)
    assert [path.name for path in toys.iterdir()] == ["table-01"]
    found = {13: json.loads(out)}
    for table in (1, 5):
        code, out, _ = run_table(table, "--variant", "memory-wrap", *arguments)
        assert code == 0
        found[table] = json.loads(out)
    assert written_at(toys) == before
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
