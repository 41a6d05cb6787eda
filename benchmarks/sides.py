"""Two sides of a benchmark, each in a process of its own, in turn; medians and their ratio."""

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from whence.records.images import ImageSet


def alternate(module: str, sides: tuple[str, str], arguments: list[str], repeats: int) -> None:
    """Run both sides ``repeats`` times in turn and print what each measured.

    A side is ``python -m MODULE --side NAME ARGUMENTS``; its last line of output is a JSON object
    whose "seconds" is compared.
    """
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            command = [sys.executable, "-m", module, "--side", side, *arguments]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[side].append(json.loads(output.splitlines()[-1]))
    medians = {s: statistics.median(r["seconds"] for r in runs) for s, runs in found.items()}
    ratios = [
        slow["seconds"] / fast["seconds"]
        for slow, fast in zip(found[sides[0]], found[sides[1]], strict=True)
    ]
    for side in sides:
        print(f"  {side:8} {medians[side]:8.3f} s   {json.dumps(found[side][-1])}")
    print(
        f"  ratio {medians[sides[0]] / medians[sides[1]]:.2f} of medians, "
        f"pair by pair {min(ratios):.2f} to {max(ratios):.2f}, n = {repeats}",
        flush=True,
    )


def machine() -> str:
    """Describe the processor and versions that figures belong to."""
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {capability}, {threads} threads, torch {torch.__version__}"


def random_images(total: int, *, seed: int) -> ImageSet:
    """Make 32x32 RGB images of ten classes; their content does not change the time."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (total, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels: Tensor = torch.randint(0, 10, (total,), generator=generator)
    return ImageSet(images, labels, tuple("0123456789"))


def take_turns(
    sides: Mapping[str, Callable[[], object]], repeats: int, *, calls: int = 1
) -> dict[str, list[float]]:
    """Time both sides in turn within this process, after one call each that does not count.

    Args:
        sides: what to call, by name.
        repeats: rounds.
        calls: calls a round, for work that is over in milliseconds.

    Returns:
        Seconds a call, one number per round.
    """
    for work in sides.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            started = time.perf_counter()
            for _ in range(calls):
                work()
            found[name].append((time.perf_counter() - started) / calls)
    return found


def ratio(found: Mapping[str, list[float]], over: str, under: str) -> str:
    """Describe how long one side takes, measured in the other, by medians and round by round."""
    pairs = [one / other for one, other in zip(found[over], found[under], strict=True)]
    middle = statistics.median(found[over]) / statistics.median(found[under])
    return f"{middle:.2f} ({min(pairs):.2f} to {max(pairs):.2f})"


def median_seconds(found: Mapping[str, list[float]], side: str) -> str:
    """Write the median of one side."""
    return f"{statistics.median(found[side]):.3f} s"
