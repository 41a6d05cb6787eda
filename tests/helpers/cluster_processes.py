"""Real processes for the tests of worker processes: finding, killing, waiting."""

import json
import threading
import time

import psutil

from whence.storage.checkpoint import find_checkpoints

TIMES = ("train_seconds",)


def outcome(folder):
    """Everything in a finished run that must not depend on where and how often it was started."""
    metrics = json.loads((folder / "metrics.json").read_text())
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    numbers = {name: value for name, value in metrics.items() if name not in TIMES}
    return {**files, "metrics.json": numbers}


def workers_below(pid=None):
    """The worker processes that a process, or one below it, started."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if any("spawn_main" in word for word in process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def holder(run, pid=None):
    """The worker process that holds the lock of a run."""
    for process in workers_below(pid):
        try:
            if any(opened.path == str(run / ".lock") for opened in process.open_files()):
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def listening(process):
    """The addresses at which a process waits for others."""
    return {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}


def newest(run):
    return max(find_checkpoints(run), default=0) if run.is_dir() else 0


def wait_until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.01)
    return found


class Watch(threading.Thread):
    """Kills the worker of one run once it has a checkpoint, and counts how runs are finished."""

    def __init__(self, runs, victim, step, pids):
        super().__init__(daemon=True)
        self.runs, self.victim, self.step, self.pids = runs, victim, step, pids
        self.killed_at = None
        self.listening = set()
        self.finished = {run: set() for run in runs}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.005):
            for run in self.runs:
                try:
                    about = (run / "metrics.json").stat()
                except FileNotFoundError:
                    continue
                self.finished[run].add((about.st_ino, about.st_mtime_ns))
            if self.killed_at is None and newest(self.victim) >= self.step:
                self.kill()

    def kill(self):
        for pid in self.pids:
            process = holder(self.victim, pid)
            if process is not None:
                self.listening = listening(process) | listening(psutil.Process())
                process.kill()
                process.wait()
                self.killed_at = newest(self.victim)
                return
