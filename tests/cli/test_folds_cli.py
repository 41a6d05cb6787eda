"""``whence train --folds``: runs, one table, and an answer to every image."""

import csv
import json

import pytest
import torch
from safetensors.torch import save_file

import whence
from tests.helpers.bad_input import QUICK
from tests.helpers.image_folders import write_images
from whence.cli import main
from whence.encoders import ENCODERS
from whence.models.using import encode_frozen
from whence.runs import kept_features
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


@pytest.mark.parametrize(
    "words, message",
    [
        (["--folds", "1"], "folds must be at least 2, got 1"),
        (["--folds", "2", "--seeds", "2"], "folds cannot be trained with --seeds"),
        (["--folds", "2", "--tune", "1m"], "folds cannot be trained with --tune"),
        (["--folds", "2", "--fold", "1/2"], "folds cannot be trained with --fold"),
        (["--folds", "2", "--no-keep-model"], "folds cannot be trained with --no-keep-model"),
        (["--folds", "2", "--workers", "2"], "folds cannot be trained with --workers"),
        (["--folds", "13"], "groups must be at least 13 to be divided into 13 parts, got 12"),
        (["--fold", "3/2"], "fold must be K/N"),
        (["--group-column", "module"], "must have a column 'module' (it has path, label, group)"),
    ],
)
def test_what_cannot_be_divided(labels, fails, words, message):
    fails("train", labels, *words, message=message)
