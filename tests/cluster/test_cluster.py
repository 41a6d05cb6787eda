"""Runs in real worker processes: killed ones, failing ones, and a scheduler started elsewhere."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import dask.config
import psutil
import pytest
import torch
from dask.utils import parse_timedelta

from tests.helpers.cluster_processes import (
    Watch,
    holder,
    newest,
    outcome,
    wait_until,
    workers_below,
)
from whence.cli import main
from whence.cluster import check as cluster_check
from whence.cluster import run_tasks as cluster
from whence.cluster import worker as cluster_worker
from whence.cluster.connect import open_cluster
from whence.cluster.run_tasks import run_all, train_all
from whence.cluster.worker import Task
from whence.runs.settings import Settings
from whence.tables import paper_tables

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")

SETTINGS = Settings(
    data="digits",
    encoder="small_cnn",
    train_examples=30,
    validation_examples=20,
    batch_size=10,
    memory_size=12,
    learning_rate=0.05,
    precision="float32",
    epochs=2,
)
TRAIN = [
    *("train", "digits", "--train-examples", "30", "--validation-examples", "20"),
    *("--batch-size", "10", "--memory-size", "12", "--learning-rate", "0.05"),
    *("--device", "cpu", "--precision", "float32"),
]
OFTEN = ["--checkpoint-seconds", "0", "--epochs", "50"]
STEPS = 150  # of such a run: so many that a signal comes long before its end
RIGHT = re.compile(r"\S+/(\S+): [\d.]+% of 500 test images right(?: \(went on from step (\d+)\))?")
TOY = """
seeds = 2
[settings]
data = "digits"
encoder = "small_cnn"
variant = "{variant}"
train_examples = 40
memory_size = 20
epochs = 1
precision = "float32"
[paper]
table = 1
dataset = "SVHN"
encoder = "Toy"
variant = "{variant}"
train_examples = 40
accuracy = 0.25
accuracy_std = 0.0125
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The same order of additions here and in the workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(one_thread, tmp_path_factory):
    """The runs of ``TRAIN`` and ``OFTEN`` in one process, left alone."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    assert main([*TRAIN, *OFTEN, "--seeds", "2", "--out", str(folder)]) == 0
    return folder


def tasks_of(out, *changes, **options):
    return [
        Task(replace(SETTINGS, seed=seed, **change), out / f"seed-{seed}", Path.cwd(), **options)
        for seed, change in enumerate(changes)
    ]


@pytest.fixture
def interrupt(monkeypatch):
    """Send Ctrl-C to this process once a run is at a step; as a terminal does, to its workers, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    workers = []

    def send(run, step, pids):
        wait_until(lambda: newest(run) >= step, "checkpoint")
        if pids:  # of nannies elsewhere, whose workers get no signal of ours
            workers.extend(filter(None, (holder(run, pid) for pid in pids)))
        else:
            workers.extend(workers_below())
            for worker in workers:
                worker.send_signal(signal.SIGINT)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    def start(run, step, pids=()):
        threading.Thread(target=send, args=(run, step, pids), daemon=True).start()
        return workers

    yield start
    signal.signal(signal.SIGINT, before)


def went_on(err):
    """From each run to the step that its last attempt began at; nothing else may be printed."""
    told = [RIGHT.fullmatch(line) for line in err.splitlines()]
    assert all(told), err  # no chatter of Dask's
    return {line[1]: int(line[2] or 0) for line in told}


# worker processes of this machine ---------------------------------------------------------------


def test_interrupted_then_killed_then_done(alone, tmp_path, capsys, interrupt):
    """Ctrl-C stops one worker; of the next two, one is killed; the bits are those of one process."""
    out = tmp_path / "killed"
    runs = [out / f"seed-{seed}" for seed in range(2)]
    command = [*TRAIN, *OFTEN, "--seeds", "2"]
    environment = dict(os.environ)

    capsys.readouterr()
    workers = interrupt(runs[0], 4)
    assert main([*command, "--workers", "1", "--out", str(out)]) == 130
    assert capsys.readouterr() == (
        "",
        "Stopped; add --resume to go on from the newest checkpoint.\n",
    )
    assert len(workers) == 1
    assert not any(worker.is_running() for worker in workers)
    stopped = newest(runs[0])
    assert 4 <= stopped < STEPS
    assert not (runs[0] / "whence.json").exists()
    assert not runs[1].exists()

    watch = Watch(runs, runs[1], 20, [os.getpid()])
    watch.start()
    more = ["--resume", "--workers", "2", "--out", str(out), "--json"]
    assert main([*command, *more]) == 0
    watch.over.set()
    watch.join()
    text, err = capsys.readouterr()
    assert watch.killed_at >= 20
    assert watch.listening == {"127.0.0.1"}
    for run in runs:
        assert outcome(run) == outcome(alone / run.name), run
        assert len(watch.finished[run]) == 1  # never twice to the end
    steps = went_on(err)
    assert steps.keys() == {run.name for run in runs}
    assert stopped - 1 <= steps["seed-0"] < STEPS
    assert watch.killed_at - 1 <= steps["seed-1"] < STEPS
    found = json.loads(text)
    assert list(found) == [str(run) for run in runs]
    assert found[str(runs[1])] == json.loads((runs[1] / "metrics.json").read_text())
    assert workers_below() == []
    assert dict(os.environ) == environment
    assert not list(tmp_path.rglob(".whence-*"))


def test_a_worker_killed_while_it_starts_comes_back(tmp_path, capfd):
    """Killed when it is there, and its successor before it is: Dask alone would give it up."""
    with open_cluster(tmp_path, scheduler=None, workers=1, device="cpu") as cluster:
        (first,) = workers_below()
        first.kill()
        second = wait_until(lambda: set(workers_below()) - {first}, "successor").pop()
        second.kill()
        (address,) = wait_until(lambda: find_new(cluster, {first, second}), "worker", 120)
        assert cluster.client.submit(os.getpid, workers=[address]).result() == find_pid()
        allowed = dask.config.get("distributed.deploy.lost-worker-timeout")
        assert parse_timedelta(allowed) > 86400
    assert workers_below() == []
    assert "Restarting worker" in (tmp_path / "cluster.log").read_text()
    assert capfd.readouterr() == ("", "")


def find_new(cluster, killed):
    """The workers that the scheduler knows, once their processes are others."""
    alive = [process for process in workers_below() if process not in killed]
    return cluster.find_workers() if alive else []


def find_pid():
    (process,) = workers_below()
    return process.pid


# a scheduler and workers started by hand ----------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """``dask scheduler`` and two ``dask worker`` processes; the address and their process ids.

    The scheduler gives a run up after one killed worker, so that whence itself must notice that
    the run got further.
    """
    folder = tmp_path_factory.mktemp("dask")
    more = {
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "PYTHONPATH": str(Path(__file__).parents[2]),  # the workers call ``die``
    }
    started = []

    def start(name, *words):
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        with (folder / f"{name}.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, env={**os.environ, **more}, cwd=folder
                )
            )
        return started[-1].pid

    file = folder / "scheduler.json"
    start("scheduler", "scheduler", "--port", "0", "--scheduler-file", str(file), "--dashboard-address", "127.0.0.1:0")  # fmt: skip
    wait_until(lambda: file.exists() and file.read_text().endswith("}"), "scheduler")
    address = json.loads(file.read_text())["address"]
    worker = ["worker", address, "--nthreads", "1", "--resources", "run=1", "--memory-limit", "0"]
    workers = [start(f"worker-{number}", *worker) for number in range(2)]
    yield address, workers
    for process in reversed(started):
        process.terminate()
    for process in started:
        process.wait(20)


def test_table_on_a_scheduler(elsewhere, tmp_path, monkeypatch, capsys):
    address, _ = elsewhere
    folder = tmp_path / "cells" / "table-01"
    folder.mkdir(parents=True)
    for variant in ("standard", "memory-wrap"):
        (folder / f"small_cnn-{variant}-40.toml").write_text(TOY.format(variant=variant))
    monkeypatch.setattr(paper_tables, "CELLS", tmp_path / "cells")
    monkeypatch.chdir(tmp_path)  # relative names mean the same on the workers
    command = ["table", "1", "--out"]
    assert main([*command, "alone", "--device", "cpu"]) == 0
    alone = capsys.readouterr().out

    assert main([*command, "runs", "--seeds", "1", "--scheduler", address]) == 0
    capsys.readouterr()
    done = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("whence.json")}
    assert len(done) == 2
    assert main([*command, "runs", "--scheduler", address, "--json"]) == 0
    out, err = capsys.readouterr()
    assert {line.split(":")[0] for line in err.splitlines()} == {
        f"runs/table-01/small_cnn-{variant}-40/seed-1" for variant in ("standard", "memory-wrap")
    }  # what was missing
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())
    assert [len(cell["runs"]) for cell in json.loads(out)["cells"]] == [2, 2]
    assert main([*command, "runs", "--scheduler", address]) == 0  # nothing is missing
    assert capsys.readouterr() == (alone, "")
    for path in Path("alone").glob("*/*/seed-*"):
        assert outcome(path) == outcome(Path("runs") / path.relative_to("alone")), path
    assert not list(tmp_path.rglob(".whence-*"))


def test_images_are_looked_at_first(elsewhere, tmp_path, monkeypatch):
    """What is wrong with them is said once, before a run folder is made."""
    address, _ = elsewhere
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    tasks = tasks_of(Path("runs"), {"data": "photos"}, {"data": "photos"})
    with pytest.raises(ValueError, match=r"photos must hold one folder of images per class"):
        train_all(tasks, Path("runs"), scheduler=address)
    looks = []

    def refuse(task, images):
        looks.append((task.settings.data, images.classes, images.channels))
        raise ValueError("not these")

    tasks = tasks_of(Path("runs"), {}, {"epochs": 3})
    with pytest.raises(ValueError, match="not these"):
        train_all(tasks, Path("runs"), scheduler=address, check=refuse)
    assert looks == [("digits", 10, 1)]  # once for all runs on the same images
    assert not Path("runs").exists()


def test_workers_that_do_not_fit_are_one_sentence(elsewhere, tmp_path, monkeypatch, capsys):
    address, _ = elsewhere
    monkeypatch.setattr(cluster_check, "CONNECT_SECONDS", 1.0)
    command = ["train", "digits", "--seeds", "2", "--out", str(tmp_path / "runs")]

    def complaint(*more):
        assert main([*command, *more]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
        return err

    assert complaint("--scheduler", address, "--device", "cuda") == (
        f"whence: No worker of {address} has the resources for a run; start one with: dask worker "
        f'{address} --nthreads 1 --resources "run=1 GPU=1"\n'
    )
    assert "No Dask scheduler answers at 127.0.0.1:1;" in complaint("--scheduler", "127.0.0.1:1")
    assert "(TLS expects" in complaint("--scheduler", address.replace("tcp", "tls"))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # something else listens there
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        assert f"No Dask scheduler answers at {place};" in complaint("--scheduler", place)


def die(task):
    """Die with the process, as a run that needs too much memory does; or meet a bug."""
    if task.settings.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if task.settings.seed == 3:
        raise RuntimeError("out of\nluck")
    return cluster_worker.work(task)


def test_failing_runs_do_not_stop_the_others(elsewhere, tmp_path, monkeypatch):
    """NaN; a run that always kills its worker; a bug; images too few; and one that is fine."""
    address, _ = elsewhere
    changes = ({"learning_rate": 1e30}, {}, {}, {}, {"memory_size": 31})
    tasks = tasks_of(tmp_path / "runs", *changes)
    said, shown = [], []
    monkeypatch.setattr(cluster, "work", die)
    with open_cluster(tmp_path / "runs", scheduler=address, workers=None, device="cpu") as opened:
        outcomes = run_all(
            opened, tasks, show=lambda compose: shown.append(compose()), say=said.append, retries=1
        )
    problems = [outcome.problem for outcome in outcomes]
    assert problems[0].startswith("The loss became nan at step")
    assert problems[1].startswith("Every worker that took it was killed before its next checkpoint")
    assert problems[2] is None
    assert problems[3] == "RuntimeError: out of luck"
    assert problems[4].startswith("memory_size must be at most 30")
    assert outcomes[2].metrics["test"]["images"] == 500
    assert (tmp_path / "runs" / "seed-2" / "whence.json").exists()
    names = [f"{task.folder} failed" for task in tasks]
    names[2] = str(tasks[2].folder)
    assert sorted(line.split(":")[0] for line in said) == sorted(names)
    assert shown[0] == (
        "0 of 5 runs done, 2 running, 3 waiting; time left not known before the first is done"
    )


def test_killed_and_interrupted_elsewhere(elsewhere, alone, tmp_path, capsys, interrupt):
    """The scheduler gives the killed run up, but it got further; Ctrl-C then restarts its worker."""
    address, pids = elsewhere
    runs = [tmp_path / "runs" / f"seed-{seed}" for seed in range(2)]
    command = [
        *TRAIN,
        *OFTEN,
        "--seeds",
        "2",
        "--scheduler",
        address,
        "--out",
        str(tmp_path / "runs"),
    ]
    watch = Watch(runs, runs[0], 5, pids)
    watch.start()
    workers = interrupt(runs[0], 25, pids)
    assert main(command) == 130
    assert watch.killed_at >= 5
    stopped = newest(runs[0])
    assert stopped >= 25 or outcome(runs[0]) == outcome(alone / "seed-0")  # done while stopping
    assert workers
    assert not any(worker.is_running() for worker in workers)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "Stopped; add --resume to go on from the newest checkpoint."
    watch.over.set()
    watch.join()
    for run in runs:
        assert len(watch.finished[run]) <= 1
    assert all(psutil.pid_exists(pid) for pid in pids)
