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


class Holder(nn.Module):
    """A user's module around one network."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images)


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "compiled": lambda network: torch.compile(network, backend="eager"),
    "a user's": Holder,
    "a sequence of one": nn.Sequential,
    "one in the other": lambda network: nn.DataParallel(Holder(nn.Sequential(network))),
    "behind a normalisation": lambda network: nn.Sequential(nn.BatchNorm2d(3), network),
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("library, features", [("torchvision", 512), ("timm", 512)])
def test_wrappers_are_looked_through(name, library, features, rng):
    import timm
    import torchvision

    torch.manual_seed(0)
    builder = {
        "torchvision": lambda: torchvision.models.get_model("resnet18", num_classes=10),
        "timm": lambda: timm.create_model("resnet10t", num_classes=10),
    }[library]
    whole = WRAPPERS[name](builder()).eval()
    images = torch.rand(2, 3, 32, 40, generator=rng)
    logits = whole(images)
    last = [module for module in whole.modules() if isinstance(module, nn.Linear)][-1]
    encoder, _ = adopt_encoder(whole, SHAPE)
    assert encoder is whole
    assert count_features(encoder, SHAPE) == features
    assert_close(last(encoder(images)), logits)
    assert count_features(adopt_encoder(encoder, SHAPE, drop=True)[0], SHAPE) == features


class Scaled(nn.Module):
    """One network, and a parameter that learns beside it."""

    def __init__(self):
        super().__init__()
        self.network, self.scale = Small(), nn.Parameter(torch.ones(()))

    def forward(self, images):
        return self.scale * self.network(images)


@pytest.mark.parametrize(
    "module",
    [Scaled(), nn.Sequential(Small(), nn.Linear(10, 7)), nn.Sequential(nn.Identity(), Small())],
)
def test_what_is_more_than_a_wrapper_is_used_as_it_is(module):
    encoder, _ = adopt_encoder(module, SHAPE)
    assert count_features(encoder, SHAPE) in (7, 10)
    with pytest.raises(ValueError, match="needs an encoder with a classifier"):
        adopt_encoder(module, SHAPE, drop=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_traced_module_is_refused_and_can_be_used_whole():
    traced = torch.jit.trace(Small().eval(), torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match=r"traced module keeps its classifier \(fc\): replace it"):
        adopt_encoder(traced, SHAPE)
    assert count_features(adopt_encoder(traced, SHAPE, drop=False)[0], SHAPE) == 10
