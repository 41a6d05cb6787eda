"""Image folders: which files count, how they are divided, and what is said when they are wrong."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from whence.data.fingerprint import fingerprint
from whence.data.folder import image_folder
from whence.data.load import load_dataset

DRAWN = "2 of 4 images were drawn for the test, with seed 0."


@pytest.fixture
def fill(tmp_path):
    """Write random images: ``fill("train/cat", 3)`` makes train/cat/0.png .. 2.png."""
    numbers = np.random.default_rng(0)

    def write(folder, count, size=(8, 8), colour=True, names=None):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (*size, 3) if colour else size
            name = names[index] if names else f"{index}.png"
            array = numbers.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / folder / name)

    return write


def pixels_of(path):
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


# What counts


def test_train_and_test_folders(fill, tmp_path):
    fill("train/dog", 3)
    fill("train/cat", 2)
    fill("test/dog", 1)
    fill("test/cat", 2)
    dataset = image_folder(tmp_path)
    assert dataset.name == tmp_path.name
    assert dataset.train.class_names == dataset.test.class_names == ("cat", "dog")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert dataset.test.labels.tolist() == [0, 0, 1]
    assert dataset.train.sources == tuple(
        f"train/{name}.png" for name in ["cat/0", "cat/1", "dog/0", "dog/1", "dog/2"]
    )
    assert dataset.notes == ()
    for part in (dataset.train, dataset.test):
        for image, source in zip(part.images, part.sources, strict=True):
            assert_close(image, pixels_of(tmp_path / source))


def test_train_alone_is_divided(fill, tmp_path):
    fill("train/cat", 10)
    fill("train/dog", 10)
    dataset = image_folder(tmp_path)
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert all(source.startswith("train/") for source in dataset.test.sources)


def test_a_class_may_be_called_train(fill, tmp_path):
    fill("car", 5)
    fill("train", 5)
    assert image_folder(tmp_path).train.class_names == ("car", "train")


def test_classes_and_files_are_sorted_by_name(fill, tmp_path):
    for name in ["b", "Ä", "a", "10", "9"]:
        fill(f"train/{name}", 2, names=["z.png", "A.png"])
        fill(f"test/{name}", 1)
    dataset = image_folder(tmp_path)
    assert dataset.train.class_names == ("10", "9", "a", "b", "Ä")
    assert dataset.train.sources[:2] == ("train/10/A.png", "train/10/z.png")


def test_hidden_files_are_passed_over_silently(fill, tmp_path):
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog", ".git", "__MACOSX"):
        fill(folder, 1)
    for file in (
        ".DS_Store",
        "train/.x",
        "train/cat/._0.png",
        "train/cat/Thumbs.db",
        "train/dog/desktop.ini",
    ):
        (tmp_path / file).write_bytes(b"no image")
    dataset = image_folder(tmp_path)
    assert len(dataset.train) == 2
    assert dataset.notes == ()


def test_other_files_are_passed_over_and_said(fill, tmp_path):
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog", "valid/cat", "train/cat/more"):
        fill(folder, 1)
    (tmp_path / "train" / "dog" / "notes.txt").write_text("x")
    (tmp_path / "train" / "cat" / "photo.HEIC").write_text("x")
    dataset = image_folder(tmp_path)
    assert len(dataset.train) == 2
    assert dataset.notes == (
        "valid/ and 1 more are not used: not an image in a class folder.",
        "Of the folder, 2 files are left out (first: 'train/cat/photo.HEIC'), named unlike images "
        "that are read (.jpg, .png, .tif and others).",
    )


def test_loose_files_beside_class_folders_are_said(fill, tmp_path):
    fill("cat", 2)
    fill("dog", 2)
    fill(".", 1, names=["loose.png"])
    assert image_folder(tmp_path).notes == (
        "loose.png is not used: not an image in a class folder.",
        DRAWN,
    )


def test_suffix_in_capitals(fill, tmp_path):
    for name in ("cat", "dog"):
        fill(name, 2, names=["A.PNG", "B.JPG"])
    assert len(image_folder(tmp_path).train) == 2


# Division


def test_twenty_percent_stratified(fill, tmp_path):
    for name, count in [("a", 20), ("b", 10), ("c", 2)]:
        fill(name, count, size=(2, 2))
    dataset = image_folder(tmp_path, seed=3)
    assert dataset.test.labels.bincount().tolist() == [3, 2, 1]  # 20 % of 32 is 6
    assert dataset.train.labels.bincount().tolist() == [17, 8, 1]
    everything = sorted(dataset.train.sources + dataset.test.sources)
    assert everything == sorted(
        f"{n}/{i}.png" for n, c in [("a", 20), ("b", 10), ("c", 2)] for i in range(c)
    )
    for part in (dataset.train, dataset.test):
        for image, label, source in zip(part.images, part.labels, part.sources, strict=True):
            assert part.class_names[label] == source[0]
            assert_close(image, pixels_of(tmp_path / source))


def test_division_follows_the_seed(fill, tmp_path):
    fill("a", 20, size=(2, 2))
    fill("b", 20, size=(2, 2))
    first, again, other = (image_folder(tmp_path, seed=seed).test.sources for seed in (0, 0, 1))
    assert first == again
    assert first != other
    for seed in (0, 1):
        (note,) = image_folder(tmp_path, seed=seed).notes
        assert note == f"8 of 40 images were drawn for the test, with seed {seed}."


def test_at_least_one_of_each_class_is_tested(fill, tmp_path):
    for name in "abcdef":
        fill(name, 2, size=(2, 2))
    dataset = image_folder(tmp_path)
    assert dataset.test.labels.tolist() == dataset.train.labels.tolist() == [0, 1, 2, 3, 4, 5]


# Size and channels


def test_native_size_up_to_96(fill, tmp_path):
    fill("a", 2, size=(96, 40))
    fill("b", 2, size=(96, 40))
    assert image_folder(tmp_path).train.images.shape == (2, 3, 96, 40)


@pytest.mark.parametrize("size", [(97, 40), (40, 97)])
def test_larger_images_become_squares_even_if_they_agree(fill, tmp_path, size):
    fill("a", 2, size=size)
    fill("b", 2, size=size)
    assert image_folder(tmp_path).train.images.shape[2:] == (64, 64)


@pytest.mark.parametrize("size", [(97, 40), (40, 97), (41, 40)])
def test_other_sizes_become_squares(fill, tmp_path, size):
    fill("a", 2, size=(40, 40))
    fill("b", 2, size=size)
    assert image_folder(tmp_path).train.images.shape[2:] == (64, 64)
    assert image_folder(tmp_path, default_large_size=24).train.images.shape[2:] == (24, 24)
    assert image_folder(tmp_path, size=12).train.images.shape[2:] == (12, 12)


def test_one_odd_test_image_decides_for_all(fill, tmp_path):
    for folder in ("train/a", "train/b", "test/a"):
        fill(folder, 1, size=(40, 40))
    fill("test/b", 1, size=(41, 40))
    dataset = image_folder(tmp_path)
    assert dataset.train.images.shape[2:] == dataset.test.images.shape[2:] == (64, 64)


def test_grey_folder_has_one_channel(fill, tmp_path):
    fill("a", 2, colour=False)
    fill("b", 2, colour=False)
    dataset = image_folder(tmp_path)
    assert dataset.train.images.shape == (2, 1, 8, 8)
    assert_close(dataset.train.images[0], pixels_of(tmp_path / dataset.train.sources[0])[:1])
    assert dataset.notes == (DRAWN,)


def test_one_coloured_image_makes_three_channels(fill, tmp_path):
    fill("train/a", 2, colour=False)
    fill("train/b", 2, colour=False)
    fill("test/a", 1, colour=False)
    fill("test/b", 1)
    dataset = image_folder(tmp_path)
    assert dataset.train.images.shape == (4, 3, 8, 8)
    assert_close(dataset.train.images[0], pixels_of(tmp_path / "train/a/0.png"))


def test_channels_asked_for_are_given_and_said(fill, tmp_path):
    fill("a", 2, colour=False)
    fill("b", 2, colour=False)
    dataset = image_folder(tmp_path, channels=3)
    assert dataset.train.images.shape == (2, 3, 8, 8)
    assert dataset.notes == (
        DRAWN,
        "The images are grey: their one channel was repeated to make three.",
    )
    fill("b", 2)
    dataset = image_folder(tmp_path, channels=1)
    assert dataset.train.images.shape == (2, 1, 8, 8)
    assert dataset.notes == (
        DRAWN,
        "2 of 4 images are in colour and were converted to grey.",
    )


def test_load_dataset_hands_the_options_on(fill, tmp_path):
    fill("a", 20, size=(2, 2))
    fill("b", 20, size=(3, 2))
    dataset = load_dataset(str(tmp_path), size=5, channels=1, seed=7)
    expected = image_folder(tmp_path, size=5, channels=1, seed=7)
    assert fingerprint(dataset.test) == fingerprint(expected.test)
    assert dataset.test.sources == expected.test.sources
    assert load_dataset(tmp_path, default_large_size=9).train.images.shape[2:] == (9, 9)


# Images in both parts


def test_images_in_both_parts_are_counted_and_named(fill, tmp_path):
    for folder in ("train/a", "train/b", "test/a", "test/b"):
        fill(folder, 3)
    same = pixels_of(tmp_path / "train/b/1.png").permute(1, 2, 0).numpy()
    Image.fromarray(same).save(tmp_path / "test/a/1.bmp")
    Image.fromarray(same).save(tmp_path / "test/b/2.png")
    assert image_folder(tmp_path).notes == (
        "2 images are in both training and test (first: train/b/1.png = test/a/1.bmp); "
        "accuracy on them says nothing about new images.",
    )
    (tmp_path / "test/b/2.png").unlink()
    assert image_folder(tmp_path).notes[0].startswith("1 image is in both training and test")


# Bad folders


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no {tmp_path}/nowhere"):
        image_folder(tmp_path / "nowhere")


def test_file_in_place_of_folder(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a\.zip is a file; give the folder"):
        image_folder(tmp_path / "a.zip")


def test_no_class_folders(fill, tmp_path):
    fill(".", 3)
    with pytest.raises(ValueError, match="for at least two classes, it holds no folder; put"):
        image_folder(tmp_path)


def test_one_class(fill, tmp_path):
    fill("cat", 3)
    with pytest.raises(ValueError, match="for at least two classes, it holds only 'cat'; put"):
        image_folder(tmp_path)


def test_too_many_classes(tmp_path):
    for index in range(1001):
        (tmp_path / str(index)).mkdir()
    with pytest.raises(ValueError, match="must hold at most 1000 class folders, it holds 1001"):
        image_folder(tmp_path)


@pytest.mark.parametrize(
    "files, found",
    [
        ([], "it holds nothing; add"),
        (["a.txt"], "it holds only 'a.txt'; add"),
        (["b.csv", "a.txt", ".hidden"], r"it holds 2 other things \(first: 'a.txt'\); add"),
    ],
)
def test_class_without_images(fill, tmp_path, files, found):
    fill("cat", 3)
    (tmp_path / "dog").mkdir()
    for file in files:
        (tmp_path / "dog" / file).write_text("x")
    with pytest.raises(
        ValueError, match=rf"Class folder {tmp_path}/dog must hold image files, {found}"
    ):
        image_folder(tmp_path)


def test_class_of_one_image_cannot_be_divided(fill, tmp_path):
    fill("cat", 3)
    fill("dog", 1)
    with pytest.raises(ValueError, match=r"Class 'dog' in .* must have at least 2 images"):
        image_folder(tmp_path)


def test_test_classes_differ(fill, tmp_path):
    for folder in ("train/cat", "train/dog", "test/cat", "test/wolf"):
        fill(folder, 1)
    with pytest.raises(ValueError, match="it lacks dog and adds wolf; give both the same folders"):
        image_folder(tmp_path)


def test_test_and_validation_may_lack_classes(fill, tmp_path):
    """Labels are those of the training classes, wherever a part has fewer of them."""
    for folder in ("train/ant", "train/cat", "train/dog", "test/dog", "val/cat", "val/dog"):
        fill(folder, 1)
    dataset = image_folder(tmp_path)
    assert dataset.train.class_names == dataset.test.class_names == ("ant", "cat", "dog")
    assert dataset.test.labels.tolist() == [2]
    assert dataset.train.labels.tolist() == [0, 1, 2, 1, 2]
    assert dataset.train.sources[3:] == ("val/cat/0.png", "val/dog/0.png")
    assert dataset.marks.validation.tolist() == [3, 4]


def test_test_without_train(fill, tmp_path):
    fill("test/cat", 1)
    fill("valid/cat", 1)
    with pytest.raises(ValueError, match="must hold a folder train beside its folder test"):
        image_folder(tmp_path)


def test_unreadable_image_is_named(fill, tmp_path):
    fill("cat", 3)
    fill("dog", 3)
    (tmp_path / "dog" / "1.png").write_bytes(b"not a PNG")
    with pytest.raises(
        ValueError, match=r"dog/1\.png cannot be read as an image \(it is not an im"
    ):
        image_folder(tmp_path)


def test_many_unreadable_images_are_counted(fill, tmp_path):
    fill("cat", 40)
    fill("dog", 40)
    for index in range(5):
        (tmp_path / "dog" / f"{index}.png").write_bytes(b"")
    with pytest.raises(
        ValueError,
        match=r"^5 of 80 files cannot be read as images: .*/dog/0\.png \(.* and 2 more; replace",
    ):
        image_folder(tmp_path)


def test_options_are_checked(fill, tmp_path):
    fill("cat", 3)
    fill("dog", 3)
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        image_folder(tmp_path, size=0)
    with pytest.raises(ValueError, match=r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"):
        image_folder(tmp_path, channels=2)
