"""Peak resident memory of a whole training run on 50,000 images against one on 1,000.

Claim: it grows by at most 460 MB, of which 150 MB are the uint8 pixels themselves; there is no
float copy of the images. Both runs are ``whence train`` with a small CNN, batch 128, memory 100,
one epoch: reading the files, training, remembering, evaluation on 10,000 test images and saving.
n = 3 runs a side, in turn.

    python -m benchmarks.resident_memory --data FOLDER

FOLDER holds CIFAR-10 as images, train/CLASS/* and test/CLASS/*. The small side takes the first 100
files of each class in a folder of their own. A repeat takes some minutes on two cores.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.sides import machine

EACH = 100
LIMIT = 460


def main() -> None:
    """Run both sides in turn and print their peaks and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as place:
        few = pick_few(options.data.resolve(), Path(place) / "few")
        sides = {"few": few, "all": options.data.resolve()}
        found: dict[str, list[float]] = {side: [] for side in sides}
        for repeat in range(options.repeats):
            for side, folder in sides.items():
                found[side].append(measure(folder, Path(place) / f"{side}-{repeat}"))
        images = {side: len(list(folder.glob("train/*/*"))) for side, folder in sides.items()}
    for side, peaks in found.items():
        print(f"  {images[side]:6} images: {', '.join(f'{peak:.0f}' for peak in peaks)} MB")
    medians = {side: statistics.median(peaks) for side, peaks in found.items()}
    print(
        f"  medians {medians['few']:.0f} and {medians['all']:.0f} MB, "
        f"grows by {medians['all'] - medians['few']:.0f} MB (at most {LIMIT}), "
        f"n = {options.repeats}"
    )


def pick_few(data: Path, place: Path) -> Path:
    """Link the first images of every class, and all test images."""
    for folder in sorted((data / "train").iterdir()):
        (place / "train" / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:EACH]:
            (place / "train" / folder.name / file.name).symlink_to(file)
    (place / "test").symlink_to(data / "test")
    return place


def measure(folder: Path, out: Path) -> float:
    """Train once and return the peak resident memory of that process, in MB (2**20 bytes)."""
    command = [sys.executable, "-m", "whence", "train", str(folder), "--out", str(out)]
    command += ["--encoder", "small_cnn", "--batch-size", "128", "--memory-size", "100"]
    command += ["--epochs", "1", "--precision", "float32", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return usage.ru_maxrss / 2**10  # kilobytes on Linux


if __name__ == "__main__":
    main()
