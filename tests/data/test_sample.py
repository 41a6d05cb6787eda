"""Labelled images that are only measured: every one counts, and classes go by their names."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.image_folders import write_images
from whence.data.image_file import read_files
from whence.data.sample import take_classes
from whence.records.images import ImageSet

SHAPE = (3, 8, 8)
CLASSES = ("bee", "ant")  # in the order of a model's labels, which need not be the alphabet's


def load(folder, classes=CLASSES, shape=SHAPE, **options):
    return whence.load_sample(folder, classes, shape, **options)


def test_every_image_of_a_flat_folder_is_taken(tmp_path):
    write_images(tmp_path / "photos", {"ant": 10, "bee": 13})
    found = load(tmp_path / "photos")
    assert (found.name, found.notes) == ("photos", ())
    assert found.images.class_names == CLASSES
    assert found.images.labels.tolist() == [1] * 10 + [0] * 13
    assert found.images.sources[:2] == ("ant/0.png", "ant/1.png")
    files = [tmp_path / "photos" / name for name in found.images.sources]
    assert_close(found.images.images, read_files(files).images)


def test_one_class_alone_or_one_image_alone_is_fine(tmp_path):
    write_images(tmp_path, {"ant": 1})
    assert load(tmp_path).images.labels.tolist() == [1]


def test_a_class_folder_without_images_is_fine_beside_others(tmp_path):
    write_images(tmp_path, {"ant": 2, "bee": 0})
    assert load(tmp_path).images.labels.tolist() == [1, 1]


def test_a_folder_that_holds_only_test_is_taken_whole(tmp_path):
    write_images(tmp_path / "test", {"ant": 2, "bee": 3})
    found = load(tmp_path)
    assert found.images.labels.tolist() == [1, 1, 0, 0, 0]
    assert found.images.sources[0] == "test/ant/0.png"
    assert found.notes == ()


def test_of_a_folder_with_train_and_test_the_test_is_taken_and_said(tmp_path):
    write_images(tmp_path / "photos" / "test", {"ant": 2})
    write_images(tmp_path / "photos" / "train", {"ant": 5, "bee": 5})
    found = load(tmp_path / "photos")
    assert found.images.sources == ("test/ant/0.png", "test/ant/1.png")
    assert found.notes == ("Of photos, test/ is measured, not train/.",)


def test_train_alone_is_taken_whole(tmp_path):
    write_images(tmp_path / "train", {"ant": 5, "bee": 5})
    assert len(load(tmp_path).images) == 10


def test_what_is_no_image_is_said(tmp_path):
    write_images(tmp_path, {"ant": 2})
    (tmp_path / "ant" / "notes.txt").write_text("x")
    (tmp_path / "loose.png").write_text("x")
    assert load(tmp_path).notes == (
        "loose.png is not used: not an image in a class folder.",
        "Of the folder, 1 file is left out ('ant/notes.txt'), named unlike images that are read "
        "(.jpg, .png, .tif and others).",
    )


def test_images_are_brought_to_the_shape_of_the_model_also_where_it_is_not_square(tmp_path):
    write_images(tmp_path, {"ant": 2}, size=(20, 30))
    found = load(tmp_path, shape=(1, 9, 5))
    assert found.images.images.shape == (2, 1, 9, 5)
    files = [tmp_path / name for name in found.images.sources]
    assert_close(found.images.images, read_files(files, size=(9, 5), channels=1).images)
    assert found.notes == ("2 of 2 images are in colour and were converted to grey.",)


def test_folders_of_other_names_are_mapped(tmp_path):
    write_images(tmp_path, {"ant": 1, "Biene": 2, "Hummel": 3})
    found = load(tmp_path, renamed={"Biene": "bee", "Hummel": "bee"})
    assert found.images.labels.tolist() == [0, 0, 0, 0, 0, 1]  # sorted: Biene, Hummel, ant
    assert found.images.sources[0] == "Biene/0.png"


def test_an_umlaut_is_the_same_in_one_character_or_two(tmp_path):
    write_images(tmp_path, {"Ka\u0308se": 2})
    assert load(tmp_path, ("Brot", "K\u00e4se")).images.labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({}, r"must have the classes of the model \(bee, ant\), got cow; .* --map cow=bee, or"),
        ({"cow": "bee", "owl": "ant"}, r"map must name classes of .* \(ant, cow\), got 'owl'"),
        ({"cow": "owl"}, r"map must lead to classes of the model \(bee, ant\), got 'owl'"),
    ],
)
def test_classes_that_do_not_fit_are_refused_with_the_way_out(tmp_path, renamed, message):
    write_images(tmp_path, {"ant": 1, "cow": 1})
    with pytest.raises(ValueError, match=message):
        load(tmp_path, renamed=renamed)


def test_long_names_are_cut_in_messages(tmp_path):
    write_images(tmp_path, {"x" * 250: 1})
    with pytest.raises(ValueError, match=r"x{37}[.]{3}; say") as caught:
        load(tmp_path, tuple(f"{i}" * 60 for i in range(9)))
    assert len(str(caught.value)) < 900


def test_images_without_labels_are_refused_in_one_sentence(tmp_path):
    write_images(tmp_path, {".": 3})
    with pytest.raises(ValueError, match=r"it holds 3 images without labels; .* whence predict$"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="it holds no folder; put the images of each class"):
        load(tmp_path / "empty")
    (tmp_path / "empty" / "ant").mkdir()
    with pytest.raises(ValueError, match="must hold images in its class folders, it holds none"):
        load(tmp_path / "empty")


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*gone"):
        load(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; give the folder that holds"):
        load(tmp_path / "file")
    (tmp_path / "labels.XLSX").touch()
    with pytest.raises(ValueError, match=r"labels\.XLSX is a spreadsheet; save it as CSV"):
        load(tmp_path / "labels.XLSX")


def test_labels_of_other_classes_become_those_of_the_model():
    images = torch.zeros(4, *SHAPE, dtype=torch.uint8)
    given = ImageSet(images, torch.tensor([2, 0, 1, 1]), ("cow", "ant", "bee"))
    found = take_classes(given, (*CLASSES, "cow"), where="x")
    assert found.labels.tolist() == [0, 2, 1, 1]
    assert found.class_names == ("bee", "ant", "cow")
    mapped = take_classes(given, CLASSES, where="x", renamed={"cow": "ant"})
    assert mapped.labels.tolist() == [0, 1, 1, 1]
