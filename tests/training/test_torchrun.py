"""``whence train`` under torchrun: killed, interrupted, refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.helpers.torchrun import ALONE, TORCHRUN
from whence.cli import main
from whence.storage.checkpoint import find_checkpoints


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Count on the same order of additions as in processes with OMP_NUM_THREADS=1."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


TRAIN = [
    *("train", "digits", "--train-examples", "40", "--validation-examples", "20"),
    *("--batch-size", "13", "--memory-size", "15", "--augmentation", "flip", "--epochs", "8"),
    *("--encoder", "timm:test_convnext", "--size", "32", "--learning-rate", "0.02"),
    *("--device", "cpu", "--precision", "float32"),
]


def start(folder, *more):
    return subprocess.Popen(
        [
            *TORCHRUN,
            "-m",
            "whence",
            *TRAIN,
            "--out",
            str(folder),
            "--checkpoint-seconds",
            "0",
            *more,
        ],
        env=ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process, folder, step):
    """Wait for a checkpoint of a step or a later one; the processes must not end before."""
    end = time.monotonic() + 300
    while not folder.exists() or max(find_checkpoints(folder), default=0) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no checkpoint {step}"
        time.sleep(0.005)


def find_process(parent, rank):
    """Find the child of a process with a rank, in Linux's table of processes."""
    for entry in Path("/proc").iterdir():
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if f"RANK={rank}".encode() in variables:
                    return int(entry.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"no process of rank {rank}")


def wait_until_dead(number):
    """Wait until a process has ended, also if its parent has not noticed."""
    end = time.monotonic() + 300
    while Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end, f"process {number} hangs"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_interrupted_and_finished_by_one_process(tmp_path, capsys):
    """SIGKILL for one of two, Ctrl-C for both, then one process to the end: the same as alone."""
    assert main([*TRAIN, "--out", str(tmp_path / "alone")]) == 0
    folder = tmp_path / "killed"

    process = start(folder)
    wait_for(process, folder, 5)
    os.kill(process.pid, signal.SIGSTOP)  # torchrun is not to end the other one
    ranks = [find_process(process.pid, rank) for rank in range(2)]
    os.kill(ranks[1], signal.SIGKILL)
    wait_until_dead(ranks[0])
    os.kill(process.pid, signal.SIGCONT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert errors.count("whence: ") == 1
    assert "whence: Another process of this training stopped, so all do" in errors
    assert not (folder / "whence.json").exists()
    stopped = find_checkpoints(folder)[0]
    assert 5 <= stopped < 20

    process = start(folder, "--resume")
    wait_for(process, folder, stopped + 2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert errors.count("Stopped; add --resume to go on") == 1
    assert "KeyboardInterrupt" not in errors
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "1e30"], "The loss became "),  # every process meets it
        ([], "is not empty; choose another --out"),  # the leader alone does
    ],
)
def test_what_goes_wrong_is_said_once_and_ends_all(tmp_path, options, message):
    if not options:
        (tmp_path / "notes.txt").write_text("mine")
    process = start(tmp_path, *options)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert errors.count("whence: ") == 1
    assert message in errors
    assert "whence/training" not in errors  # of no traceback but torchrun's own
    assert not (tmp_path / "whence.json").exists()
