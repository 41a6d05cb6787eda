"""Checkpoints of a run: which one it goes on from, and when it refuses to."""

import itertools
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.helpers.run_folders import (
    NAMES,
    SETTINGS,
    assert_same_result,
    interrupt,
    names_in,
)
from whence.data.corrections import correct_dataset, read_corrections
from whence.records.images import ImageSet
from whence.runs import precision, recipe_and_plan
from whence.runs.run import run
from whence.storage.checkpoint import (
    Checkpoint,
    find_checkpoints,
    read_newest_checkpoint,
    write_checkpoint,
)
from whence.storage.plain_files import read_json


def test_the_newest_two_are_kept(interrupted, digits, finished):
    expected = [f"checkpoint-{step}.{kind}" for step in (3, 4) for kind in ("json", "safetensors")]
    assert [name for name in names_in(interrupted) if "checkpoint" in name] == expected
    assert read_newest_checkpoint(interrupted).numbers["step"] == 4
    assert len((interrupted / "log.jsonl").read_text().splitlines()) == 1
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)
    assert names_in(interrupted) == NAMES


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def link(path):
    shutil.move(path, path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


def evil(path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "ran"),)

    path.write_bytes(pickle.dumps(Evil()))


def other_step(path):
    content = read_json(path.with_suffix(".json"))
    path.with_suffix(".json").write_text(json.dumps({**content, "step": 5}))


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("safetensors", damage) for damage in (cut, flip, link, evil, Path.unlink)),
        *(("json", damage) for damage in (cut, link, evil, Path.unlink, other_step)),
    ],
)
def test_a_damaged_newest_one_is_passed_over(interrupted, digits, finished, kind, damage):
    damage(interrupted / f"checkpoint-4.{kind}")
    assert read_newest_checkpoint(interrupted).numbers["step"] == 3
    run(SETTINGS, interrupted, digits, resume=True, checkpoint_seconds=0)
    assert_same_result(interrupted, finished)
    assert names_in(interrupted) == NAMES


def test_without_any_whole_one_it_starts_again(interrupted, digits, finished):
    for path in interrupted.glob("checkpoint-*.json"):
        path.unlink()
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


def test_halves_of_later_steps_never_push_out_whole_ones(tmp_path):
    """Two kills while later checkpoints were written must not cost the ones that are whole."""
    for step in (30, 40, 50):
        (tmp_path / f"checkpoint-{step}.safetensors").write_bytes(b"half")
    for step in (10, 20, 25):
        numbers = {"step": step, "place": 0}
        write_checkpoint(tmp_path, Checkpoint({"order": torch.arange(step)}, numbers))
        assert read_newest_checkpoint(tmp_path).numbers == numbers
    expected = [
        f"checkpoint-{step}.{kind}" for step in (20, 25) for kind in ("json", "safetensors")
    ]
    assert names_in(tmp_path) == expected


def test_a_checkpoint_of_other_images_is_refused(interrupted, digits):
    changed = digits.train.images.clone()
    changed[7, 0, 3, 3] ^= 1
    train = ImageSet(changed, digits.train.labels, digits.train.class_names)
    with pytest.raises(
        FileExistsError, match="was started with other train images; choose another"
    ):
        run(SETTINGS, interrupted, replace(digits, train=train), resume=True)
    fewer = replace(digits, test=digits.test.take(torch.arange(9)))
    with pytest.raises(FileExistsError, match="was started with other test images"):
        run(SETTINGS, interrupted, fewer, resume=True)


def test_a_finished_run_of_other_images_is_not_skipped(finished, digits):
    fewer = replace(digits, test=digits.test.take(torch.arange(9)))
    with pytest.raises(FileExistsError, match="was made with other test images; choose another"):
        run(SETTINGS, finished, fewer, resume=True)


def test_a_run_with_corrections_of_before_goes_on(digits, tmp_path, monkeypatch):
    """An older whence told the corrected labels otherwise, in the same checkpoints."""
    table, names = tmp_path / "filled.csv", digits.train.class_names
    first, second = (names[int(label)] for label in digits.train.labels[:2])
    rows = [f",0,{first},{second}", f",1,{second},{second}"]
    table.write_text("\n".join(["file,index,label,corrected_label", *rows]))
    settings = replace(SETTINGS, corrections=str(table))
    corrected = correct_dataset(digits, read_corrections(table, names), str(table))
    told = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        interrupt(folder, corrected, monkeypatch, step=4, settings=settings)
        for path in folder.glob("checkpoint-*.json"):
            numbers = read_json(path)
            older = {"corrections": {"table": table.name, "relabelled": 1, "removed": 0}}
            told.append("corrections" in numbers["run"])
            if folder.name == "a":
                path.write_text(json.dumps({**numbers, "run": {**numbers["run"], **older}}))
        run(settings, folder, corrected, resume=True)
    assert told == [False] * 4
    assert_same_result(tmp_path / "a", tmp_path / "b")
    made = read_json(tmp_path / "a/whence.json")["run"]["corrections"]
    assert made["changed"] == [{"image": "image 0", "label": first, "corrected": second}]
    assert (made["relabelled"], made["confirmed"]) == (1, 1)


def test_other_code_is_refused(interrupted, digits, monkeypatch):
    """A newer whence whose recipe is another one must not go on as if it were the same."""
    recipe = replace(recipe_and_plan.RECIPES["default"], weight_decay=0.1)
    monkeypatch.setattr(recipe_and_plan, "RECIPES", {"default": recipe})
    with pytest.raises(FileExistsError, match="was started with other recipe"):
        run(SETTINGS, interrupted, digits, resume=True)


@pytest.mark.parametrize("started_with", [True, False])
def test_a_run_keeps_the_precision_it_started_with(digits, tmp_path, monkeypatch, started_with):
    settings, folder = replace(SETTINGS, precision="auto"), tmp_path / "a"
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda *_: started_with)
    interrupt(folder, digits, monkeypatch, step=2, settings=settings)
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda *_: not started_with)
    run(settings, folder, digits, resume=True)
    assert read_json(folder / "whence.json")["run"]["plan"]["bfloat16"] is started_with
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda *_: started_with)
    run(settings, tmp_path / "b", digits)
    assert_same_result(folder, tmp_path / "b")


@pytest.mark.parametrize("field", ["run", "seconds"])
def test_a_checkpoint_that_does_not_say_its_run_is_refused(interrupted, digits, field):
    path = interrupted / "checkpoint-4.json"
    path.write_text(json.dumps({**read_json(path), field: "x"}))
    with pytest.raises(ValueError, match="a checkpoint that does not say its run and seconds"):
        run(SETTINGS, interrupted, digits, resume=True)


def test_seconds_add_up(interrupted, digits, monkeypatch):
    path = interrupted / "checkpoint-4.json"
    path.write_text(json.dumps({**read_json(path), "seconds": 5000.0}))
    interrupt(interrupted, digits, monkeypatch, step=5, resume=True)
    assert 5000 < read_json(interrupted / "checkpoint-5.json")["seconds"] < 5100
    assert 5000 < run(SETTINGS, interrupted, digits, resume=True)["train_seconds"] < 5100


@pytest.mark.parametrize("options, left", [({}, []), ({"checkpoint_seconds": 0}, [4, 3])])
def test_seldom_checkpoints_are_seldom(digits, tmp_path, options, left):
    """A training that ends within its fifth step leaves those of the steps before."""
    steps = itertools.count(1)

    def stop(*_given):
        if next(steps) == 5:
            raise KeyboardInterrupt

    hook = register_optimizer_step_pre_hook(stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(SETTINGS, tmp_path / "a", digits, **options)
    finally:
        hook.remove()
    assert find_checkpoints(tmp_path / "a") == left


def test_a_run_of_before_averaged_weights_goes_on_without_them(
    digits, finished, tmp_path, monkeypatch
):
    """Checkpoints of before do not say that they have none."""
    for folder, settings in (
        (tmp_path / "older", SETTINGS),
        (tmp_path / "other", replace(SETTINGS, weight_averaging=0.5)),
    ):
        interrupt(folder, digits, monkeypatch, step=4, settings=settings)
        for path in folder.glob("checkpoint-*.json"):
            numbers = read_json(path)
            del numbers["run"]["recipe"]["weight_averaging"]
            path.write_text(json.dumps(numbers))
    run(SETTINGS, tmp_path / "older", digits, resume=True)
    assert_same_result(tmp_path / "older", finished)
    with pytest.raises(FileExistsError, match="was started with other recipe; choose another"):
        run(settings, tmp_path / "other", digits, resume=True)
