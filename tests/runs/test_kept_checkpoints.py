"""The model as it was after some epochs: kept whole, the same after an interruption, and checked."""

import json
from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.run_folders import SETTINGS, interrupt, names_in
from whence.runs.kept_checkpoints import KEPT_FOLDER, find_kept, keep_epoch, read_kept_encoder
from whence.runs.run import run

KEEPING = replace(SETTINGS, keep_checkpoints=1)


@pytest.fixture(scope="module")
def kept(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    run(KEEPING, folder, digits)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / KEPT_FOLDER).iterdir()}


def test_the_start_and_every_epoch_are_kept_and_change_nothing(kept, finished):
    assert find_kept(kept) == [0, *range(1, SETTINGS.epochs + 1)]
    assert sorted(contents(kept)) == sorted(
        f"epoch-{epoch}.{kind}"
        for epoch in range(SETTINGS.epochs + 1)
        for kind in ("json", "safetensors")
    )
    assert set(names_in(kept)) - {KEPT_FOLDER} == set(names_in(finished))
    one, other = whence.load(kept), whence.load(finished)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_the_last_one_is_the_model_and_the_first_is_not(kept):
    model = whence.load(kept)
    last = read_kept_encoder(kept, model, SETTINGS.epochs)
    first = read_kept_encoder(kept, model, 0)
    weight = model.encoder[0].weight
    assert torch.equal(last[0].weight, weight)
    assert not torch.equal(first[0].weight, weight)
    assert not any(part.training for part in last.modules())
    last[0].weight.data.zero_()
    assert weight.any()  # a module of its own


def test_every_second_epoch(digits, tmp_path):
    run(replace(SETTINGS, keep_checkpoints=2, epochs=3), tmp_path / "run", digits)
    assert find_kept(tmp_path / "run") == [0, 2]


def test_an_interrupted_run_keeps_the_same_bytes(digits, kept, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupt(folder, digits, monkeypatch, step=4, settings=KEEPING)
    assert find_kept(folder) == [0, 1]
    keep_epoch(folder, torch.nn.Linear(1, 1), 2)  # as a start that came farther had left it
    (folder / KEPT_FOLDER / "epoch-7.safetensors").write_bytes(b"half")
    run(KEEPING, folder, digits, resume=True)
    assert contents(folder) == contents(kept)


def test_half_a_pair_is_passed_over_and_a_damaged_one_refused(kept, tmp_path):
    model = whence.load(kept)
    folder = tmp_path / "run"
    keep_epoch(folder, model, 1)
    keep_epoch(folder, model, 2)
    path = folder / KEPT_FOLDER / "epoch-1.safetensors"
    path.with_suffix(".json").unlink()
    assert find_kept(folder) == [2]
    with pytest.raises(FileNotFoundError, match=r"epoch-1.json is missing"):
        read_kept_encoder(folder, model, 1)
    path = folder / KEPT_FOLDER / "epoch-2.safetensors"
    path.with_suffix(".json").write_text(json.dumps({"epoch": 2, "sha256": "0"}))
    with pytest.raises(ValueError, match="must have the hash in its JSON, it is damaged"):
        read_kept_encoder(folder, model, 2)
    keep_epoch(folder, torch.nn.Linear(1, 1), 3)
    with pytest.raises(ValueError, match="must hold mean"):
        read_kept_encoder(folder, model, 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keep_checkpoints": 0}, "keep_checkpoints must be at least 1, got 0"),
        (
            {"keep_checkpoints": 1, "freeze_encoder": True, "weights": "default"},
            "keep_checkpoints is for encoders that learn, a frozen one stays as it is",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    digits, tmp_path, changes, message
):
    with pytest.raises(ValueError, match=message):
        run(replace(SETTINGS, **changes), tmp_path / "run", digits)
    assert not (tmp_path / "run").exists()
