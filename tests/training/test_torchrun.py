"""``whence train`` by two processes: killed, interrupted, refused, and once under torchrun."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.helpers.forked import start_pair
from whence.cli import main
from whence.storage.checkpoint import find_checkpoints

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Count on the same order of additions as in processes with OMP_NUM_THREADS=1."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SMALL = [
    *("train", "digits", "--train-examples", "40", "--validation-examples", "20"),
    *("--batch-size", "13", "--memory-size", "15", "--device", "cpu", "--precision", "float32"),
]
TRAIN = [
    *(*SMALL, "--augmentation", "flip", "--epochs", "8"),
    *("--encoder", "timm:test_convnext", "--size", "32", "--learning-rate", "0.02"),
]


def start(folder, place, *more):
    often = ["--checkpoint-seconds", "0"]
    return start_pair(main, [*TRAIN, *often, "--out", str(folder), *more], place=place)


def test_killed_interrupted_and_finished_by_one_process(tmp_path, capsys):
    """SIGKILL for one of two, Ctrl-C for both, then one process to the end: the same as alone."""
    assert main([*TRAIN, "--out", str(tmp_path / "alone")]) == 0
    folder = tmp_path / "killed"

    pair = start(folder, tmp_path / "first")
    pair[0].wait_for_step(folder, 5)
    pair[1].send(signal.SIGKILL)
    assert pair[1].wait()[0] == -signal.SIGKILL
    code, _, errors = pair[0].wait()
    assert code == 2
    assert errors.count("whence: ") == 1
    assert "whence: Another process of this training stopped, so all do" in errors
    assert not (folder / "whence.json").exists()
    stopped = find_checkpoints(folder)[0]
    assert 5 <= stopped < 20

    pair = start(folder, tmp_path / "second", "--resume")
    pair[0].wait_for_step(folder, stopped + 2)
    for process in pair:
        process.send(signal.SIGINT)
    (code, _, errors), (_, _, other) = (process.wait() for process in pair)
    assert code == 130
    assert errors.count("Stopped; add --resume to go on") == 1
    assert "KeyboardInterrupt" not in errors
    assert other == ""
    assert stopped + 2 <= find_checkpoints(folder)[0] < 24
    assert not (folder / "whence.json").exists()

    capsys.readouterr()
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 0
    logs = [
        [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
        for place in (folder, tmp_path / "alone")
    ]
    assert [line["epoch"] for line in logs[0]] == list(range(1, 9))
    losses, alone = ([line["loss"] for line in log] for log in logs)
    assert alone[-1] < 0.8 * alone[0]
    assert_close(losses, alone, rtol=1e-5, atol=0)
    states = [load_file(place / "model.safetensors") for place in (folder, tmp_path / "alone")]
    assert_close(states[0], states[1], rtol=1e-4, atol=1e-5)


def test_what_goes_wrong_for_the_leader_is_said_once_and_ends_all(tmp_path):
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    pair = start_pair(main, [*SMALL, "--out", str(folder)], place=tmp_path)
    (code, _, errors), (_, _, other) = (process.wait() for process in pair)
    assert code == 2
    assert errors.count("\n") == 1
    assert "is not empty; choose another --out" in errors
    # torch itself may warn that the leader's connection is gone
    assert "is not empty" not in other
    assert "Traceback" not in other
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_what_goes_wrong_for_all_is_said_once_under_torchrun(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = ["-m", "whence", *SMALL, "--learning-rate", "1e30", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*torchrun, *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("whence: ") == 1
    assert "The loss became " in done.stderr
    assert "whence/training" not in done.stderr  # of no traceback but torchrun's own
    assert not (tmp_path / "run" / "whence.json").exists()
