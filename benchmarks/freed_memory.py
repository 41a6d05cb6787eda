"""Encoding on the CPU by a process that keeps the memory it frees, beside one that gives it back.

Claim: where the system takes long to hand out memory, kept memory halves the time of a network.

    python -m benchmarks.freed_memory

Both sides are processes of their own and run in turn; figures are seconds of CPU, the system's
included, for the same images, and the most memory that the process had.
"""

import os
import statistics
import subprocess
import sys

from benchmarks.kept_cells import print_row

NETWORKS = (("small_cnn", 32), ("resnet18", 32), ("timm:tf_efficientnet_lite0", 128))
SIDES = ("given back", "kept")
ROUNDS = 5
SCRIPT = """
import resource, sys
side, name, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
if side == "kept":
    from whence.freed_memory import keep_freed_memory
    assert keep_freed_memory(), "not with this C library"
import torch, whence
from whence.models.using import encode_frozen
torch.set_num_threads(1)
model = whence.wrap(name, 10, image_shape=(3, size, size)).eval()
images = torch.randint(0, 256, (256, 3, size, size), dtype=torch.uint8)
encode_frozen(model, images)
before = resource.getrusage(resource.RUSAGE_SELF)
encode_frozen(model, images)
after = resource.getrusage(resource.RUSAGE_SELF)
seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(seconds, after.ru_maxrss / 1024)
"""


def main() -> None:
    """Run both sides in turn, and print the medians and their ratio."""
    print_row("encoder", "pixels", *SIDES, "ratio", "pair by pair", "memory, MiB")
    print_row(*["---"] * 7)
    for name, size in NETWORKS:
        rounds = [[measure(side, name, size) for side in SIDES] for _ in range(ROUNDS)]
        seconds = [statistics.median(one[side][0] for one in rounds) for side in (0, 1)]
        memory = [statistics.median(one[side][1] for one in rounds) for side in (0, 1)]
        ratios = sorted(one[0][0] / one[1][0] for one in rounds)
        print_row(
            name,
            str(size),
            *(f"{one:.2f} s" for one in seconds),
            f"**{seconds[0] / seconds[1]:.2f}**",
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            f"{memory[0]:.0f}, {memory[1]:.0f}",
        )


def measure(side: str, name: str, size: int) -> tuple[float, float]:
    """Encode in a process of its own; returns seconds of CPU, and memory in MiB."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, side, name, str(size)],
        capture_output=True,
        text=True,
        check=True,
        env=clean | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


if __name__ == "__main__":
    main()
