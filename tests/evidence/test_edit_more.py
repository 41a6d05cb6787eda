"""Other labels for stored images, and images that come to a memory."""

import pytest
import torch
from torch.testing import assert_close

import whence

SHAPE = (1, 8, 8)
NAMES = ("ant", "bee", "cat")


@pytest.fixture
def stored(rng):
    return torch.randint(0, 256, (24, *SHAPE), generator=rng, dtype=torch.uint8)


@pytest.fixture
def asked(rng):
    return torch.randint(0, 256, (5, *SHAPE), generator=rng, dtype=torch.uint8)


LABELS = torch.arange(24) % 3


def make(variant="votes"):
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", NAMES, variant=variant, image_shape=SHAPE).eval()
    if variant == "votes":
        model.head.sharpness.fill_(40)
    return model


def assert_same_answers(one, other, asked, atol=1e-5):
    for mine, theirs in zip(whence.predict(one, asked), whence.predict(other, asked), strict=True):
        assert_close(mine.probabilities, theirs.probabilities, atol=atol, rtol=0)
        assert [e.index for e in mine.evidence] == [e.index for e in theirs.evidence]
        assert [e.label for e in mine.evidence] == [e.label for e in theirs.evidence]


def test_other_labels_are_voted_for(stored, asked):
    model = make().remember(stored, LABELS)
    answer = whence.predict(model, asked[:1])[0]
    top = answer.evidence[0]
    edited = whence.edit(model, relabel={top.index: "cat", 5: 0})
    labels = LABELS.clone()
    labels[top.index], labels[5] = 2, 0
    assert_same_answers(edited, make().remember(stored, labels), asked)
    assert model.bank.labels.tolist() == LABELS.tolist()  # the old model stays as it is
    whole = whence.edit(model, relabel={"ant": "bee"})
    assert all(float(one.probabilities[0]) == 0 for one in whence.predict(whole, asked))


@pytest.mark.parametrize("variant", ["votes", "memory-wrap"])
def test_added_images_are_as_if_they_had_been_remembered(stored, asked, variant):
    part = make(variant).remember(stored[:16], LABELS[:16])
    edited = whence.edit(part, add=(stored[16:], LABELS[16:]), batch_size=3)
    whole = make(variant).remember(stored, LABELS)
    assert_same_answers(edited, whole, asked)
    assert edited.bank.indices.tolist() == list(range(24))
    assert edited.bank.predicted[16:].tolist() == whole.bank.predicted[16:].tolist()
    assert_close(edited.bank.images, stored)
    assert len(part.bank) == 16
    without = whence.edit(edited, remove=list(range(16, 24)))
    assert_same_answers(without, part, asked)
    back = whence.edit(without, swap={0: 20})  # what was added is remembered
    assert 20 in back.bank.indices.tolist()


def test_added_images_without_files_have_a_name_beside_those_that_have(stored):
    sources = [f"{NAMES[place % 3]}/{place}.png" for place in range(16)]
    model = make().remember(stored[:16], LABELS[:16], sources=sources)
    edited = whence.edit(model, remove="bee/1.png", add=(stored[16:18], ["bee", "cat"]))
    assert edited.bank.sources[-3:] == ("ant/15.png", "added/16", "added/17")
    assert edited.bank.labels[-2:].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relabel": {3: "dog"}}, "'dog'"),
        ({"relabel": {3: 3}}, "labels must be in 0 to 2"),
        ({"relabel": {99: "cat"}}, "relabel names no stored image with index 99"),
        ({"add": (torch.zeros(0, *SHAPE).byte(), [])}, "at least one image"),
        ({"add": (torch.zeros(1, 1, 4, 4).byte(), [0])}, "must be"),
    ],
)
def test_what_is_refused(stored, changes, message):
    model = make().remember(stored, LABELS)
    with pytest.raises(ValueError, match=message):
        whence.edit(model, **changes)
