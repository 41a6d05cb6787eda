"""Folders of small random images, one folder per class, for the tests of what is read from them."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(
    folder: Path, counts: dict[str, int], *, size=(8, 8), colour=True, seed: int = 0
) -> None:
    """Write ``counts[name]`` files to ``folder / name``, called 0.png, 1.png and so on."""
    numbers = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            array = numbers.integers(0, 256, (*size, 3) if colour else size, dtype=np.uint8)
            Image.fromarray(array).save(folder / name / f"{place}.png")
