"""A command that is killed before its first file operation, then before its second, and so on."""

import itertools
import json
import os
import signal
from pathlib import Path

import torch

from whence.cli import main


def attempt(arguments, kill_at):
    """Do the command in a fork of this process; return its exit code, below 0 of a signal."""
    if (process := os.fork()) != 0:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    calls = itertools.count(1)

    def tick(function):
        def call(what, *given, **options):
            happens = not isinstance(what, Path) or what.exists()
            if happens and next(calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(what, *given, **options)

        return call

    os.fsync = tick(lambda handle: None)  # what a killed process wrote is not lost
    Path.replace = tick(Path.replace)
    Path.unlink = tick(Path.unlink)
    os._exit(main(arguments))


def kill_until(arguments, done):
    """Let each attempt get one file operation further; return how far the last one got."""
    kill_at = 1
    while (code := attempt(arguments, kill_at)) != 0 and not done():
        assert code == -signal.SIGKILL, code
        kill_at += 1
    return kill_at


def work(folder, last_checkpoint, arguments):
    """Train once alone, and once killed everywhere; write how many operations each part has."""
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # imports much, once for all attempts
    alone, killed = folder / "alone", folder / "killed"
    assert attempt([*arguments, "--out", str(alone)], None) == 0
    again = [*arguments, "--resume", "--out", str(killed)]
    trained = kill_until(again, (killed / last_checkpoint).exists)
    assert not (killed / "whence.json").exists()
    finished = kill_until(again, (killed / "whence.json").exists)
    removed = kill_until(again, lambda: False)
    (folder / "operations.json").write_text(json.dumps([trained, finished, removed]))
