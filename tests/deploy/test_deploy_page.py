"""The program of docs/deploy.md answers as ``whence predict``, without whence and torch."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import whence

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
GUARD = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        assert name.split(".")[0] not in ("whence", "torch", "onnx"), name
sys.meta_path.insert(0, Refuse())
"""


def write_photos(folder):
    """A PNG, a JPEG that is decoded smaller, and one that is turned by its EXIF data."""
    numbers = np.random.default_rng(0)
    rough = Image.fromarray(numbers.integers(0, 256, (7, 5, 3), dtype=np.uint8))
    rough.resize((30, 20)).save(folder / "a.png")
    rough.resize((400, 250), Image.Resampling.BICUBIC).save(folder / "b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    rough.resize((90, 60)).save(folder / "c.jpg", exif=exif)
    return sorted(folder.iterdir())


def test_the_program_answers_as_predict_does(tmp_path):
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert sum(bool(line) for line in text.splitlines()) <= 23
    (tmp_path / "photos").mkdir()
    files = write_photos(tmp_path / "photos")
    torch.manual_seed(0)  # some random weights are moved by rounding, and a warning says so
    model = whence.wrap(
        "small_cnn", ["cat", "dog"], variant="votes", image_shape=(3, 16, 12)
    ).eval()
    stored = np.random.default_rng(1).integers(0, 256, (20, 16, 12, 3), dtype=np.uint8)
    model.remember(stored, ["cat", "dog"] * 10, sources=[f"{n}.png" for n in range(20)])
    whence.export_onnx(model, tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", GUARD + text, *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = []
    for path, answer in zip(files, whence.predict(model, files), strict=True):
        share = float(answer.probabilities.max())
        expected.append(f"{path} {model.class_names[answer.predicted]} {share:.3f} nan")
        for item in answer.evidence[:3]:
            label = model.class_names[item.label]
            expected.append(f"  {item.weight:.3f} {label} {item.source}")
    assert done.stdout.splitlines() == expected
