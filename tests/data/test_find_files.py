"""Images found again by their pixels, wherever their files have gone."""

import os
import shutil

import pytest
import torch
from PIL import Image

from tests.helpers.image_folders import write_images
from whence.data.find_files import find_files
from whence.data.fingerprint import content_hashes
from whence.data.image_file import read_files
from whence.data.names import list_images

SHAPE = (3, 6, 5)


@pytest.fixture
def wanted(tmp_path):
    """A folder of five images, and how they are looked for: (folder, sources, images, hashes)."""
    folder = tmp_path / "photos"
    write_images(folder, {"ant": 3, "bee": 2})
    sources = [f"ant/{i}.png" for i in range(3)] + [f"bee/{i}.png" for i in range(2)]
    images = read_files([folder / name for name in sources], size=SHAPE[1:], channels=3).images
    return folder, sources, images, content_hashes(images)


def test_images_that_stayed_are_found_by_name(wanted):
    folder, sources, images, hashes = wanted
    (folder / "bee" / "broken.png").write_text("not looked at")
    found = find_files(folder, hashes[::-1], sources[::-1], SHAPE)
    assert torch.equal(found.images, images.flip(0))
    assert found.sources == tuple(sources[::-1])
    assert found.missing == ()


def test_images_that_moved_are_found_by_their_pixels(wanted):
    folder, sources, images, hashes = wanted
    shutil.move(folder / "ant", folder / "deep" / "insects")
    (folder / "bee" / "0.png").rename(folder / "bee" / "x.png")
    (folder / "bee" / "1.png").rename(folder / "bee" / "0.png")  # the name of another one
    (folder / "bee" / "broken.png").write_text("passed over")
    found = find_files(folder, hashes, sources, SHAPE)
    assert torch.equal(found.images, images)
    assert found.sources == (
        *(f"deep/insects/{i}.png" for i in range(3)),
        "bee/x.png",
        "bee/0.png",
    )
    assert found.missing == ()


def test_one_file_stands_for_images_with_the_same_pixels(wanted):
    folder, sources, images, hashes = wanted
    found = find_files(folder, [hashes[1], hashes[1]], [sources[1], "gone.png"], SHAPE)
    assert torch.equal(found.images, images[[1, 1]])
    assert found.sources == ("ant/1.png", "ant/1.png")


def test_images_that_are_gone_or_changed_are_told(wanted):
    folder, sources, images, hashes = wanted
    (folder / "ant" / "1.png").unlink()
    (folder / "bee" / "0.png").write_text("damaged")
    Image.new("RGB", (8, 8)).save(folder / "bee" / "1.png")
    found = find_files(folder, hashes, sources, SHAPE)
    assert found.missing == (1, 3, 4)
    assert found.sources == tuple(sources)
    assert torch.equal(found.images[[0, 2]], images[[0, 2]])


def test_only_image_files_that_a_person_put_there_are_looked_through(wanted):
    folder, sources, _, _ = wanted
    for name in ("ant/._0.png", ".git/x.png", "__MACOSX/x.png", "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    found = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    assert found == [*sources, "gone.png"]
