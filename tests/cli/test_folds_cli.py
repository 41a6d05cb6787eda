"""``whence train --folds``: runs, one table, and an answer to every image."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import whence
from tests.helpers.bad_input import QUICK
from tests.helpers.image_folders import write_images
from whence.cli import main
from whence.cli.work import side_by_side
from whence.cli.work import tune as tuning
from whence.cluster import worker
from whence.encoders import ENCODERS
from whence.models.using import encode_frozen
from whence.runs import kept_features
from whence.runs.settings import read_toml
from whence.training import shared_step


@pytest.fixture
def labels(tmp_path):
    write_images(tmp_path / "photos", {"cat": 12, "dog": 12})
    rows = [f"photos/{kind}/{k}.png,{kind},m{k}" for kind in ("cat", "dog") for k in range(12)]
    (tmp_path / "labels.csv").write_text("path,label,group\n" + "\n".join(rows))
    return tmp_path / "labels.csv"


def frozen(tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(ENCODERS["small_cnn"](channels=3, image_size=8).state_dict(), weights)
    return [
        "--encoder",
        "small_cnn",
        "--weights",
        weights,
        "--freeze-encoder",
        "--epochs",
        "2",
        "--mean",
        "[0.5, 0.5, 0.5]",
        "--std",
        "[0.3, 0.3, 0.3]",
    ]


def test_every_image_is_answered_by_a_run_that_had_not_seen_it(
    labels, tmp_path, capsys, monkeypatch
):
    encoded = []
    count = lambda model, images, **more: (
        encoded.append(len(images)) or encode_frozen(model, images, **more)
    )
    monkeypatch.setattr(shared_step, "encode_frozen", count)
    out = tmp_path / "cv"
    words = ["train", labels, "--folds", "3", *frozen(tmp_path), "--out", out]
    assert main([str(word) for word in words]) == 0
    assert encoded == [24]  # once, for all folds
    text, notes = capsys.readouterr()
    assert "24 images are divided into 3 folds of whole groups" in notes
    lines = text.splitlines()
    assert lines[2].split() == ["mean", "deviation", "fold", "1", "fold", "2", "fold", "3"]
    with (out / "out_of_fold.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["image"] for row in rows) == sorted(
        f"photos/{kind}/{k}.png" for kind in ("cat", "dog") for k in range(12)
    )
    for row in rows:
        parts = whence.load_parts(out / f"fold-{row['fold']}")
        assert row["image"] in parts.test.sources
        assert row["evidence"] in parts.train.sources
        assert (row["right"] == "yes") == (row["answer"] == row["label"])
        assert float(row[f"probability of {row['answer']}"]) == float(row["probability"])
    summary = json.loads((out / "folds.json").read_text())
    assert summary["right"] == sum(row["right"] == "yes" for row in rows)
    assert lines[0].startswith(f"{summary['right']} of 24 images right")
    model, parts = whence.load(out / "fold-2"), whence.load_parts(out / "fold-2")
    answers = {row["image"]: row["answer"] for row in rows if row["fold"] == "2"}
    for source, one in zip(
        parts.test.sources, whence.predict(model, parts.test.images), strict=True
    ):
        assert answers[source] == model.class_names[one.predicted]
    before = (out / "out_of_fold.csv").read_bytes()
    (out / "out_of_fold.csv").unlink()
    assert main([*(str(word) for word in words), "--resume", "--json"]) == 0
    assert (out / "out_of_fold.csv").read_bytes() == before
    assert json.loads(capsys.readouterr().out)["measures"] == summary["measures"]
    assert not (out / kept_features.FEATURES).exists()


def test_an_encoder_that_learns(labels, tmp_path, capsys):
    words = ["train", str(labels), "--folds", "2", *QUICK, "--out", str(tmp_path / "cv"), "--json"]
    assert main(words) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2
    assert len((tmp_path / "cv" / "out_of_fold.csv").read_text().splitlines()) == 25


def read_rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_seed_divides_anew_and_has_a_column_of_its_own(labels, tmp_path, capsys):
    out = tmp_path / "cv"
    words = ["train", labels, "--folds", "3", *frozen(tmp_path), "--out", out]
    assert main([str(word) for word in [*words, "--seeds", "2"]]) == 0
    text, notes = capsys.readouterr()
    assert "with seed 0: 8 to 8 images" in notes
    assert "Seeds 1 to 1 divide them anew." in notes
    divisions = []
    for seed in (0, 1):
        rows = read_rows(out / f"seed-{seed}" / "out_of_fold.csv")
        assert len({row["image"] for row in rows}) == 24
        divisions.append({row["image"] for row in rows if row["fold"] == "1"})
        parts = whence.load_parts(out / f"seed-{seed}" / "fold-1")
        assert set(parts.test.sources) == divisions[-1]
    assert divisions[0] != divisions[1]
    found = json.loads((out / "folds.json").read_text())["measures"]["accuracy"]
    means = [
        json.loads((out / f"seed-{seed}" / "folds.json").read_text())["measures"]["accuracy"][
            "mean"
        ]
        for seed in (0, 1)
    ]
    assert found["values"] == means
    table = text[text.index("Means of the folds of 2 seeds") :].splitlines()
    assert table[2].split() == ["mean", "deviation", "seed", "0", "seed", "1"]
    assert table[3].split()[-2:] == [f"{mean:.2%}" for mean in means]
    assert not (out / kept_features.FEATURES).exists()


def test_workers_train_the_same_runs(labels, tmp_path, capsys, monkeypatch):
    words = ["train", labels, "--folds", "3", *frozen(tmp_path), "--json"]
    assert main([str(word) for word in [*words, "--out", tmp_path / "one"]]) == 0
    encoded = []
    count = lambda model, images, **more: (
        encoded.append(len(images)) or encode_frozen(model, images, **more)
    )
    monkeypatch.setattr(shared_step, "encode_frozen", count)
    loaded = []
    load = worker.load_pool
    monkeypatch.setattr(worker, "load_pool", lambda *given: loaded.append(1) or load(*given))
    monkeypatch.setattr(
        side_by_side, "train_all", lambda tasks, *_, **more: [worker.work(one) for one in tasks]
    )
    capsys.readouterr()
    several = [*words, "--workers", "2", "--out", tmp_path / "two"]
    assert main([str(word) for word in several]) == 0
    assert (encoded, loaded) == ([24], [1])  # once, for all folds
    json.loads(capsys.readouterr().out)
    one, two = (tmp_path / name / "out_of_fold.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_fold_that_fails_in_a_worker_is_counted(labels, fails, tmp_path, monkeypatch):
    broken = worker.Outcome(None, "It is too small.", 1.0)
    monkeypatch.setattr(side_by_side, "train_all", lambda tasks, *_, **more: [broken] * len(tasks))
    words = ["--folds", "2", "--workers", "2", *QUICK, "--out", str(tmp_path / "cv")]
    fails("train", labels, *words, message="2 of 2 runs failed, named above; the same command")
    assert not (tmp_path / "cv" / "folds.json").exists()


def test_every_fold_is_tuned_on_its_own_validation_images(labels, tmp_path, monkeypatch):
    seen = []

    def choose(settings, dataset, folder, seconds, **more):
        seen.append((settings.fold, dataset.train.sources, seconds))

    monkeypatch.setattr(tuning, "tune", choose)
    monkeypatch.setattr(
        tuning,
        "end_tuning",
        lambda settings, folder, seconds: (replace(settings, learning_rate=0.01), "x"),
    )
    out = tmp_path / "cv"
    words = [
        "train",
        str(labels),
        "--folds",
        "2",
        *QUICK,
        "--memory-size",
        "4",
        "--tune",
        "90s",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    assert [one[::2] for one in seen] == [("1/2", 90), ("2/2", 90)]
    for number, (_, sources, _) in enumerate(seen, 1):
        assert read_toml(out / f"fold-{number}" / "settings.toml")["learning_rate"] == 0.01
        assert not set(sources) & set(whence.load_parts(out / f"fold-{number}").test.sources)


@pytest.mark.parametrize("words", [["--folds", "2"], ["--seeds", "2"]])
def test_several_runs_are_not_begun_where_one_cannot_end(labels, fails, tmp_path, words):
    out = tmp_path / "runs"
    later = out / ("fold-2" if "--folds" in words else "seed-1")
    later.mkdir(parents=True)
    (later / "notes.txt").write_text("mine")
    command = ["train", labels, *QUICK, *words, "--out", out]
    fails(*command, message=f"{later} is not empty; choose another --out")
    (out / "settings.toml").write_text('data = "digits"')
    fails(*command, message=f"{out} holds a run, several cannot be in it; choose another --out.")
    fails(*command, "--workers", "2", message=f"{out} holds a run, several cannot be in it")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--folds", "1"], "folds must be at least 2, got 1"),
        (["--folds", "2", "--fold", "1/2"], "folds cannot be trained with --fold"),
        (["--folds", "2", "--no-keep-model"], "folds cannot be trained with --no-keep-model"),
        (["--folds", "13"], "groups must be at least 13 to be divided into 13 parts, got 12"),
        (["--fold", "3/2"], "fold must be K/N"),
        (["--group-column", "module"], "must have a column 'module' (it has path, label, group)"),
    ],
)
def test_what_cannot_be_divided(labels, fails, words, message):
    fails("train", labels, *words, message=message)
