"""What a worker process does, without one."""

import errno
import gc
import math
import os
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests.helpers.bad_input import write_images
from tests.helpers.cluster_tasks import NUMBERS, SETTINGS, task_in
from whence.cluster import worker as cluster_worker
from whence.cluster.check import write_probe
from whence.cluster.worker import (
    Images,
    Outcome,
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
from whence.runs.folder import SETTINGS as SETTINGS_FILE
from whence.runs.where import AS_SETTINGS_SAY
from whence.storage.whole_files import write_whole

# what a worker does -----------------------------------------------------------------------------


@pytest.fixture
def loads(monkeypatch):
    """The settings of every load, of images that take no time."""
    found = []
    images = ImageSet(
        torch.zeros(10, 3, 4, 4, dtype=torch.uint8), torch.arange(10), tuple("abcdefghij")
    )

    def load(settings, where):
        assert where == AS_SETTINGS_SAY
        found.append((settings.data, Path.cwd()))
        return Dataset(settings.data, images, images, notes=("look",))

    monkeypatch.setattr(cluster_worker, "load_to_train", load)
    monkeypatch.setattr(cluster_worker, "LOADED", {})
    monkeypatch.setattr(cluster_worker, "start", lambda *given: None)
    return found


def test_images_are_loaded_once_per_command(tmp_path):
    write_images(tmp_path / "photos", "ab")
    task = task_in(tmp_path, session="s")
    for other in (
        replace(task, session="t"),  # the images may have changed in between
        replace(task, home=tmp_path),
        *(
            replace(task, settings=replace(SETTINGS, **change))
            for change in (
                {
                    "data": str(tmp_path / "photos"),
                    "train_examples": 6,
                    "validation_examples": 2,
                },
                {"data_root": "there"},
                {"size": 5},
                {"encoder": "torchvision:resnet18"},
            )
        ),
    ):
        first = load_once(task)[0]
        for change in ({"seed": 3}, {"epochs": 5}, {"encoder": "resnet18"}):
            assert load_once(replace(task, settings=replace(SETTINGS, **change)))[0] is first
        before = weakref.ref(first)
        del first
        assert load_once(other)[0] is load_once(other)[0]
        gc.collect()
        assert before() is None  # the images before are let go


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
    def pretend(settings, folder, dataset, **options):
        assert (settings, folder, dataset.name) == (task.settings, task.folder, "digits")
        assert options == {
            "resume": True,
            "device": "cpu",
            "checkpoint_seconds": 7.0,
            "line_seconds": math.inf,
            "features_folder": kept,
            "pooled": None,
        }
        assert not sys.stderr.isatty()
        sys.stderr.write("careful\n")
        return NUMBERS

    monkeypatch.setattr(cluster_worker, "run", pretend)
    kept = tmp_path / "features"
    task = task_in(tmp_path / "run", device="cpu", checkpoint_seconds=7.0, features_folder=kept)
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
    monkeypatch.setattr(cluster_worker, "load_to_train", fail)
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
    dataset, _ = load_once(task)
    other = task_in(tmp_path / "other", device="cpu")
    expected = run_when_free(other, dataset, "cpu")
    task.folder.mkdir()
    lock = FileLock(task.folder / ".lock", thread_local=False)
    lock.acquire()

    def finish():  # as a training writes: its settings first, every file whole
        names = {path.name for path in other.folder.iterdir()} - {".lock", SETTINGS_FILE}
        for name in (SETTINGS_FILE, *sorted(names)):
            write_whole(task.folder / name, (other.folder / name).read_bytes())
        lock.release()

    threading.Timer(0.2, finish).start()
    assert run_when_free(task, dataset, "cpu") == expected
    assert (task.folder / "log.jsonl").read_bytes() == (other.folder / "log.jsonl").read_bytes()


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


def test_a_run_that_is_another_one_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_worker, "PATIENCE", math.inf)
    task = task_in(tmp_path / "run", device="cpu")
    dataset, _ = load_once(task)
    run_when_free(task, dataset, "cpu")
    with pytest.raises(FileExistsError, match="another epochs"):
        run_when_free(replace(task, settings=replace(SETTINGS, epochs=2)), dataset, "cpu")


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
