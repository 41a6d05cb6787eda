"""Images that a model knows already are counted, and the others measured alone."""

import pytest
import torch

import whence
from tests.helpers.explaining import CLASSES, build_with_memory, draw_images
from whence.evidence.known import count_known
from whence.records.images import ImageSet
from whence.records.measures import KnownImages
from whence.report.known import say_known


def test_counts_by_hand():
    seen = {"memory": {"a", "b"}, "train": {"a", "b", "c"}, "validation": {"c", "d"}}
    found = count_known("aabcdeeff", [0, 0, 0, 0, 0, 1, 1, 1, 1], torch.tensor([0] * 8 + [1]), seen)
    assert found == KnownImages(5, 3, 4, 2, others=4, accuracy_of_others=0.25)
    assert count_known("a", [0], torch.tensor([0]), seen).accuracy_of_others is None
    new = count_known("e", [0], torch.tensor([0]), {})
    assert new == KnownImages(0, None, None, None, others=1, accuracy_of_others=1.0)


def test_sentences():
    assert say_known(KnownImages(0, 0, 0, 0, others=9, accuracy_of_others=0.5)) is None
    assert say_known(KnownImages(1, 1, 1, 0, others=0)) == (
        "1 of 1 image is not new to the run (1 in its memory, 1 trained on); the accuracy on them "
        "says nothing about new images."
    )
    assert say_known(KnownImages(1200, None, 1000, 200, others=8, accuracy_of_others=0.125)) == (
        "1,200 of 1,208 images are not new to the run (1,000 trained on, 200 validated on); of the "
        "other 8, 12.50% are right."
    )


@pytest.fixture
def half_known():
    """A model with a memory, 17 images of it and 60 new ones."""
    model = build_with_memory(17)
    images = torch.cat([model.bank.images, draw_images(60, seed=8)])
    labels = torch.cat([model.bank.labels, torch.arange(60) % 3])
    return model, ImageSet(images, labels, CLASSES)


def test_an_evaluation_counts_images_of_its_memory(half_known):
    model, images = half_known
    found = whence.evaluate(model, images, memory_size=5, draws=1)
    new = whence.evaluate(model, images.take(range(17, 77)), memory_size=5, draws=1)
    assert found.known == KnownImages(
        17, memory=17, others=60, accuracy_of_others=pytest.approx(new.whole_memory)
    )
    assert new.known.images == 0
    assert found.predicted == tuple(model(images.images).argmax(1).tolist())


def test_a_standard_model_does_not_say_what_it_knows():
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    model = whence.wrap(
        encoder, CLASSES, variant="standard", image_shape=(1, 3, 4), drop_classifier=False
    ).eval()
    images = ImageSet(draw_images(9), torch.arange(9) % 3, CLASSES)
    assert whence.evaluate(model, images).known is None


def test_a_calibration_leaves_images_of_the_memory_out(half_known):
    model, images = half_known
    expected = whence.calibrate(model, images.take(range(17, 77)))
    assert expected.images == 60
    assert whence.calibrate(model, images) == expected
    assert whence.calibrate(model, images.take(range(17))) is None
