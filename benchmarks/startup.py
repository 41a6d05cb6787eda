"""How long a user waits for help: whole processes, from the command to its end.

Claim: `whence --help` takes under 0.3 s and the help of every sub-command under 2 s. n = 7 of each,
in turn; medians. `python -c pass` is what any Python program takes, and `import torch` is what help
took besides when the options were built by modules that compute.

    python -m benchmarks.startup
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sides import machine
from whence.cli import COMMANDS

WHOLE, PART = 0.3, 2.0
"""Seconds that the help of ``whence`` and of a sub-command may take."""


def main() -> None:
    """Time every process and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"repeats must be at least 1, got {repeats}.")
    print(f"{machine()}\nhelp, whole processes, n = {repeats}:")
    rows = list_processes()
    times: dict[str, list[float]] = {name: [] for name, _, _ in rows}
    for _ in range(repeats):
        for name, command, _ in rows:
            times[name].append(measure(command))
    print(f"  {'':24} {'median':>8} {'least':>8} {'most':>8}   target")
    for name, _, limit in rows:
        found = times[name]
        numbers = [f"{n:6.3f} s" for n in (statistics.median(found), min(found), max(found))]
        print(f"  {name:24} {' '.join(numbers)}   {judge(statistics.median(found), limit)}")


def list_processes() -> list[tuple[str, list[str], float | None]]:
    """List what is timed: a name, the command, and the seconds it may take."""
    script = Path(sys.executable).with_name("whence")
    whence = [str(script)] if script.exists() else [sys.executable, "-m", "whence"]
    return [
        ("python -c pass", [sys.executable, "-c", "pass"], None),
        ("python -c 'import torch'", [sys.executable, "-c", "import torch"], None),
        ("whence --help", [*whence, "--help"], WHOLE),
        *((f"whence {name} --help", [*whence, name, "--help"], PART) for name in COMMANDS),
        ("a wrong option", [*whence, "train", "digits", "--colour"], PART),
    ]


def measure(command: Sequence[str]) -> float:
    """Run a process to its end and return the seconds that it took."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 2):  # 2 is a wrong option
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}")
    return seconds


def judge(seconds: float, limit: float | None) -> str:
    """Set a time against its target."""
    if limit is None:
        return ""
    return f"under {limit:g} s: {'met' if seconds < limit else 'MISSED'}"


if __name__ == "__main__":
    main()
