"""Memory that was freed is used again, and a person's own choice stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import whence
from whence.freed_memory import DECIDED

SCRIPT = """
import resource, sys
from whence.freed_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else None
for _ in range(3):
    bytearray(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    bytearray(64 << 20)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def count_faults(how, **variables):
    clean = {name: value for name, value in os.environ.items() if name not in DECIDED}
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, how],
        capture_output=True,
        text=True,
        env=clean | {"PYTHONPATH": str(Path(whence.__file__).parents[1])} | variables,
        check=True,
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library is Linux's")
def test_freed_memory_is_used_again():
    plain, kept = count_faults("plain"), count_faults("kept")
    if kept[0] == "False":
        pytest.skip("another C library")
    assert plain[1] > 3 * (64 << 20) // 2**16  # every page of every block is new
    assert kept[1] < plain[1] // 20
    assert count_faults("kept", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
