"""Networks that are not ours: built by name or passed in, probed, and filled from files."""

import os
import sys
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.testing import assert_close

from whence.encoders import ENCODERS
from whence.encoders.adopt import (
    EncoderKind,
    adopt_encoder,
    build_encoder,
    count_features,
    drop_classifier,
    load_weights,
)

SHAPE = (3, 32, 40)
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


class Small(nn.Module):
    """A user's network with BatchNorm, dropout and a classifier."""

    def __init__(self, classifier="fc", channels=3, features=6):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, features, 3), nn.BatchNorm2d(features), nn.Dropout(0.5)
        )
        self.last = classifier
        setattr(self, classifier, nn.Linear(features, 10))

    def forward(self, images):
        return getattr(self, self.last)(self.body(images).mean((2, 3)))


def plain():
    """A network without a classifier, as a user would write it."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


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
    assert kind == EncoderKind("own", "ResNet")


@pytest.mark.parametrize("attribute", ["fc", "classifier", "head", "heads"])
def test_a_module_drops_its_classifier_by_name(attribute, rng):
    module = Small(attribute)
    images, whole = torch.rand(2, *SHAPE, generator=rng), getattr(module, attribute)
    expected = module.eval()(images)
    encoder, kind = adopt_encoder(module, SHAPE)
    assert encoder is module
    assert kind == EncoderKind("own", "Small")
    assert count_features(encoder, SHAPE) == 6
    assert_close(whole(encoder(images)), expected)


def test_a_module_without_classifier_is_used_as_it_is():
    module = plain()
    keys = list(module.state_dict())
    encoder, kind = adopt_encoder(module, SHAPE)
    assert encoder is module
    assert list(encoder.state_dict()) == keys
    assert kind == EncoderKind("own", "Sequential")
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


class Careless(nn.Module):
    """Draws random numbers in eval mode, and fails if told to."""

    def __init__(self, inner, fails=False):
        super().__init__()
        self.inner, self.fails = inner, fails

    def forward(self, images):
        torch.rand(3)
        assert not torch.is_grad_enabled(), "a probe needs no graph"
        features = self.inner(images)
        if self.fails:
            raise IndexError("out of range")
        return features


@pytest.mark.parametrize("fails", [False, True])
def test_probe_leaves_no_trace(fails):
    encoder = Careless(Small(), fails)
    encoder.inner.body[2].eval()  # a mode of its own, which must survive
    modes = [module.training for module in encoder.modules()]
    before, state = snapshot(encoder), torch.get_rng_state()
    if fails:
        with pytest.raises(
            ValueError, match=r"image_shape \(3, 32, 40\), it raised IndexError: out"
        ):
            count_features(encoder, SHAPE)
    else:
        assert count_features(encoder, SHAPE) == 10
    assert [module.training for module in encoder.modules()] == modes
    assert modes.count(False) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


def test_probe_follows_the_encoder_type():
    assert count_features(plain().double(), SHAPE) == 5
    assert count_features(plain().bfloat16(), SHAPE) == 5
    assert count_features(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), SHAPE) == 12


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, images):
        return self.make(images)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda x: (x, x), "got a tuple; wrap it in a module that returns one tensor"),
        (lambda x: x, r"got shape \(2, 3, 32, 40\) for 2 images; add a pooling layer and nn.Flat"),
        (lambda x: x.mean(0).flatten(1), r"got shape \(3, 1280\) for 2 images"),
        (lambda x: x[:, :0, 0, 0], r"got shape \(2, 0\)"),
        (lambda x: x.flatten(1).long(), "as floating point numbers, got torch.int64"),
        (lambda x: x.view(7, 7), r"image_shape \(3, 32, 40\), it raised RuntimeError: shape"),
    ],
)
def test_probe_says_what_came(make, message):
    with pytest.raises(ValueError, match=message):
        count_features(Returns(make), SHAPE)


def write(path, tensors):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("prefix", ["", "encoder.", "module.", "module.encoder."])
def test_weights_come_back_from_a_file(tmp_path, ending, prefix):
    torch.manual_seed(0)
    source = Small()
    file = write(tmp_path / f"w{ending}", {prefix + k: v for k, v in source.state_dict().items()})
    encoder, kind = adopt_encoder(Small(), SHAPE)
    record = load_weights(encoder, kind, file)
    assert_close(snapshot(encoder), {k: v for k, v in source.state_dict().items() if "fc" not in k})
    assert record.startswith(f"weights from w{ending}, sha256 ")
    assert record.endswith("; 2 of its tensors were not used")  # fc.weight and fc.bias
    assert str(tmp_path) not in record


@pytest.mark.parametrize("container", ["state_dict", "model_state_dict", "model"])
def test_weights_in_a_container(tmp_path, container):
    source = plain()
    file = write(tmp_path / "w.pt", {"epoch": 3, container: source.state_dict()})
    encoder, kind = adopt_encoder(plain(), SHAPE)
    record = load_weights(encoder, kind, str(file))
    assert_close(snapshot(encoder), snapshot(source))
    assert "not used" not in record
    assert load_weights(encoder, kind, str(file)) == record
    with torch.no_grad():
        source[0].bias += 1
    write(file, source.state_dict())
    assert load_weights(encoder, kind, str(file)) != record


def test_weights_of_a_whole_network_by_name(tmp_path):
    import torchvision

    whole = torchvision.models.get_model("mnasnet0_5", weights=None)
    file = write(tmp_path / "mnasnet.safetensors", whole.state_dict())
    encoder, kind = adopt_encoder("torchvision:mnasnet0_5", (3, 32, 32))
    load_weights(encoder, kind, file)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert_close(whole.eval().classifier(encoder.eval()(images)), whole(images))


def test_batch_counters_of_old_files_may_be_missing(tmp_path):
    source, (encoder, kind) = plain(), adopt_encoder(plain(), SHAPE)
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("tracked")}
    load_weights(encoder, kind, write(tmp_path / "w.pt", state))
    assert_close(snapshot(encoder), snapshot(source))


def changed(**tensors):
    state = {**plain().state_dict(), **{k.replace("__", "."): t for k, t in tensors.items()}}
    return {key: tensor for key, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    "tensors, message",
    [
        (changed(**{"0__weight": None}), r"0.weight \(5, 3, 3, 3\) is missing \(1 of 7 do not fit"),
        (changed(**{"0__bias": torch.zeros(4)}), r"0.bias must have shape \(5,\), got \(4,\)"),
        (changed(**{"0__bias": torch.zeros(5, dtype=torch.int32)}), "must be torch.float32, got t"),
        (changed(**{"1__bias": torch.full((5,), torch.nan)}), "finite numbers, 1.bias has NaN"),
        (
            {"a": torch.zeros(2)},
            r"0.weight .* is missing; 0.bias .* is missing; 1.weight .* \.\.\.",
        ),
        ({"a": 3}, "must hold named tensors"),
        ([torch.zeros(2)], "must hold named tensors"),
        ({"0.bias": torch.zeros(5, device="meta")}, "ordinary tensors, 0.bias is of another kind"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, tensors, message):
    encoder, kind = adopt_encoder(plain(), SHAPE)
    before = snapshot(encoder)
    with pytest.raises(ValueError, match=message):
        load_weights(encoder, kind, write(tmp_path / "w.pt", tensors))
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def test_hostile_and_damaged_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder, kind = adopt_encoder(plain(), SHAPE)
    torch.save({"0.weight": Hostile()}, "hostile.pt")
    whole = write(tmp_path / "whole.pt", plain().state_dict()).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pt").touch()
    for name in ("hostile.pt", "cut.pt", "text.pth", "empty.pt"):
        with pytest.raises(ValueError, match=f"{name} must be a whole PyTorch file of tensors"):
            load_weights(encoder, kind, name)
    assert not (tmp_path / "hacked").exists()
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        load_weights(encoder, kind, "cut.safetensors")
    for name in ("none.pt", "none.safetensors"):
        with pytest.raises(FileNotFoundError, match=f"{name} must be a file, there is none"):
            load_weights(encoder, kind, name)
    with pytest.raises(ValueError, match=r"must be a .safetensors, .pt or .pth file, got w.pickle"):
        load_weights(encoder, kind, "w.pickle")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torchvision's folder of downloads, and no network."""

    def fail(*_args, **_kwargs):
        raise URLError("no network here")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_default_weights_of_torchvision(cache):
    import torchvision

    weights = torchvision.models.get_model_weights("densenet121").DEFAULT
    whole = torchvision.models.get_model("densenet121", weights=None)
    old_names = {
        key.replace(".norm1", ".norm.1").replace(".norm2", ".norm.2"): tensor
        for key, tensor in whole.state_dict().items()
    }
    assert old_names.keys() != whole.state_dict().keys()
    torch.save(old_names, cache / weights.url.split("/")[-1])
    encoder, kind = adopt_encoder("torchvision:densenet121", (3, 32, 32))
    record = load_weights(encoder, kind, "default")
    assert "torchvision:densenet121 DenseNet121_Weights.IMAGENET1K_V1, sha256" in record
    assert_close(
        snapshot(encoder), {k: v for k, v in whole.state_dict().items() if k[:10] != "classifier"}
    )


def test_default_weights_without_a_network(cache):
    encoder, kind = adopt_encoder("torchvision:squeezenet1_1", (3, 32, 32))
    before = snapshot(encoder)
    with pytest.raises(ConnectionError, match=r"torchvision:squeezenet1_1 .* --weights FILE"):
        load_weights(encoder, kind, "default")
    assert_close(snapshot(encoder), before, rtol=0, atol=0)


def test_default_weights_of_timm(monkeypatch):
    import timm

    shape = (1, 32, 32)
    encoder, kind = adopt_encoder("timm:resnet10t", shape)
    pretrained = build_encoder("timm:resnet10t", shape)[0]
    asked = {}

    def create(name, **options):
        asked.update(options, name=name)
        return pretrained

    monkeypatch.setattr(timm, "create_model", create)
    record = load_weights(encoder, kind, "default", image_shape=shape)
    assert asked == {"name": "resnet10t", "pretrained": True, "num_classes": 0, "in_chans": 1}
    assert record.startswith("weights from timm:resnet10t, sha256 ")
    assert_close(snapshot(encoder), snapshot(pretrained))

    def fail(*_args, **_options):
        raise FileNotFoundError("cannot reach the hub")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(ConnectionError, match=r"timm:resnet10t .*cannot reach the hub.*--weights"):
        load_weights(encoder, kind, "default", image_shape=shape)
    with pytest.raises(ValueError, match="needs the image_shape"):
        load_weights(encoder, kind, "default")
    with pytest.raises(ValueError, match="timm:beit3_giant_patch14_224 has no pretrained weights"):
        load_weights(
            encoder, EncoderKind("timm", "beit3_giant_patch14_224"), "default", image_shape=shape
        )


def test_default_weights_exist_for_other_peoples_networks_only():
    for source in (plain(), "small_cnn"):
        encoder, kind = adopt_encoder(source, SHAPE)
        with pytest.raises(ValueError, match="needs a torchvision or timm network, got"):
            load_weights(encoder, kind, "default")
