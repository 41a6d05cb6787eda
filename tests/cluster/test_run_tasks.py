"""The side of the command: runs are given to pretended workers."""

import re
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.cluster_tasks import NUMBERS, task_in
from whence.cli import main
from whence.cluster import connect as cluster_connect
from whence.cluster import progress
from whence.cluster import run_tasks as cluster
from whence.cluster.check import Cluster, check_machine, check_workers
from whence.cluster.run_tasks import Flight, land, run_all, train_all
from whence.cluster.worker import (
    Machine,
    Outcome,
)

# the side of the command ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        (["--workers", "0"], "workers must be at least 1, got 0."),
        (["--workers", "-2"], "workers must be at least 1, got -2."),
        (["--workers", "two"], "workers must be a whole number, got 'two'."),
        (["--workers", "2", "--scheduler", "a:1"], "give one of the two."),
        (["--scheduler", "somewhere"], "such as tcp://10.0.0.1:8786, got 'somewhere'."),
        (["--scheduler", "http://a:1"], "got 'http://a:1'."),
        (["--scheduler", "tcp://a:65536"], "got 'tcp://a:65536'."),
        (["--scheduler", "a:1", "--device", "cuda:1"], "device must be cpu or cuda with a sch"),
        (["--scheduler", "a:1", "--device", "tpu"], "device must be cpu or cuda, got 'tpu'."),
    ],
)
@pytest.mark.parametrize("command", ["train", "table"])
def test_options_that_do_not_fit(command, options, message, tmp_path, capsys):
    words = {"train": ["digits", "--seeds", "2"], "table": ["1", "--encoder", "resnet18"]}[command]
    assert main([command, *words, *options, "--out", str(tmp_path / "runs")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_one_run_has_nothing_to_share(tmp_path, capsys):
    assert main(["train", "digits", "--workers", "2", "--out", str(tmp_path / "run")]) == 2
    assert "workers and scheduler are for several runs; add --seeds N." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = ["train", "digits", "--seeds", "2", "--workers", "2", "--out", str(tmp_path / "r")]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "whence: Runs in worker processes need Dask's distributed; install it with: "
        "python -m pip install distributed\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_help_loads_neither_torch_nor_dask():
    code = (
        "import sys; from whence.cli import main\n"
        "for name in ('train', 'table'):\n"
        "    try: main([name, '--help'])\n"
        "    except SystemExit: pass\n"
        "print(sorted({'torch', 'distributed', 'dask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("[--workers N]") == 2
    assert done.stdout.count("[--scheduler ADDRESS]") == 2
    assert done.stdout.endswith("\n[]\n")


def test_nothing_to_do_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "open_cluster", None)
    assert train_all([], tmp_path, workers=3) == []
    with pytest.raises(ValueError, match="workers must be at least 1"):
        train_all([], tmp_path, workers=0)


class Client:
    """A pretended Dask client: every run is done when it is looked at for the second time."""

    def __init__(self, results, resources=({"run": 1.0},)):
        self.results, self.calls = list(results), []
        self.workers = {f"w{n}": {"resources": each} for n, each in enumerate(resources)}
        self.open = self.most = 0

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": self.workers}

    def submit(self, function, task, *, key, retries, resources):
        self.calls.append((task.settings.seed, retries, resources))
        self.open += 1
        self.most = max(self.most, self.open)
        return Pretended(self, self.results.pop(0))

    def processing(self):
        return {}

    def cancel(self, futures, force):
        assert force
        self.cancelled = futures


class Pretended:
    def __init__(self, client, result):
        self.client, self.looks, self.result_, self.key = client, 0, result, id(self)

    def done(self):
        self.looks += 1
        if self.looks == 2:
            self.client.open -= 1
        return self.looks >= 2

    @property
    def status(self):
        if isinstance(self.result_, BaseException):
            return "error"
        return "finished" if isinstance(self.result_, Outcome) else self.result_

    def result(self):
        return self.result_

    def exception(self):
        return self.result_


class KilledWorker(Exception):  # noqa: N818
    """Of the name of Dask's."""


def cluster_of(client, address="a:1", **needs):
    return Cluster(client, address, needs or {"run": 1}, "session", Path("probe"), Path.cwd())


FINE = Outcome(NUMBERS, None, 10.0)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(cluster, "TICK", 0.0)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.0)


def test_never_more_runs_at_a_time_than_workers(quick, tmp_path):
    needed = {"run": 1.0, "GPU": 1.0}
    client = Client([FINE] * 5, [{}, needed, {"run": 1.0}, {"run": 4.0, "GPU": 2.0}])
    tasks = [task_in(tmp_path / str(seed), seed=seed) for seed in range(5)]
    said, shown = [], []
    found = run_all(
        cluster_of(client, run=1, GPU=1),
        tasks,
        show=lambda compose: shown.append(compose()),
        say=said.append,
        retries=2,
    )
    assert found == [FINE] * 5
    assert client.most == 2  # the other two lack a GPU
    assert client.calls == [(seed, 2, {"run": 1, "GPU": 1}) for seed in range(5)]
    assert said == [f"{task.folder}: 50.00% of 8 test images right" for task in tasks]
    assert shown[0].startswith("0 of 5 runs done, 2 running, 3 waiting; time left not known")
    assert shown[-1].startswith("4 of 5 runs done, 1 running; 0:00:")


def test_workers_that_come_later_get_their_share(quick, tmp_path):
    client = Client([FINE] * 6)
    tasks = [task_in(tmp_path / str(seed), seed=seed) for seed in range(6)]

    def show(compose):
        if compose().startswith("2 of 6"):
            client.workers |= {"late": {"resources": {"run": 1.0}}}

    run_all(cluster_of(client), tasks, show=show, say=str)
    assert client.most == 2


def test_runs_of_one_kind_differ_by_their_seed_alone(tmp_path):
    changes = [{"seed": 1}, {"epochs": 2}, {"seed": 3}, {"data": "mnist"}, {"epochs": 2, "seed": 4}]
    tasks = [task_in(tmp_path / str(place), **each) for place, each in enumerate(changes)]
    assert cluster.number_kinds(tasks) == [0, 1, 0, 2, 1]


def test_a_killed_run_is_given_again_only_if_it_got_further(quick, tmp_path):
    """It dies three times: at step 5, at step 9, and then without a new checkpoint."""
    task = task_in(tmp_path / "run")
    task.folder.mkdir()
    steps = iter([5, 9])

    class Dying(Client):
        def submit(self, *given, **options):
            future = super().submit(*given, **options)
            step = next(steps, None)
            if step is not None:
                future.done = lambda: (task.folder / f"checkpoint-{step}.json").touch() or True
            return future

    said = []
    client = Dying([KilledWorker("task")] * 4)
    (found,) = run_all(cluster_of(client), [task], show=id, say=said.append)
    assert len(client.calls) == 3
    assert said == [f"{task.folder} failed: {found.problem}"]
    assert found.problem.startswith("Every worker that took it was killed before its next")
    assert found.metrics is None


def test_how_a_flight_ends(tmp_path):
    opened, task = cluster_of(None), task_in(tmp_path)
    flight = Flight(Pretended(None, RuntimeError("CUDA\nout of memory")), time.monotonic() - 5, 0)
    found = land(opened, task, flight)
    assert found.problem == "RuntimeError: CUDA out of memory"
    assert 5 <= found.seconds < 60
    for status in ("cancelled", "lost"):
        with pytest.raises(ConnectionError, match="connection to the scheduler at a:1 is lost"):
            land(opened, task, replace(flight, future=Pretended(None, status)))


def test_lines_of_the_training_are_passed_on(tmp_path):
    said = []
    outcome = Outcome(NUMBERS, None, 1.0, ("UserWarning: slow",), 40)
    cluster.report(task_in(Path("r/seed-0")), outcome, said.append)
    assert said == [
        "r/seed-0: UserWarning: slow",
        "r/seed-0: 50.00% of 8 test images right (went on from step 40)",
    ]
    drawn = {"test": {"accuracy": 0.5, "accuracy_draws": {"mean": 0.25}, "images": 8}}
    assert progress.describe_result(Path("r"), drawn) == "r: 25.00% of 8 test images right"


def test_without_workers_the_command_ends(quick, tmp_path, monkeypatch):
    client = Client(["pending"] * 2)
    task, shown = task_in(tmp_path), []
    future = Future()
    client.submit = lambda *given, **options: future

    def show(compose):
        assert time.monotonic() < end, "waits for ever"
        shown.append(compose())
        client.workers = {}

    future.key, end = "k", time.monotonic() + 10
    monkeypatch.setattr(cluster, "ALONE_SECONDS", 0.05)
    with pytest.raises(ConnectionError, match=r"lost; every run can go on from its newest"):
        run_all(cluster_of(client), [task], show=show, say=str)
    assert shown[-1] == "0 of 1 runs done, 1 running; no worker is connected"
    assert client.cancelled == [future]

    def gone(n_workers):
        raise OSError("closed")

    client.scheduler_info = gone
    with pytest.raises(ConnectionError, match="connection to the scheduler at a:1 is lost"):
        cluster_of(client).find_workers()
    with pytest.raises(ConnectionError, match="the scheduler of the local workers is lost"):
        cluster_of(client, None).find_workers()


def test_only_the_workers_at_our_runs_are_stopped(tmp_path):
    restarts, said = [], []
    client = Client([])
    futures = [SimpleNamespace(key="a"), SimpleNamespace(key="b")]
    client.processing = lambda: {"w0": ("x", "a"), "w1": ("y",), "w2": ("b",), "w3": ()}
    client.restart_workers = lambda workers, **options: restarts.append(workers)
    cluster_connect.stop_runs(cluster_of(client), futures, said.append)
    assert (client.cancelled, restarts, said) == (futures, [["w0", "w2"]], [])

    def refuse(workers, **options):
        raise ValueError("no nanny")

    client.restart_workers = refuse
    cluster_connect.stop_runs(cluster_of(client), futures, said.append)
    assert said == ["Not every worker could be stopped (no nanny); it ends after the run it is at."]
    cluster_connect.stop_runs(cluster_of(None, None), futures, said.append)  # local: closed later


def test_workers_are_checked(tmp_path):
    opened = replace(cluster_of(None), probe=tmp_path / "p", home=tmp_path / "h")
    own = version("whence")
    fine = Machine("m", own, "session", True)
    check_machine(fine, "w", opened)
    for change, message in (
        (
            {"version": "0.0.9"},
            rf"worker w on m must have whence {re.escape(own)} .* it has 0\.0\.9\.",
        ),
        ({"token": None}, rf"does not see {tmp_path} as this machine does; put --out"),
        ({"token": "other"}, r"does not see .* put --out on a file system that all workers share"),
        ({"has_home": False}, rf"does not see {tmp_path}/h; start whence in a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            check_machine(replace(fine, **change), "w", opened)

    def answer(*found):
        client = SimpleNamespace(run=lambda *a, workers, on_error: dict(zip(workers, found)))  # noqa: B905
        check_workers(replace(opened, client=client), ["w0", "w1"])

    answer(fine, OSError("gone"))
    with pytest.raises(ValueError, match=r"worker w1 has no whence \(No module named 'whence'\)"):
        answer(fine, ModuleNotFoundError("No module named 'whence'"))
    with pytest.raises(KeyError):
        answer(fine, KeyError("bug"))
    with pytest.raises(ValueError, match="it has 9"):
        answer(fine, replace(fine, version="9"))


def test_torchrun_and_workers_exclude_each_other(monkeypatch, capsys):
    from whence.cli import main

    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "digits", "--seeds", "2", "--workers", "2", "--device", "cpu"]) == 2
    assert "leave one of them out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command, said",
    [("train", "add --resume"), ("demo", "the same command goes on"), ("predict", "Stopped.")],
)
def test_ctrl_c_says_how_to_go_on(command, said, monkeypatch, capsys):
    from whence import cli

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "COMMANDS", type("Table", (), {"find": lambda _self, _name: stop})())
    assert cli.main([command]) == 130
    assert said in capsys.readouterr().err
