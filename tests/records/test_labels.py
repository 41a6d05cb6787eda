"""Labels and class names: what people hold is brought to one form, or refused in one sentence."""

import numpy as np
import pytest
import torch

import whence
from whence.records.labels import MOST_CLASSES, read_class_names, read_labels, read_whole_numbers

NAMES = ("cat", "dog", "cow")
IMAGES = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)


@pytest.mark.parametrize(
    "labels",
    [
        [2, 0, 1, 1],
        (2.0, 0.0, 1.0, 1.0),
        np.array([2, 0, 1, 1], np.int32),
        np.array([2, 0, 1, 1], np.uint64),
        np.array([2, 0, 1, 1], np.float16),
        np.array([2, 0, 1, 1], ">i2"),
        torch.tensor([2, 0, 1, 1], dtype=torch.int32),
        torch.tensor([2, 0, 1, 1], dtype=torch.uint8),
        torch.tensor([2.0, 0.0, 1.0, 1.0]),
        [torch.tensor(2), torch.tensor(0), 1, np.int64(1)],
        ["cow", "cat", "dog", "dog"],
        np.array(["cow", "cat", "dog", "dog"]),
        ("cow", np.str_("cat"), "dog", "dog"),
    ],
    ids=range(13),
)
def test_every_kind_of_label(labels):
    found = read_labels(labels, NAMES, 4)
    assert found.dtype == torch.int64
    assert found.tolist() == [2, 0, 1, 1]
    assert whence.ImageSet(IMAGES, labels, NAMES).labels.tolist() == [2, 0, 1, 1]


def test_whole_numbers_pass_as_they_are():
    labels = torch.tensor([2, 0, 1, 1])
    assert read_labels(labels, NAMES, 4) is labels
    assert whence.ImageSet(IMAGES, labels, NAMES).labels is labels
    assert read_labels(torch.tensor([True, False]), NAMES, 2).tolist() == [1, 0]
    assert read_labels([-1, 2], NAMES, 2, least=-1).tolist() == [-1, 2]
    for nothing in ([], torch.zeros(0), np.zeros(0)):
        assert read_labels(nothing, NAMES, 0).shape == (0,)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1, 2, 3, 1], ValueError, r"labels must be in 0 to 2, got 1 to 3; count classes from 0, with labels - 1"),
        ([0, 2, 9, 1], ValueError, r"labels must be in 0 to 2, got 0 to 9\.$"),
        ([0, -1, 1, 1], ValueError, r"labels must be in 0 to 2, got -1 to 1\.$"),
        ([0, 1], ValueError, r"labels must be \(4,\), one for each image, got shape \(2,\)"),
        (np.eye(4)[:, :3], ValueError, r"labels must be \(4,\), got shape \(4, 3\); .*labels.argmax\(1\)"),
        (np.zeros((4, 1)), ValueError, r"labels must be \(4,\), one for each image, got shape \(4, 1\)"),
        ([0, 1, 0.5, 1], ValueError, r"labels must be whole numbers, got 0\.5"),
        ([0, 1, float("nan"), 1], ValueError, r"labels must be whole numbers, got nan"),
        (torch.tensor([0, 1, torch.inf, 1]), ValueError, r"labels must be whole numbers, got inf"),
        (torch.zeros(4, dtype=torch.complex64), TypeError, r"labels must be whole numbers, got torch.complex64"),
        (["cat", "cow", "fish", "dog"], ValueError, r"names of classes \(cat, dog, cow\), got 'fish'"),
        (["cat", "cow", 1, "dog"], ValueError, r"names of classes \(cat, dog, cow\), got 1"),
        ([None, 0, 1, 2], TypeError, r"labels must be whole numbers, got None"),
        ([[0], [1, 2], 0, 1], ValueError, r"labels must be \(4,\) numbers"),
        ("dogs", TypeError, r"labels must be a tensor, an array or a list, got 'dogs'"),
        (3, TypeError, r"labels must be a tensor, an array or a list, got 3"),
    ],
    ids=range(16),
)  # fmt: skip
def test_labels_that_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        read_labels(labels, NAMES, 4)
    with pytest.raises(error, match=message):
        whence.ImageSet(IMAGES, labels, NAMES)


def test_whole_numbers_of_other_arguments():
    assert read_whole_numbers("indices", [7.0, 3.0], 2).tolist() == [7, 3]
    with pytest.raises(ValueError, match=r"indices must be whole numbers, got 3.2"):
        read_whole_numbers("indices", [7, 3.2], 2)


@pytest.mark.parametrize("classes", [3, np.int64(3), ("0", "1", "2"), ["0", "1", "2"]])
def test_class_names(classes):
    assert read_class_names(classes) == ("0", "1", "2")
    assert read_class_names(name for name in ("ä b", "c")) == ("ä b", "c")
    assert whence.wrap("small_cnn", classes, image_shape=(1, 8, 8)).class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ("ab", TypeError, "classes must be a whole number or a list, got 'ab'."),
        (1, ValueError, "classes must be 2 to 100000 different names, got 1"),
        (-5, ValueError, "classes must be 2 to 100000 different names, got 0"),
        (MOST_CLASSES + 1, ValueError, "classes must be at most 100000, got 100001"),
        (2.0, TypeError, "classes must be a whole number or a list, got 2.0."),
        (["a"], ValueError, "classes must be 2 to 100000 different names, got 1"),
        (["a", "b", "a"], ValueError, "classes must be 2 to 100000 different names, got 'a' twice"),
        (["a", ""], ValueError, "classes must be named by text that is not empty, got '' for class 1"),
        ([" ", "a"], ValueError, "classes must be named by text that is not empty, got ' ' for class 0"),
        (["a", "b\x1b[2J"], ValueError, r"classes must be named by printable text, got 'b\\x1b"),
        (["a", 3], ValueError, "classes must be named by text, got 3 for class 1"),
        (["a" * 1000 + "\n", "b"], ValueError, r"got 'aaa.* \.\.\. .*' for class 0\.$"),
    ],
    ids=range(12),
)  # fmt: skip
def test_class_names_that_are_refused(classes, error, message):
    for call in (
        read_class_names,
        lambda given: whence.wrap("small_cnn", given, image_shape=(1, 8, 8)),
        lambda given: whence.ImageSet(IMAGES, [0, 1, 1, 0], given),
    ):
        with pytest.raises(error, match=message) as caught:
            call(classes)
        assert len(str(caught.value)) < 300


def test_an_image_set_is_whole():
    with pytest.raises(TypeError, match=r"images must be a tensor \(N, C, H, W\), got ndarray"):
        whence.ImageSet(IMAGES.numpy(), [0, 1, 1, 0], NAMES)
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\), got shape \(4, 1, 2\)"):
        whence.ImageSet(IMAGES[..., 0], [0, 1, 1, 0], NAMES)
    with pytest.raises(ValueError, match=r"sources must name 4 files, got 1"):
        whence.ImageSet(IMAGES, [0, 1, 1, 0], NAMES, ("a.png",))
    one, same = (whence.ImageSet(IMAGES, [0, 1, 1, 0], NAMES) for _ in range(2))
    assert (one == same, one == one, len({one, same})) == (False, True, 2)
