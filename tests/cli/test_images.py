"""The images that commands are asked about."""

import numpy as np
import torch
from PIL import Image

from tests.helpers.explaining import build
from whence.cli.work.images import SHARP, read_asked


def test_files_of_another_size_come_with_their_original(tmp_path):
    model = build()  # of images (1, 3, 4)
    for name, size in (("same", (4, 3)), ("large", (1000, 500)), ("small", (2, 2))):
        Image.linear_gradient("L").resize(size).save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in ("same", "large", "small")]
    same, large, small = read_asked(paths, model).originals
    assert same is None
    assert large.shape == (1, SHARP // 2, SHARP)
    assert small.shape == (1, 2, 2)
    assert small.dtype == torch.uint8
    with Image.open(paths[2]) as image:
        assert torch.equal(small[0], torch.from_numpy(np.array(image)))
