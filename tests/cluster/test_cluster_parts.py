"""The parts of the work of many processes that need no process: by hand, and with pretended ones."""

import errno
import io
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from whence.cli import main
from whence.cluster import connect as cluster_connect
from whence.cluster import progress
from whence.cluster import run_tasks as cluster
from whence.cluster import worker as cluster_worker
from whence.cluster.check import Cluster, check_machine, check_workers, write_probe
from whence.cluster.local import list_gpus, share_devices
from whence.cluster.progress import Standing, describe, estimate, show_progress
from whence.cluster.run_tasks import Flight, land, run_all, train_all
from whence.cluster.worker import (
    Images,
    Machine,
    Outcome,
    Task,
    check_shared,
    choose_device,
    describe_machine,
    describe_problem,
    load_once,
    look_at_images,
    newest_change,
    newest_step,
    run_when_free,
    work,
)
from whence.records.images import Dataset, ImageSet
from whence.runs.settings import Settings

SETTINGS = Settings(
    data="digits",
    encoder="small_cnn",
    train_examples=20,
    validation_examples=10,
    memory_size=7,
    epochs=1,
    precision="float32",
)
NUMBERS = {"test": {"accuracy": 0.5, "accuracy_draws": None, "images": 8}, "train_seconds": 1.5}


def task_in(folder, **changes):
    names = ("home", "device", "checkpoint_seconds", "probe", "session")
    options = {name: changes.pop(name) for name in names if name in changes}
    return Task(replace(SETTINGS, **changes), folder, options.pop("home", Path.cwd()), **options)


# how long it will take --------------------------------------------------------------------------


def simulate(lengths, workers):
    """Give each run to the worker that is free first, second by second."""
    left, clock, waiting = [0] * workers, 0, list(lengths)
    while waiting or any(left):
        for place, rest in enumerate(left):
            if rest == 0 and waiting:
                left[place] = waiting.pop(0)
        left = [max(rest - 1, 0) for rest in left]
        clock += 1
    return clock


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_estimate_is_a_simulation(workers):
    durations = {"short": [3.0, 5.0], "long": [11.0]}
    waiting = ["long", "short", "short", "long", "short", "long", "long"]
    lengths = [4 if kind == "short" else 11 for kind in waiting]
    assert estimate(durations, [], waiting, workers) == simulate(lengths, workers)


def test_estimate_by_hand():
    known = {"a": [10.0, 20.0], "b": [45.0]}
    assert estimate({}, [("a", 3.0)], ["a"], 2) is None
    assert estimate({"a": []}, [("a", 3.0)], ["a"], 2) is None
    assert estimate(known, [("a", 3.0)], ["a"], 0) is None
    assert estimate(known, [("a", 3.0), ("a", 14.0)], [], 2) == 12.0
    assert estimate(known, [("a", 3.0), ("a", 14.0)], ["a"], 2) == 16.0
    assert estimate(known, [("a", 99.0)], [], 2) == 0.0
    assert estimate(known, [], ["c"], 1) == 25.0  # a kind without a finished run: the mean of all
    assert estimate(known, [("a", 5.0), ("a", 0.0)], ["b"], 1) == 55.0  # a worker was lost


@pytest.mark.parametrize(
    "standing, line",
    [
        (Standing(0, 0, 2, 3, 2, None), "0 of 5 runs done, 2 running, 3 waiting; time left not known before the first is done"),
        (Standing(4, 0, 1, 0, 2, 59.6), "4 of 5 runs done, 1 running; 0:01:00 left, until 09:01"),
        (Standing(1, 1, 0, 3, 0, None), "1 of 5 runs done, 1 failed, 3 waiting; no worker is connected"),
        (Standing(1, 0, 1, 3, 1, 86400.0), "1 of 5 runs done, 1 running, 3 waiting; 1 day, 0:00:00 left, until Sun 09:00"),
        (Standing(1, 0, 1, 3, 1, 864000.0), "1 of 5 runs done, 1 running, 3 waiting; 10 days, 0:00:00 left, until 01 Dec 09:00"),
        (Standing(3, 2, 0, 0, 0, None), "3 of 5 runs done, 2 failed"),
    ],
)  # fmt: skip
def test_the_line(standing, line):
    assert describe(standing, datetime(2026, 11, 21, 9, 0)) == line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_changes(monkeypatch):
    clock, screen = [0.0], Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with show_progress(str.upper) as (show, say):
        show(lambda: "1 of 2")
        say("a sentence")
        clock[0] = 1.0
        show(lambda: "2 of 2")
    text = screen.getvalue()
    assert text.count("\n") == 1
    assert "A SENTENCE\n" in text
    assert text.index("1 of 2") < text.index("A SENTENCE") < text.index("2 of 2")
    assert text.endswith("\r")  # and nothing stays
    assert text.rsplit("\r", 2)[1].strip() == ""


def test_a_file_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = iter([0.0, 59.0, 60.0, 119.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with show_progress() as (show, say):
        for line in ("one", "two", "three"):
            show(lambda line=line: line)
        say("note")
    assert capsys.readouterr() == ("", "two\nnote\n")


@pytest.mark.parametrize(
    "screen, expected", [(Terminal, [0, 10, 20, 30]), (io.StringIO, [600, 1200])]
)
def test_a_line_is_composed_only_to_be_seen(screen, expected, monkeypatch):
    """Tenths of a second, and the tick at which it was composed."""
    clock, composed = [0.0], []
    monkeypatch.setattr(sys, "stderr", screen())
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with show_progress() as (show, _):
        for tick in range(1210 if screen is io.StringIO else 31):
            clock[0] = tick / 10
            show(lambda tick=tick: composed.append(tick) or "line")
    assert composed == expected


def test_the_mean_of_a_kind_is_taken_once(monkeypatch):
    taken = []
    monkeypatch.setattr(progress, "statistics", SimpleNamespace(fmean=lambda each: taken.append(list(each)) or 2.0))  # fmt: skip
    assert estimate({"a": [1.0, 3.0], "b": [2.0], "c": []}, [], ["a", "b", "c"] * 20, 1) == 120.0
    assert taken == [[1.0, 3.0, 2.0], [1.0, 3.0], [2.0]]


# what a worker does -----------------------------------------------------------------------------


@pytest.fixture
def loads(monkeypatch):
    """The settings of every load, of images that take no time."""
    found = []
    images = ImageSet(
        torch.zeros(10, 3, 4, 4, dtype=torch.uint8), torch.arange(10), tuple("abcdefghij")
    )

    def load(settings):
        found.append((settings.data, Path.cwd()))
        return Dataset(settings.data, images, images, notes=("look",))

    monkeypatch.setattr(cluster_worker, "load_data", load)
    monkeypatch.setattr(cluster_worker, "LOADED", {})
    monkeypatch.setattr(cluster_worker, "start", lambda *given: None)
    return found


def test_images_are_loaded_once_per_command(loads, tmp_path):
    task = task_in(tmp_path, session="s")
    first = load_once(task)
    for change in ({"seed": 3}, {"epochs": 5}, {"encoder": "resnet18"}):
        assert load_once(replace(task, settings=replace(SETTINGS, **change))) is first
    assert len(loads) == 1
    for number, other in enumerate(
        [
            replace(task, session="t"),  # the images may have changed in between
            replace(task, home=tmp_path),
            *(
                replace(task, settings=replace(SETTINGS, **change))
                for change in (
                    {"data": "mnist"},
                    {"data_root": "there"},
                    {"size": 5},
                    {"encoder": "torchvision:resnet18"},
                )
            ),
        ]
    ):
        load_once(other)
        assert len(loads) == number + 2
        assert len(cluster_worker.LOADED) == 1  # the images before are let go


def test_settings_that_do_not_fit_are_found_with_the_images(tmp_path):
    """And not by each run in its turn; a finished run has nothing to start."""
    task = task_in(tmp_path / "run", memory_size=21, device="cpu")
    assert look_at_images(task) == (
        "memory_size must be at most 20, the number of training images, got 21."
    )
    assert not task.folder.exists()
    task.folder.mkdir()
    (task.folder / "whence.json").touch()
    assert look_at_images(task) == Images(10, 1, ())


def test_relative_names_start_from_the_home_of_the_command(loads, tmp_path, monkeypatch):
    before = Path.cwd()
    found = []
    monkeypatch.setattr(
        cluster_worker, "run", lambda *given, **options: found.append(Path.cwd()) or NUMBERS
    )
    assert look_at_images(task_in(Path("runs"), home=tmp_path)) == Images(10, 3, ("look",))
    assert work(task_in(Path("runs"), home=tmp_path)).metrics == NUMBERS
    assert loads == [("digits", tmp_path)]
    assert found == [tmp_path]
    assert Path.cwd() == before


def test_work_reports_numbers_seconds_and_what_was_said(loads, tmp_path, monkeypatch, capsys):
    def pretend(settings, folder, dataset, *, resume, device, checkpoint_seconds):
        assert (settings, folder, dataset.name) == (task.settings, task.folder, "digits")
        assert (resume, device, checkpoint_seconds) == (True, "cpu", 7.0)
        assert not sys.stderr.isatty()
        sys.stderr.write("careful\n")
        return NUMBERS

    monkeypatch.setattr(cluster_worker, "run", pretend)
    task = task_in(tmp_path / "run", device="cpu", checkpoint_seconds=7.0)
    task.folder.mkdir()
    assert work(task) == Outcome(NUMBERS, None, 1.5, ("careful",), 0)
    (task.folder / "checkpoint-12.json").touch()
    (task.folder / "checkpoint-3.safetensors").touch()
    assert work(task).step == newest_step(task.folder) == 12
    monkeypatch.setattr(cluster_worker, "run", lambda *given, **options: time.sleep(0.02) or {**NUMBERS, "train_seconds": 0.0})  # fmt: skip
    assert 0.02 <= work(task).seconds < 1.5
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error, problem",
    [
        (ValueError("loss is NaN."), "loss is NaN."),
        (FileNotFoundError("no file."), "no file."),
        (FileExistsError("other run."), "other run."),
        (PermissionError("not yours."), "not yours."),
        (ModuleNotFoundError("install timm."), "install timm."),
        (OSError(errno.ENOSPC, "full", "a/b"), "No space left on the disk of a/b."),
        (OSError(errno.EDQUOT, "full"), "No space left on the disk of the run folder."),
        (OSError(errno.EIO, "broken"), None),
        (ModuleNotFoundError("No module named 'x'", name="x"), None),
        (ConnectionError("no network"), None),
        (RuntimeError("out of memory"), None),
        (KeyError("bug"), None),
    ],
    ids=repr,
)
def test_errors_of_the_user_become_sentences(loads, tmp_path, monkeypatch, error, problem):
    """The others are raised, so that the scheduler tries again."""

    def fail(*given, **options):
        raise error

    monkeypatch.setattr(cluster_worker, "run", fail)
    task = task_in(tmp_path / "run")
    if problem is None:
        with pytest.raises(type(error)):
            work(task)
        with pytest.raises(type(error)):
            describe_problem(error)
        return
    found = work(task)
    assert (found.metrics, found.problem) == (None, problem)
    monkeypatch.setattr(cluster_worker, "load_data", fail)
    assert look_at_images(replace(task, session="other")) == problem


def test_one_training_at_a_time_in_a_process(loads, tmp_path, monkeypatch):
    at_work, most = [], []

    def slow(*given, **options):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.02)
        at_work.pop()
        return NUMBERS

    monkeypatch.setattr(cluster_worker, "run", slow)
    threads = [threading.Thread(target=work, args=(task_in(tmp_path),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]


def test_a_run_that_another_writes_is_waited_for(tmp_path, monkeypatch):
    """Here the other one lives on and finishes; the second finds the run done and trains nothing."""
    monkeypatch.setattr(cluster_worker, "LOCK_SECONDS", 0.01)
    task = task_in(tmp_path / "run", device="cpu")
    dataset = load_once(task)
    other = task_in(tmp_path / "other", device="cpu")
    expected = run_when_free(other, dataset, "cpu")
    task.folder.mkdir()
    tries = []

    def count(*given, run=cluster_worker.run, **options):
        tries.append(1)
        if len(tries) == 4:
            for path in other.folder.iterdir():
                if path.name != ".lock":
                    (task.folder / path.name).write_bytes(path.read_bytes())
            lock.release()
        return run(*given, **options)

    monkeypatch.setattr(cluster_worker, "run", count)
    lock = FileLock(task.folder / ".lock")
    lock.acquire()
    assert run_when_free(task, dataset, "cpu") == expected
    assert len(tries) == 4


def test_a_writer_that_shows_no_life_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_worker, "LOCK_SECONDS", 0.01)
    monkeypatch.setattr(cluster_worker, "PATIENCE", 0.05)
    task = task_in(tmp_path / "run")
    task.folder.mkdir()
    lines = []

    def busy(*given, **options):
        if len(lines) < 12:  # for longer than the patience there is a new line
            lines.append(1)
            (task.folder / "log.jsonl").write_text("x" * len(lines))
            os.utime(task.folder / "log.jsonl", ns=(0, len(lines)))
        try:
            raise cluster_worker.Timeout("lock")
        except cluster_worker.Timeout as error:
            raise FileExistsError("being written to") from error

    monkeypatch.setattr(cluster_worker, "run", busy)
    started = time.monotonic()
    with pytest.raises(FileExistsError, match="being written to"):
        run_when_free(task, None, "cpu")
    assert time.monotonic() - started >= 0.15
    assert len(lines) == 12

    tries = []

    def another_run(*given, **options):
        tries.append(1)
        raise FileExistsError("started with another epochs")

    monkeypatch.setattr(cluster_worker, "run", another_run)
    with pytest.raises(FileExistsError, match="another epochs"):
        run_when_free(task, None, "cpu")
    assert len(tries) == 1


def test_signs_of_life(tmp_path):
    assert newest_change(tmp_path / "absent") == newest_change(tmp_path) == 0
    for name, at in ((".lock", 90), ("log.jsonl", 30), ("settings.toml", 20)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, at))
    assert newest_change(tmp_path) == 30  # whoever asks for the lock may touch it
    assert newest_step(tmp_path / "absent") == newest_step(tmp_path) == 0


def test_a_worker_on_another_file_system_is_refused(loads, tmp_path):
    with write_probe(tmp_path / "not" / "there") as (probe, session):
        assert probe.parent == tmp_path
        check_shared(task_in(tmp_path, probe=probe, session=session))
        found = describe_machine(probe, tmp_path)
        assert (found.token, found.has_home) == (session, True)
        with pytest.raises(ValueError, match=rf"does not see {tmp_path} as .* all workers share"):
            check_shared(task_in(tmp_path, probe=probe, session="another"))
    assert list(tmp_path.iterdir()) == []
    found = describe_machine(probe, tmp_path / "absent")
    assert (found.token, found.has_home) == (None, False)
    problem = work(task_in(tmp_path / "run", probe=probe, session=session)).problem
    assert "does not see" in problem
    assert list(tmp_path.iterdir()) == []


def test_device_of_a_worker(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (choose_device(None), choose_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(ValueError, match=r"device cuda needs a GPU, the worker on .* sees none"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name) for name in (None, "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


# workers of this machine ------------------------------------------------------------------------


def test_shares_of_local_workers(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)), raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    shares = share_devices(5, "cuda")
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0", "1", "2", "0", "1"]
    assert {share["OMP_NUM_THREADS"] for share in shares} == {"1"}
    assert share_devices(2, "cpu") == [{"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "3"}] * 2
    assert share_devices(9, "cpu")[8]["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert share_devices(2, "cuda:1") == [{"CUDA_VISIBLE_DEVICES": "1"}] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-7,5")
    assert (list_gpus(None), list_gpus("cuda:1")) == (["4", "GPU-7", "5"], ["GPU-7"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert list_gpus(None) == []
    assert share_devices(1, None) == [{"CUDA_VISIBLE_DEVICES": ""}]


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


@pytest.mark.parametrize("seen", [True, False])
def test_the_line_of_progress_costs_little(quick, seen, tmp_path, monkeypatch):
    """What does not change is computed once, and what nobody sees never."""
    copied, composed, ticks = [], [], []

    def copy(settings, **changes):
        copied.append(settings)
        return replace(settings, **changes)

    def count(*given, describe_all=cluster.describe_all):
        composed.append(1)
        return describe_all(*given)

    def show(compose):
        ticks.append(1)
        if seen:
            compose()

    monkeypatch.setattr(cluster, "replace", copy)
    monkeypatch.setattr(cluster, "describe_all", count)
    tasks = [task_in(tmp_path / str(seed), seed=seed) for seed in range(5)]
    run_all(cluster_of(Client([FINE] * 5)), tasks, show=show, say=str)
    assert len(ticks) >= 10
    assert len(composed) == (len(ticks) if seen else 0)
    assert copied == [task.settings for task in tasks]


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
    fine = Machine("m", "0.1.0", "session", True)
    check_machine(fine, "w", opened)
    for change, message in (
        ({"version": "0.0.9"}, r"worker w on m must have whence 0\.1\.0 .* it has 0\.0\.9\."),
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
