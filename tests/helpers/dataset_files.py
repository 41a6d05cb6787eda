"""Files as the providers of datasets lay them out, of a few random images."""

import gzip

import numpy as np
import scipy.io
from PIL import Image


def idx_bytes(array):
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def write_idx(folder, numbers, suffix="", train=7, test=4):
    """Write four files; return the arrays in the order train images, train labels, test ..."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    arrays = []
    for prefix, count in [("train", train), ("t10k", test)]:
        images = numbers.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = numbers.integers(0, 10, count, dtype=np.uint8)
        for kind, array in [("images-idx3", images), ("labels-idx1", labels)]:
            (folder / f"{prefix}-{kind}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))
            arrays.append(array)
    return arrays


def save_png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_svhn(folder, numbers):
    arrays = []
    for name, count in [("train", 5), ("test", 3)]:
        pixels = numbers.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        digits = np.array([[10], [1], [9], [10], [3]][:count], dtype=np.uint8)
        scipy.io.savemat(
            folder / f"{name}_32x32.mat", {"X": pixels, "y": digits}, do_compression=True
        )
        arrays.append(pixels)
    return arrays
