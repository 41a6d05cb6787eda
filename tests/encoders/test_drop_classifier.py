"""What is a network's classifier, and what stays when it is dropped."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tests.helpers.networks import SHAPE, Small, plain
from whence.encoders import ENCODERS
from whence.encoders.adopt import EncoderKind, adopt_encoder
from whence.encoders.count_features import count_features
from whence.encoders.drop_classifier import drop_classifier


@pytest.mark.parametrize("attribute", ["fc", "classifier", "head", "heads"])
def test_a_module_drops_its_classifier_by_name(attribute, rng):
    module = Small(attribute)
    images, whole = torch.rand(2, *SHAPE, generator=rng), getattr(module, attribute)
    expected = module.eval()(images)
    encoder, kind = adopt_encoder(module, SHAPE)
    assert encoder is module
    assert kind == EncoderKind("module", "Small")
    assert count_features(encoder, SHAPE) == 6
    assert_close(whole(encoder(images)), expected)


def test_a_module_without_classifier_is_used_as_it_is():
    module = plain()
    keys = list(module.state_dict())
    encoder, kind = adopt_encoder(module, SHAPE)
    assert encoder is module
    assert list(encoder.state_dict()) == keys
    assert kind == EncoderKind("module", "Sequential")
    for name in ("wide_resnet_28_10", "vit"):  # these have attributes with such names
        with torch.device("meta"):
            ours = ENCODERS[name]()
            assert list(adopt_encoder(ours, (3, 32, 32))[0].state_dict()) == list(ours.state_dict())


@pytest.mark.parametrize(
    "layers, kept",
    [
        ([nn.Linear(6, 4)], []),
        ([nn.Dropout(), nn.Linear(6, 4)], []),
        ([nn.Linear(6, 4), nn.LogSoftmax(1)], []),
        ([nn.Linear(6, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 4)], [0, 1]),
        ([nn.LayerNorm(6), nn.Linear(6, 4)], [0]),
        ([nn.LayerNorm(6), nn.ReLU()], [0, 1]),
    ],
)
def test_what_stays_of_a_sequence(layers, kept):
    module = Small()
    module.fc = nn.Sequential(*layers)
    drop_classifier(module)
    assert [i for i, layer in enumerate(module.fc) if not isinstance(layer, nn.Identity)] == kept
    drop_classifier(module)
    assert [i for i, layer in enumerate(module.fc) if not isinstance(layer, nn.Identity)] == kept


def test_two_possible_classifiers_are_not_guessed_at():
    module = Small()
    module.head = nn.Linear(10, 3)
    with pytest.raises(ValueError, match="Small could have its classifier in fc or head"):
        adopt_encoder(module, SHAPE)


@pytest.mark.parametrize("name, size", [("googlenet", 64), ("inception_v3", 299)])
def test_auxiliary_outputs_are_switched_off(name, size):
    import torchvision

    with torch.device("meta"):
        module = torchvision.models.get_model(name, weights=None, init_weights=False)
        images = torch.zeros(2, 3, size, size)
        assert isinstance(module.train()(images), tuple), "else there is nothing to switch off"
        encoder, _ = adopt_encoder(module, (3, size, size))
        assert encoder.train()(images).ndim == 2
        assert not any("aux" in key.lower() for key in encoder.state_dict())
