"""Keys learned again from a smaller memory: what changes, and what stays."""

from dataclasses import replace

import pytest
import torch

import whence
from whence.records.images import ImageSet
from whence.training.plan import EPOCHS_AT_ONCE, Plan


@pytest.fixture(scope="module")
def model():
    digits = whence.load_dataset("digits").train.take(range(80))
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU())
    made = whence.wrap(encoder, digits.class_names, variant="votes", image_shape=(1, 8, 8)).eval()
    return made.remember(digits)


def test_it_is_a_training_on_the_stored_images_alone(model):
    smaller = whence.design_memory(model, 30)
    before = {name: tensor.clone() for name, tensor in smaller.state_dict().items()}
    again = whence.learn_again(smaller, seed=3)
    assert again.bank.indices.tolist() == smaller.bank.indices.tolist()
    wanted = whence.design_memory(model, 30)
    images = ImageSet(wanted.bank.images, wanted.bank.labels, model.class_names)
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU())
    slow = whence.wrap(encoder, model.class_names, variant="votes", image_shape=(1, 8, 8)).eval()
    whence.fit(slow, images, plan=Plan(EPOCHS_AT_ONCE, 30, 3, freeze_encoder=True))
    slow.remember(images)
    asked = whence.load_dataset("digits").test.images[:20]
    assert torch.equal(again(asked), slow(asked))
    for name, tensor in smaller.state_dict().items():
        assert torch.equal(tensor, before[name]), "the model itself is left as it is"
    assert torch.equal(again.encoder[1].weight, model.encoder[1].weight)


def test_classes_that_came_later_are_learned(model):
    digits = whence.load_dataset("digits")
    few = ImageSet(
        digits.train.images[:80],
        digits.train.labels[:80].clamp(max=8),
        digits.train.class_names[:9],
    )
    new = digits.train.labels[:80] == 9
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU())
    known = whence.wrap(encoder, few.class_names, variant="votes", image_shape=(1, 8, 8)).eval()
    known.remember(few.images[~new], few.labels[~new])
    with pytest.warns(UserWarning, match="learned without"):
        grown = whence.edit(
            known, add=(few.images[new], ["nine"] * int(new.sum())), new_classes=["nine"]
        )
    again = whence.learn_again(grown, seed=3)
    assert grown.head.width == again.head.width + 12
    assert again.head.even_directions is None
    assert again.class_names == grown.class_names
    images = ImageSet(grown.bank.images, grown.bank.labels, grown.class_names)
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.ReLU())
    slow = whence.wrap(encoder, again.class_names, variant="votes", image_shape=(1, 8, 8)).eval()
    whence.fit(slow, images, plan=Plan(EPOCHS_AT_ONCE, 80, 3, freeze_encoder=True))
    slow.remember(images)
    asked = digits.test.images[:20]
    torch.testing.assert_close(again(asked), slow(asked))


def test_what_cannot_learn_again_is_one_sentence(model):
    blind = whence.edit(model, remove=0)
    blind.attach(replace(blind.bank, images=None))
    with pytest.raises(ValueError, match="Keys are made from the pixels of the stored images"):
        whence.learn_again(blind)
    other = whence.wrap("small_cnn", 2, image_shape=(1, 8, 8)).eval()
    other.remember(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="Votes alone take other keys"):
        whence.learn_again(other)
