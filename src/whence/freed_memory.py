"""What the C library does with memory that was freed: kept, a network answers faster."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt`` (malloc.h of the GNU C library)."""

KEPT_BYTES, LARGEST_BLOCK, LARGEST_BLOCK_BEFORE = 2**31 - 1, 2**30, 2**25
"""Bytes: free memory that is kept, blocks that are kept, and the latter before version 2.35."""

DECIDED = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""Variables by which a person decides such things."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for the next step, in place of asking for it anew.

    The GNU C library returns every large block to the system at once, which then has to clear each
    page of the next one: up to half of the time that a network takes to encode small images on a
    CPU. The process grows by about a tenth. Elsewhere, and where a person has decided, nothing is
    done.

    Returns:
        Whether it will.
    """
    if sys.platform != "linux" or any(os.environ.get(name) for name in DECIDED):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    kept = mallopt(MMAP_THRESHOLD, LARGEST_BLOCK) or mallopt(MMAP_THRESHOLD, LARGEST_BLOCK_BEFORE)
    return bool(kept and mallopt(TRIM_THRESHOLD, KEPT_BYTES))
