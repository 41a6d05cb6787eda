"""notMNIST, from a folder of each letter or from files like those of MNIST."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from tests.helpers.dataset_files import save_png, write_idx
from whence.data.notmnist import notmnist

# notMNIST


def write_notmnist(root, numbers):
    for folder, count in [("notMNIST_large", 2), ("notMNIST_small", 1)]:
        for letter in "ABCDEFGHIJ":
            for index in range(count):
                image = numbers.integers(0, 256, (28, 28), dtype=np.uint8)
                save_png(root / folder / letter / f"{index}.png", image)


def test_notmnist_counts_damaged_files(tmp_path, numbers):
    write_notmnist(tmp_path, numbers)
    (tmp_path / "notMNIST_large" / "A" / "broken.png").write_bytes(b"")
    (tmp_path / "notMNIST_large" / "F" / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "notMNIST_large" / "F" / ".DS_Store").write_bytes(b"")
    (tmp_path / "notMNIST_small" / "B" / "z.png").write_bytes(b"GIF89a")
    dataset = notmnist(tmp_path)
    assert dataset.train.images.shape == (20, 1, 28, 28)
    assert dataset.test.images.shape == (10, 1, 28, 28)
    assert dataset.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert dataset.train.sources[:3] == tuple(
        f"notMNIST_large/{name}.png" for name in ("A/0", "A/1", "B/0")
    )
    assert dataset.train.class_names == tuple("ABCDEFGHIJ")
    with Image.open(tmp_path / "notMNIST_large" / "B" / "1.png") as image:
        assert_close(dataset.train.images[3, 0], torch.from_numpy(np.array(image)))
    assert dataset.notes == (
        "2 files are left out of notMNIST_large: empty or damaged (first: notMNIST_large/A/broken.png).",
        "1 file is left out of notMNIST_small: empty or damaged (first: notMNIST_small/B/z.png).",
    )


def test_notmnist_needs_every_letter(tmp_path, numbers):
    write_notmnist(tmp_path, numbers)
    (tmp_path / "notMNIST_small" / "C" / "0.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"notMNIST_small/C must hold readable PNG files"):
        notmnist(tmp_path)


def test_notmnist_as_idx(tmp_path, numbers):
    arrays = write_idx(tmp_path / "notMNIST" / "raw", numbers)
    dataset = notmnist(tmp_path)
    assert_close(dataset.test.images, torch.from_numpy(arrays[2])[:, None])
    assert dataset.test.class_names == tuple("ABCDEFGHIJ")
