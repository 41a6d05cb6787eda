"""Recall and precision of each class, against scikit-learn and by hand."""

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

import whence
from tests.helpers.explaining import CLASSES, build_with_memory, draw_images
from whence.cli.work.class_text import describe_balance, describe_choice, list_classes
from whence.metrics.classes import measure_classes
from whence.records.class_measures import ClassMeasures
from whence.records.images import ImageSet
from whence.records.measures import Evaluation


def test_by_hand():
    labels, predicted = torch.tensor([0, 0, 0, 2, 2]), torch.tensor([0, 2, 0, 2, 0])
    ant, bee, cow, elk = measure_classes(predicted, labels, ("ant", "bee", "cow", "elk"))
    assert ant == ClassMeasures("ant", images=3, right=2, answers=3)
    assert cow == ClassMeasures("cow", images=2, right=1, answers=2)
    assert bee == ClassMeasures("bee", 0, 0, 0)
    assert (bee.recall, bee.precision) == (None, None)
    assert elk == ClassMeasures("elk", 0, 0, 0)
    with pytest.raises(ValueError, match=r"predicted must be \(N\) with N=5, got shape \(4,\)"):
        measure_classes(predicted[:4], labels, ("a", "b", "c"))


def test_against_scikit_learn(rng):
    labels, predicted = (torch.randint(0, 5, (300,), generator=rng) for _ in range(2))
    found = measure_classes(predicted, labels, tuple("abcde"))
    precision, recall, _, images = precision_recall_fscore_support(labels, predicted)
    assert [one.recall for one in found] == pytest.approx(recall.tolist())
    assert [one.precision for one in found] == pytest.approx(precision.tolist())
    assert [one.images for one in found] == images.tolist()
    balanced = Evaluation(300, 0.2, found).balanced_accuracy
    assert balanced == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_an_evaluation_is_balanced_over_the_classes_that_have_images():
    model, images = build_with_memory(17), draw_images(60, seed=8)
    labels = torch.cat([torch.zeros(50), torch.full((10,), 2)]).long()
    found = whence.evaluate(model, ImageSet(images, labels, CLASSES), memory_size=5, draws=1)
    predicted = model(images).argmax(1)
    expected = [float((predicted[labels == k] == k).double().mean()) for k in (0, 2)]
    assert found.balanced_accuracy == pytest.approx(sum(expected) / 2)
    assert found.balanced_accuracy != pytest.approx(found.whole_memory)
    assert found.worst_class.name == CLASSES[0 if expected[0] < expected[1] else 2]
    assert expected[0] != expected[1], "else the case is degenerate"
    kept = labels == 0
    alone = ImageSet(images[kept], labels[kept], CLASSES)
    assert whence.evaluate(model, alone, memory_size=5, draws=1).worst_class is None


def test_sentences():
    never = ClassMeasures("owl", images=1200, right=0, answers=0)
    assert describe_balance(0.25, never) == (
        "Balanced accuracy (mean recall of the classes) 25.0%; worst class owl: 0 of 1,200 found "
        "(recall 0%), no answer."
    )
    assert describe_balance(0.25, None) is None


def test_of_many_classes_the_worst_are_listed():
    classes = [ClassMeasures(f"c{i}", 10, i % 10, 5) for i in range(20)]
    assert list_classes(classes) == classes
    assert describe_choice(classes) is None
    classes = [*classes, ClassMeasures("best", 10, 10, 10), ClassMeasures("none", 0, 0, 3)]
    chosen = list_classes(classes)
    assert [one.name for one in chosen[:4]] == ["c0", "c10", "c1", "c11"]
    assert {"best", "none"}.isdisjoint(one.name for one in chosen)
    assert describe_choice(classes) == "The 20 of 22 classes with the lowest recall."
