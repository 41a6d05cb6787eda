"""How far the answers to many images hang on the stored images: against answers one by one."""

import statistics

import pytest
import torch

import whence
from tests.helpers.explaining import CLASSES, build, build_with_memory, draw_images
from whence.evidence.answers import Memory, answer
from whence.evidence.dependence import measure_dependence
from whence.models.evaluating import evaluating
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.records.measures import Reliance
from whence.report.dependence import DECORATION_BOUND, decides, say_dependence


@pytest.fixture(scope="module")
def images():
    return draw_images(90, seed=8)


def answered_rightly(model, images, wrong_every=4):
    """Labels with which all answers but every fourth are right."""
    labels = model(images).argmax(1)
    labels[::wrong_every] = (labels[::wrong_every] + 1) % 3
    return ImageSet(images, labels, CLASSES)


def count_one_by_one(model, sample):
    """Leave the stored images of a class out by editing the memory, and answer image by image."""
    changed = right = 0
    for image, label in zip(sample.images, sample.labels.tolist(), strict=True):
        if int(model(image[None]).argmax()) != label:
            continue
        right += 1
        without = whence.edit(model, remove=CLASSES[label])
        changed += int(without(image[None]).argmax()) != label
    return right, changed


@pytest.mark.parametrize("variant", ["memory-wrap", "only-memory"])
@pytest.mark.parametrize("size", [17, 700], ids=["small memory", "large memory"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_against_an_edited_memory_and_single_explanations(images, variant, size, similarity):
    model = build_with_memory(size, variant, similarity=similarity)
    sample = answered_rightly(model, images)
    found = whence.evaluate(model, sample, memory_size=5, draws=1).reliance
    right, changed = count_one_by_one(model, sample)
    assert (found.right, found.changed) == (right, changed)
    assert found.changed_share == changed / right
    assert 60 < right < 90
    assert 0 < changed < right, "else the case is degenerate"
    single = [one.reliance for one in whence.explain(model, images, draws=0)]
    lower, median, upper = statistics.quantiles(single, n=4, method="inclusive")
    expected = (statistics.fmean(single), lower, median, upper)
    quarters = (found.mean, found.lower_quartile, found.median, found.upper_quartile)
    assert quarters == pytest.approx(expected, abs=1e-5)
    if variant == "only-memory":
        assert quarters == (1, 1, 1, 1)
    else:
        assert lower < median < upper


def test_the_batch_size_changes_nothing(images):
    model = build_with_memory(40)
    sample = answered_rightly(model, images)
    one, other = (
        whence.evaluate(model, sample, memory_size=5, draws=1, batch_size=size).reliance
        for size in (7, 128)
    )
    assert (one.right, one.changed) == (other.right, other.changed)
    assert one.mean == pytest.approx(other.mean, abs=1e-6)


def test_without_labels_of_stored_images_there_is_no_class_to_leave_out(images):
    model = build_with_memory(17)
    model.remember(model.bank.images)
    found = whence.evaluate(model, answered_rightly(model, images), memory_size=5, draws=1).reliance
    assert (found.right, found.changed, found.changed_share) == (None, None, None)
    assert 0 < found.median < 1


@pytest.mark.parametrize(
    ("stored", "right"),
    [([1] * 17, 0), ([1, 2] * 8 + [1], None)],
    ids=["of one class", "of two of three classes"],
)
def test_answers_whose_class_cannot_be_left_out_are_not_counted(images, stored, right):
    model = build_with_memory(17)
    model.remember(model.bank.images, torch.tensor(stored))
    sample = answered_rightly(model, images)
    found = whence.evaluate(model, sample, memory_size=5, draws=1).reliance
    predicted = model(images).argmax(1)
    if right is None:
        right = int(((predicted == sample.labels) & (predicted > 0)).sum())
        assert right > 10
    assert found.right == right
    assert found.changed_share == (found.changed / right if right else None)


def test_when_no_answer_is_right_there_is_nothing_to_count(images):
    model = build_with_memory(17)
    sample = answered_rightly(model, images, wrong_every=1)
    found = whence.evaluate(model, sample, memory_size=5, draws=1).reliance
    assert (found.right, found.changed, found.changed_share) == (0, 0, None)


def test_a_standard_model_has_no_reliance(images):
    model = build("standard")
    assert whence.evaluate(model, answered_rightly(model, images)).reliance is None


def test_answers_without_their_reliance_are_refused(images):
    model = build_with_memory(17)
    sample, memory = answered_rightly(model, images), Memory.of(model)
    with evaluating(model):
        features = encode_all(model, images)
        plain = answer(model, features, sample.labels, memory, batch_size=9)
    with pytest.raises(ValueError, match="answers must be computed with their reliance"):
        measure_dependence(model.memory_head, features, sample.labels, memory, plain, batch_size=9)


def test_sentences():
    few = Reliance(0.25, 0.1, 0.2, 0.3, right=1000, changed=99, changed_share=0.099)
    assert not decides(few)
    one, two, three = say_dependence(few)
    assert "20.0% comes from the stored images" in one
    assert "for the middle half of the images 10.0% to 30.0%" in one
    assert two == (
        "Without any stored image of the answered class, 99 of 1,000 right answers change (9.9%)."
    )
    assert three.startswith("So the evidence hardly decides: ")
    assert three.endswith("train with --variant votes.")
    enough = Reliance(0.25, 0.1, 0.2, 0.3, right=30, changed=3, changed_share=DECORATION_BOUND)
    assert decides(enough)
    assert len(say_dependence(enough)) == 2
    too_few = Reliance(0.25, 0.1, 0.2, 0.3, right=29, changed=0, changed_share=0.0)
    assert decides(too_few)
    alone = Reliance(1, 1, 1, 1, right=30, changed=0, changed_share=0.0)
    assert not decides(alone)
    counted, meant = say_dependence(alone)
    assert counted.endswith("0 of 30 right answers change (0%).")
    assert meant.startswith("So these answers hardly depend on the class of the stored images")
    unknown = Reliance(0.25, 0.1, 0.2, 0.3)
    assert decides(unknown)
    assert len(say_dependence(unknown)) == 1
