"""Features from the middle of encoders."""

import json
import re
import threading

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.encoders import ENCODERS
from whence.encoders.adopt import build_encoder
from whence.encoders.at_layers import AtLayers, list_depths, network_of, take_layers
from whence.models.using import encode_frozen

SHAPE = (1, 8, 8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ENCODERS["small_cnn"](channels=1).eval()


@pytest.fixture
def images(rng):
    return torch.rand(5, *SHAPE, generator=rng)


def test_they_are_the_means_of_maps_one_behind_the_other(network, images):
    encoder = AtLayers(network, ["6", "output", "3"])
    found = encoder(images)
    assert_close(found[:, :64], network[:7](images).mean((2, 3)))
    assert_close(found[:, 64:192], network(images))
    assert_close(found[:, 192:], network[:4](images).mean((2, 3)))
    assert found.shape == (5, 64 + 128 + 32)
    assert network_of(encoder) is network
    assert network_of(network) is network


class Wide(nn.Module):
    """Gives tokens, maps with channels last, and features."""

    def __init__(self):
        super().__init__()
        self.cut = nn.Unflatten(1, (4, 16))
        self.turn = nn.Unflatten(1, (4, 4))
        self.last = nn.Identity()
        self.flat = nn.Flatten()
        self.unused = nn.Linear(2, 3)
        self.again = nn.ReLU()

    def forward(self, images):
        tokens = self.cut(images.flatten(1))  # (B, 4, 16)
        maps = self.turn(tokens.transpose(1, 2).reshape(len(images), 16, 4))  # (B, 4, 4, 4)
        wide = self.last(maps.repeat(1, 1, 1, 3))  # (B, 4, 4, 12)
        return self.again(self.again(self.flat(wide)))


def test_tokens_and_maps_with_channels_last_are_averaged_over_their_places(images):
    network = Wide()
    tokens = images.flatten(1).unflatten(1, (4, 16))
    assert_close(AtLayers(network, ["cut"])(images), tokens.mean(1))
    maps = tokens.transpose(1, 2).reshape(5, 4, 4, 4).repeat(1, 1, 1, 3)
    assert_close(AtLayers(network, ["last"])(images), maps.mean((1, 2)))
    assert_close(AtLayers(network, ["flat"])(images), maps.flatten(1))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ["blocks.3"],
            "Unknown layer 'blocks.3' of the encoder. There are cut, turn, last, output",
        ),
        (["cut", "cut"], "layers must name one layer or more, each once, got 'cut,cut'."),
        ([], "layers must name one layer or more"),
        (["unused"], "Layer unused of the encoder must run once and give numbers"),
        (["again"], "Layer again of the encoder must run once and give numbers"),
    ],
)
def test_what_is_no_layer_is_refused_with_those_there_are(layers, message):
    network = Wide().train()
    with pytest.raises(ValueError, match=re.escape(message)):
        take_layers(network, layers, SHAPE)
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_nothing_is_left_of_listening_also_after_an_error(network, images):
    encoder = AtLayers(network, ["3"])
    with pytest.raises(RuntimeError):
        encoder(images[:, :, :1])  # too small for the pools
    assert not any(module._forward_hooks for module in network.modules())


def test_depths_are_the_ends_of_parts_of_one_shape():
    def depths(name, shape=(3, 32, 32)):
        return list_depths(build_encoder(name, shape)[0], shape)

    assert depths("small_cnn") == {"2": 32, "3": 32, "6": 64, "7": 64, "10": 128}
    assert depths("resnet18") == {"layer1.1": 64, "layer2.1": 128, "layer3.1": 256}
    assert depths("torchvision:resnet18", (3, 64, 64)) == depths("resnet18")
    assert len(depths("vit")) == 6  # blocks that are all alike
    assert set(depths("vit").values()) == {384}
    assert len(depths("densenet")) == 12  # of many shapes


def test_depths_inside_a_part_that_holds_most_of_a_network():
    network, _ = build_encoder("torchvision:vit_b_32", (3, 64, 64))
    assert list(list_depths(network, (3, 64, 64)))[1] == "encoder.layers.encoder_layer_2"


def test_threads_do_not_hear_each_other(network, rng):
    encoder = AtLayers(network, ["3", "7"])
    many = torch.rand(40, 6, *SHAPE, generator=rng)
    with torch.no_grad():
        wanted, found = [encoder(some) for some in many], {}

        def work(number):
            with torch.no_grad():
                for place in range(number, 40, 4):
                    found[place] = encoder(many[place])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for place, features in enumerate(wanted):
        assert torch.equal(found[place], features)


# classifiers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "torchvision:mobilenet_v2", "timm:resnet10t"])
def test_a_model_with_layers_answers_saves_and_loads(name, tmp_path):
    torch.manual_seed(0)
    shape = (3, 32, 32)
    layers = [*list(list_depths(build_encoder(name, shape)[0], shape))[1:3], "output"]
    model = whence.wrap(name, 3, variant="votes", image_shape=shape, layers=layers).eval()
    images = torch.randint(0, 256, (6, *shape), dtype=torch.uint8)
    model.remember(images, torch.arange(6) % 3)
    with torch.no_grad():
        network = model._network()
        assert network is not model.encoder  # its normalisations are merged
        plain = model.encoder(model.normalise(images))
    assert_close(encode_frozen(model, images), plain, rtol=1e-3, atol=1e-4)
    assert model.features == plain.shape[1]
    whence.save(model, tmp_path / "run")
    again = whence.load(tmp_path / "run")
    assert again.kind == model.kind
    assert again.kind.layers == tuple(layers)
    assert torch.equal(again(images), model(images))
    assert whence.wrap(name, 3, image_shape=shape).kind.layers == ()


def test_a_module_of_the_user_with_layers_saves_and_loads(network, images, tmp_path):
    model = whence.wrap(network, 2, image_shape=SHAPE, layers=["3"], variant="standard").eval()
    whence.save(model, tmp_path / "run")
    other = ENCODERS["small_cnn"](channels=1)
    again = whence.load(tmp_path / "run", encoder=other)
    assert torch.equal(again(images), model(images))
    assert network_of(again.encoder) is other


def test_weights_are_those_of_the_network(network, images, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    model = whence.wrap(
        "small_cnn", 2, image_shape=SHAPE, weights=path, layers=["3"], variant="standard"
    ).eval()
    assert_close(model.encode_features(images), network[:4](images).mean((2, 3)))
    whence.save(model, tmp_path / "run")  # from which the network can be taken again
    taken = whence.wrap(
        "small_cnn", 2, image_shape=SHAPE, weights=tmp_path / "run" / "model.safetensors"
    ).eval()
    assert_close(taken.encode_features(images), network(images))


class Classifying(nn.Module):
    """A network with a classifier, whose logits are the features here."""

    def __init__(self):
        super().__init__()
        self.body = ENCODERS["small_cnn"](channels=1)
        self.fc = nn.Linear(128, 4)

    def forward(self, images):
        return self.fc(self.body(images))


def test_a_classifier_that_was_kept_is_kept_when_the_model_is_loaded(images, tmp_path):
    options = {"image_shape": SHAPE, "drop_classifier": False, "variant": "standard"}
    model = whence.wrap(Classifying(), 2, layers=["body.3", "output"], **options).eval()
    assert model.features == 32 + 4
    whence.save(model, tmp_path / "run")
    again = whence.load(tmp_path / "run", encoder=Classifying())
    assert torch.equal(again(images), model(images))


@pytest.mark.parametrize("layers", ["3", ["3", "3"], [3], None])
def test_layers_of_a_damaged_folder_are_named(network, tmp_path, layers):
    model = whence.wrap("small_cnn", 2, image_shape=SHAPE, layers=["3"], variant="standard")
    whence.save(model.eval(), tmp_path / "run")
    path = tmp_path / "run" / "whence.json"
    about = json.loads(path.read_text())
    about["encoder"]["layers"] = layers
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"must name layers of the encoder, each once, got"):
        whence.load(tmp_path / "run")
    about["encoder"]["layers"] = ["blocks.3"]
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"Unknown layer 'blocks.3' of the encoder"):
        whence.load(tmp_path / "run")
