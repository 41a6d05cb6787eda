"""Classes that a model was not trained for come to its memory, and go again."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.evidence.test_edit_more import LABELS, NAMES, SHAPE, assert_same_answers, make
from whence.evidence.choose_stored import others
from whence.memory.votes import Votes

MESSAGE = "learned without dog"


def draw(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


@pytest.fixture
def model():
    return make().remember(draw(24, 0), LABELS)


@pytest.fixture
def grown(model):
    with pytest.warns(UserWarning, match=MESSAGE):
        return whence.edit(model, add=(draw(5, 1), ["dog"] * 4 + ["bee"]), new_classes=["dog"])


def slow(model, images, labels):
    """A model of four classes with the same keys, which remembers all anew."""
    torch.manual_seed(0)
    other = whence.wrap("small_cnn", [*NAMES, "dog"], variant="votes", image_shape=SHAPE).eval()
    other.load_state_dict(model.state_dict())
    return other.remember(images, labels)


def test_the_answers_are_those_of_a_model_that_always_had_the_class(model, grown):
    images = torch.cat([draw(24, 0), draw(5, 1)])
    labels = torch.cat([LABELS, torch.tensor([3, 3, 3, 3, 1])])
    expected = slow(model, images, labels)
    assert grown.class_names == (*NAMES, "dog")
    asked = torch.cat([draw(6, 2), draw(5, 1)[:2]])
    assert_close(grown(asked), expected(asked))
    assert_same_answers(grown, expected, asked)
    assert grown.bank.predicted[24:].tolist() == expected.bank.predicted[24:].tolist()
    assert grown(draw(5, 1)).argmax(1).tolist() == [3, 3, 3, 3, 1]


def test_the_model_itself_stays_as_it_was(model, grown):
    assert model.class_names == NAMES
    assert model.head.classes == 3
    assert model(draw(4, 2)).shape == (4, 3)
    assert grown(draw(4, 2)).shape == (4, 4)
    assert grown.head.keys is model.head.keys


def test_forgetting_is_exact(model, grown):
    """Without its images the new class has no probability, and all is as it was."""
    kept = others(grown.bank, torch.arange(24, 29)).tolist()
    gone = whence.edit(grown, keep=kept)
    asked = draw(6, 2)
    assert_close(
        gone.head.probabilities(gone(asked))[:, :3], model.head.probabilities(model(asked))
    )
    assert (gone.head.probabilities(gone(asked))[:, 3] == 0).all()


def test_it_is_saved_and_read_as_it_is(grown, tmp_path):
    whence.save(grown, tmp_path / "grown")
    again = whence.load(tmp_path / "grown")
    assert again.class_names == grown.class_names
    assert torch.equal(again(draw(6, 2)), grown(draw(6, 2)))


def test_handicaps_and_thresholds_stay_those_of_the_old_classes():
    head = Votes(4, 2).eval()
    head.handicaps = torch.tensor([0.5, 0.25])
    grown = head.with_classes(3)
    assert grown.handicaps.tolist() == [0.5, 0.25, 0]
    assert head.handicaps.tolist() == [0.5, 0.25]
    assert [name for name, _ in grown.named_parameters()] == [n for n, _ in head.named_parameters()]
    assert grown.log_scale is head.log_scale


def test_what_cannot_grow_is_one_sentence(model):
    with pytest.raises(ValueError, match="new_classes must come with images of them"):
        whence.edit(model, new_classes=["dog"])
    with pytest.raises(ValueError, match="different names, got 'bee' twice"):
        whence.edit(model, add=(draw(1, 1), ["bee"]), new_classes=["bee"])
    with (
        pytest.warns(UserWarning, match="without dog, owl"),
        pytest.raises(ValueError, match="none is of owl"),
    ):
        whence.edit(model, add=(draw(1, 1), ["dog"]), new_classes=["dog", "owl"])
    with pytest.raises(ValueError, match="labels must be names of classes"):
        whence.edit(model, add=(draw(1, 1), ["dog"]))
    other = make("memory-wrap").remember(draw(24, 0), LABELS)
    with pytest.raises(ValueError, match="memory-wrap has learned its classes"):
        whence.edit(other, add=(draw(1, 1), ["dog"]), new_classes=["dog"])
