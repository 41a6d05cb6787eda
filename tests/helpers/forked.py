"""Processes of Python that begin with everything imported, for tests that kill and interrupt them.

One server a session imports once, and each process is a fork of it: the same seam as a command of
its own, without the seconds of its start.
"""

import multiprocessing
import os
import signal
import socket
import sys
import time
from pathlib import Path

from whence.storage.checkpoint import find_checkpoints

IMPORTED = ["whence.cli.work.train", "whence.cli.work.train_vae", "sklearn.datasets", "timm"]


class Forked:
    """A process that calls a function, with what it prints in files.

    Args:
        function: what to call; its result is the exit code.
        given: its arguments.
        place: folder of the files, which is made.
        variables: of the environment, beside one thread.
    """

    def __init__(self, function, *given, place, **variables):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.process = context.Process(target=work, args=(function, given, place, variables))
        self.process.start()
        self.pid = self.process.pid

    def wait(self, seconds=300):
        """Wait for the end, and return the exit code and what was printed."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"process {self.pid} hangs"
        return self.process.exitcode, *(read(self.place / name) for name in ("out", "err"))

    def send(self, number):
        os.kill(self.pid, number)

    def wait_for_step(self, folder, step):
        """Wait for a checkpoint of a step or a later one; the process must not end before."""
        end = time.monotonic() + 300
        while not folder.exists() or max(find_checkpoints(folder), default=0) < step:
            assert self.process.is_alive(), self.wait()
            assert time.monotonic() < end, f"no checkpoint {step}"
            time.sleep(0.001)


def read(path):
    return path.read_text() if path.exists() else ""


def work(function, given, place, variables):
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(function(*given))


def start_pair(function, *given, place):
    """Start two processes of one training, as ``torchrun`` starts them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        Forked(
            function,
            *given,
            place=Path(place) / f"process-{rank}",
            TORCHELASTIC_RUN_ID="test",
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            **common,
        )
        for rank in range(2)
    ]
