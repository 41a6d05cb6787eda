"""Smaller memories: the same answers as of a memory that only ever held the chosen images."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.explaining import CLASSES, build_with_memory, draw_images
from whence.evidence.answers import Memory
from whence.evidence.design_memory import encode_known, measure_usage, order_memory
from whence.records.images import ImageSet
from whence.records.memory_sizes import MemorySize

IMAGES = draw_images(12, seed=4)
HELD = ImageSet(draw_images(9, seed=5), torch.arange(9) % 3, CLASSES)
TESTED = ImageSet(IMAGES, torch.arange(12) % 3, CLASSES)


@pytest.fixture(scope="module", params=["cosine", "l2", "dot"])
def model(request):
    return build_with_memory(similarity=request.param)


@pytest.mark.parametrize("by", whence.SELECTIONS)
def test_the_smaller_model_is_the_one_that_keeps_the_chosen_images(model, by):
    smaller = whence.design_memory(model, 7, by=by, validation=HELD)
    kept = smaller.bank.indices.tolist()
    assert len(kept) == 7
    assert kept == sorted(kept)
    assert smaller.bank.labels.unique().tolist() == [0, 1, 2]
    torch.testing.assert_close(smaller(IMAGES), whence.edit(model, keep=kept)(IMAGES))
    assert len(model.bank) == 17
    back = whence.edit(smaller, swap={kept[0]: lambda stored: stored.index not in kept[1:]})
    assert set(back.bank.indices.tolist()) == set(range(7, 170, 10))


def test_usage_is_the_mean_weight(model):
    asked = encode_known(model, HELD, 4)
    usage = measure_usage(model.memory_head, asked.features, Memory.of(model))
    bank = model.bank
    weights = model.memory_head(asked.features, bank.features).weights
    assert_close(usage, weights.double().mean(0))
    order = order_memory(model, 17, by="support", validation=asked)
    assert usage[order[3:]].diff().le(0).all()


@pytest.mark.parametrize("by", whence.SELECTIONS)
def test_pinned_images_stay_and_banned_ones_go(model, by):
    smaller = whence.design_memory(
        model, 6, by=by, validation=HELD, pin=["4.png", 167], ban=["0.png", "1[0-5].png", 27]
    )
    kept = set(smaller.bank.sources)
    assert len(kept) == 6
    assert kept >= {"4.png", "16.png"}
    assert kept <= {
        "1.png",
        "3.png",
        "4.png",
        "5.png",
        "6.png",
        "7.png",
        "8.png",
        "9.png",
        "16.png",
    }


def test_sizes_are_traced_beside_the_whole(model):
    found = whence.trace_sizes(model, TESTED, [9, 4], by=["herding", "shapley"], validation=HELD)
    assert [(one.selection, one.size) for one in found] == [
        ("all", 17),
        ("herding", 4),
        ("herding", 9),
        ("shapley", 4),
        ("shapley", 9),
    ]
    smaller = whence.design_memory(model, 9, by="shapley", validation=HELD)
    slow = whence.evaluate(smaller, TESTED, memory_size=3, draws=1)
    assert found[-1] == MemorySize(
        "shapley",
        9,
        slow.whole_memory,
        slow.balanced_accuracy,
        slow.evidence.explanation_accuracy,
        slow.evidence.purity,
    )


def test_the_same_seed_designs_the_same_memory(model):
    chosen = [
        whence.design_memory(model, 6, by="random", seed=seed).bank.indices.tolist()
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("by", ["balanced", "herding"])
def test_groups_of_classes_stay_alike(model, by):
    """Two of 17 images are of a rare group; each part of a class that has images is kept."""
    groups = ["rare" if m in (3, 4, 9) else "usual" for m in range(17)]
    smaller = whence.design_memory(model, 8, by=by, groups=groups)
    kept = [(one - 7) // 10 for one in smaller.bank.indices.tolist()]
    assert {3, 4} <= set(kept)
    numbered = torch.tensor([int(one == "rare") for one in groups])
    same = whence.design_memory(model, 8, by=by, groups=numbered)
    assert same.bank.indices.tolist() == smaller.bank.indices.tolist()
    found = whence.trace_sizes(model, TESTED, [8], by=[by], groups=groups)
    assert found[1].accuracy == whence.trace_sizes(smaller, TESTED, [8], by=["random"])[0].accuracy


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"memory_size": 2}, "memory_size must be at least 3, so that 3 classes have a stored"),
        (
            {"memory_size": 4, "pin": ["0.png", "3.png", "6.png"]},
            "at least 5, so that 3 classes and 3 pinned images have a stored image, got 4",
        ),
        ({"memory_size": 18}, "memory_size must be at most 17, what there is, got 18"),
        ({"memory_size": 0}, "memory_size must be at least 1, got 0"),
        ({"by": "chance"}, "Unknown selection 'chance'. Choose from: balanced, herding"),
        ({"by": "shapley"}, "Selection shapley needs validation images, got none"),
        ({"pin": "nine.png"}, "pin names .nine.png., which is no class and no file"),
        ({"pin": 47, "ban": "[24].png"}, "both choose 4.png"),
        ({"by": "shapley", "validation": HELD, "groups": [0] * 17}, "Selection shapley keeps no"),
        ({"groups": [*"abcdefghijklmnopq"]}, "at least 17, one image of every group of every"),
        ({"groups": [0] * 9}, "the group of each of 17 stored images, got 9"),
        ({"ban": "bee"}, "ban must leave a stored image of every class, none of bee is left"),
    ],
)
def test_what_cannot_be_designed_is_one_sentence(model, asked, message):
    with pytest.raises(ValueError, match=message):
        whence.design_memory(model, **{"memory_size": 5, **asked})


def test_labels_must_be_known():
    model = build_with_memory()
    model.remember(draw_images(5))
    with pytest.raises(ValueError, match="needs the label of every stored image"):
        whence.design_memory(model, 3)
