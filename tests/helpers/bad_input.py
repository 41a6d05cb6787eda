"""Small photographs, and the options of runs that take a moment."""

import numpy as np
from PIL import Image

QUICK = ["--device", "cpu", "--epochs", "1"]
DIGITS = ["train", "digits", "--train-examples", "20", *QUICK]


def write_images(folder, classes, count=6, size=(8, 8), colour=True):
    numbers = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (*size, 3) if colour else size
            array = numbers.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(array).save(folder / name / f"{index}.png")
