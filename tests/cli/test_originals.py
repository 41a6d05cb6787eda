"""Test images on pages, beside the original where the model saw it at another size."""

import base64
import io
import re

import pytest
from PIL import Image

from tests.helpers.bad_input import QUICK, write_images
from whence.cli import main

COMMANDS = {
    "explain": ["explain", "run", "--test", "1", "--method", "none", "--out", "page.html"],
    "report": ["report", "run", "--hard", "1", "--out", "page.html"],
}


def sizes_on_page(text):
    """Return the sizes of the pictures of the first image that is explained, original first."""
    found = re.findall(r'<img[^>]*src="data:image/png;base64,([^"]+)"[^>]*alt="([^"]*)"', text)
    found += [
        (data, alt)
        for alt, data in re.findall(
            r'<img[^>]*alt="([^"]*)"[^>]*src="data:image/png;base64,([^"]+)"', text
        )
    ]
    wanted = (", the original", ", the image asked about")
    return {
        alt.rpartition(", ")[2]: Image.open(io.BytesIO(base64.b64decode(data))).size
        for data, alt in found
        if alt.endswith(wanted)
    }


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("data", ["folder", "digits", "moved"])
def test_the_original_of_a_test_image_stands_beside_it(tmp_path, monkeypatch, data, command):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", "ab", size=(20, 30))
    place = "digits" if data == "digits" else "photos"
    more = [
        "--train-examples",
        "20" if data == "digits" else "8",
        *QUICK,
        "--size",
        "12",
        "--out",
        "run",
    ]
    assert main(["train", place, *more]) == 0
    words = COMMANDS[command]
    if data == "moved":
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        words = [*words, "--data-root", "elsewhere"]
    assert main(words) == 0
    found = sizes_on_page((tmp_path / "page.html").read_text())
    original = (8, 8) if data == "digits" else (30, 20)
    assert found == {"the original": original, "the image asked about": (12, 12)}


def test_an_image_that_the_model_saw_at_its_own_size_stands_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", "ab")
    assert main(["train", "photos", *QUICK, "--out", "run"]) == 0
    assert main(COMMANDS["explain"]) == 0
    found = sizes_on_page((tmp_path / "page.html").read_text())
    assert found == {"the image asked about": (8, 8)}
    assert main(["report", "run", "--hard", "0", "--out", "none.html"]) == 0
