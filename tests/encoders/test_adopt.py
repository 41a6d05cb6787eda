"""Networks by name, of ours and of others, and modules of users, as encoders."""

import sys

import pytest
import torch
from torch.testing import assert_close

from tests.helpers.networks import SHAPE, Small, plain
from whence.encoders import ENCODERS, FOREIGN
from whence.encoders.adopt import EncoderKind, adopt_encoder, build_encoder
from whence.encoders.count_features import count_features
from whence.encoders.drop_classifier import drop_classifier
from whence.encoders.libraries import LIBRARIES

TORCHVISION = {  # D of what stays; one network of every family, with the size of its images
    "alexnet": (4096, 64),
    "convnext_tiny": (768, 32),
    "densenet121": (1024, 32),
    "efficientnet_b0": (1280, 32),
    "googlenet": (1024, 32),
    "inception_v3": (2048, 96),
    "maxvit_t": (512, 224),
    "mnasnet0_5": (1280, 32),
    "mobilenet_v2": (1280, 32),
    "mobilenet_v3_small": (1024, 32),
    "resnet18": (512, 32),
    "shufflenet_v2_x0_5": (1024, 32),
    "squeezenet1_1": (512, 32),
    "swin_t": (768, 32),
    "vgg11": (4096, 32),
    "vit_b_32": (768, 32),
}
TIMM = {  # D and image_shape
    "resnet10t": (512, (1, 28, 36)),
    "vit_tiny_patch16_224": (192, (3, 32, 48)),
    "mobilenetv3_small_050": (1024, (3, 32, 32)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_ours_by_name(name):
    with torch.device("meta"):
        encoder, kind = build_encoder(name, SHAPE)
        assert count_features(encoder, SHAPE) == count_features(ENCODERS[name](3, (32, 40)), SHAPE)
    assert kind == EncoderKind("whence", name)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_without_classifier(name):
    features, size = TORCHVISION[name]
    with torch.device("meta"):
        encoder, kind = adopt_encoder(f"torchvision:{name}", (3, size, size))
        assert count_features(encoder, (3, size, size)) == features
        shapes = {key: t.shape for key, t in encoder.state_dict().items()}
        drop_classifier(encoder)  # twice changes nothing
        assert {key: t.shape for key, t in encoder.state_dict().items()} == shapes
        assert encoder.train()(torch.zeros(2, 3, size, size)).shape == (2, features)
        assert getattr(encoder, "transform_input", True), "as the pretrained weights expect"
    assert kind == EncoderKind("torchvision", name)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "regnet_x_400mf"])
def test_torchvision_features_are_those_before_the_classifier(name, rng):
    import torchvision

    torch.manual_seed(0)
    whole = torchvision.models.get_model(name, weights=None).eval()
    torch.manual_seed(0)
    encoder, _ = adopt_encoder(f"torchvision:{name}", (3, 32, 32))
    images = torch.rand(2, 3, 32, 32, generator=rng)
    last = whole.classifier[-1] if name == "mobilenet_v2" else whole.fc
    assert_close(last(encoder.eval()(images)), whole(images))


def test_convnext_keeps_its_normalisation(rng):
    encoder, _ = adopt_encoder("torchvision:convnext_tiny", (3, 32, 32))
    with torch.no_grad():
        features = encoder.eval()(torch.rand(2, 3, 32, 32, generator=rng))
    assert_close(features.mean(1), torch.zeros(2), rtol=0, atol=1e-5)
    assert_close(features.std(1, correction=0), torch.ones(2), rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", TIMM)
def test_timm_without_classifier(name, rng):
    features, shape = TIMM[name]
    encoder, kind = adopt_encoder(f"timm:{name}", shape)
    assert count_features(encoder, shape) == features
    assert kind == EncoderKind("timm", name)
    images = torch.rand(2, *shape, generator=rng)
    before = encoder.eval()(images)
    assert drop_classifier(encoder) is encoder
    assert_close(encoder(images), before, rtol=0, atol=0)


def test_a_timm_module_drops_its_classifier():
    import timm

    encoder, kind = adopt_encoder(timm.create_model("resnet10t", num_classes=7), (3, 32, 32))
    assert count_features(encoder, (3, 32, 32)) == 512
    assert kind == EncoderKind("module", "ResNet")


def test_drop_classifier_can_be_refused_or_insisted_on():
    whole, _ = adopt_encoder(Small(), SHAPE, drop=False)
    assert count_features(whole, SHAPE) == 10
    cut, _ = adopt_encoder(Small(), SHAPE, drop=True)
    assert count_features(cut, SHAPE) == 6
    with pytest.raises(ValueError, match=r"drop_classifier=True needs .* Sequential has none"):
        adopt_encoder(plain(), SHAPE, drop=True)
    with pytest.raises(ValueError, match="drop_classifier=False needs a module, got the name"):
        adopt_encoder("torchvision:resnet18", (3, 32, 32), drop=False)
    assert adopt_encoder("small_cnn", SHAPE, drop=False)[1].family == "whence"


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("resnet19", SHAPE, "Unknown encoder 'resnet19'. Choose from: small_cnn, .*timm:NAME"),
        ("hf-hub:a/b", SHAPE, "Unknown encoder 'hf-hub:a/b'"),
        ("torchvision:resnt18", SHAPE, "Unknown torchvision .*'resnt18'. Did you mean: resnet18"),
        ("torchvision:fcn_resnet50", SHAPE, "Unknown torchvision classification network"),
        ("torchvision:ResNet18", SHAPE, "Unknown torchvision classification network"),
        ("torchvision:", SHAPE, "No name comes close"),
        ("timm:hf-hub:timm/resnet18", SHAPE, "Unknown timm .*Did you mean: resnet18"),
        ("torchvision:resnet18", (1, 32, 32), "resnet18 takes 3 channels, got 1; "),
        ("torchvision:vit_b_32", (3, 32, 64), "takes square images, got 32 x 64"),
        ("torchvision:vit_b_32", (3, 40, 40), r"image_shape \(3, 40, 40\), it raised Assertion"),
        ("timm:swin_tiny_patch4_window7_224", (3, 0, 0), r"must accept images of image_shape"),
    ],
)
def test_names_and_shapes_that_cannot_be_built(name, shape, message):
    with pytest.raises(ValueError, match=message):
        adopt_encoder(name, shape)


def test_encoder_must_be_a_module_or_a_name():
    with pytest.raises(TypeError, match=r"must be an nn.Module or a name, got type"):
        adopt_encoder(Small, SHAPE)
    with pytest.raises(ValueError, match=r"Unknown encoder family 'hub'. Choose from: whence,"):
        EncoderKind("hub", "x")


def test_missing_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match="python -m pip install timm"):
        build_encoder("timm:resnet10t", SHAPE)


def test_the_libraries_are_those_that_the_command_line_names():
    assert tuple(LIBRARIES) == FOREIGN


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_refuses_a_name_with_its_neighbours(name):
    with pytest.raises(ValueError, match=f"Unknown {name} .*'resnet19'. Did you mean: .*resnet18"):
        LIBRARIES[name].check("resnet19")
    LIBRARIES[name].check("resnet18")


def test_a_tag_of_timm_names_certain_weights():
    encoder, kind = build_encoder("timm:resnet18.a1_in1k", (3, 32, 32))
    assert kind == EncoderKind("timm", "resnet18.a1_in1k")
    assert count_features(encoder, (3, 32, 32)) == 512
