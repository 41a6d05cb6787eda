"""Every encoder: its table, its parameters, the authors' numbers, and any size of image."""

import pkgutil
from functools import cache
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

import whence.encoders
from tests.helpers import authors
from whence.encoders import ENCODERS
from whence.encoders.densenet import Layer
from whence.encoders.efficientnet_b0 import drop_connect
from whence.encoders.shufflenet_v2 import shuffle
from whence.encoders.vit import Attention, patches, vit
from whence.memory.feature_heads import MemoryWrap, OnlyMemory, Standard

PUBLISHED = {  # D, then the parameters with 10 classes of Standard, Only Memory, Memory Wrap
    "mobilenet_v2": (1280, 2_296_922, 5_589_082, 15_447_642),
    "efficientnet_b0": (320, 3_599_686, 3_808_326, 4_429_766),
    "resnet18": (512, 11_173_962, 11_704_394, 13_288_522),
    "googlenet": (1024, 6_166_250, 8_275_690, 14_589_674),
    "densenet": (384, 1_000_618, 1_300_138, 2_193_322),
    "shufflenet_v2": (1024, 352_042, 2_461_482, 8_775_466),
    "wide_resnet_28_10": (640, 36_479_194, 37_306_074, 39_777_754),
}
COUNTED = {  # D and the parameters of the encoder, by hand
    "small_cnn": (128, 9 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 128) + 2 * (32 + 64 + 128 + 128)),
    "small_vgg": (
        96,
        9 * (3 * 24 + 24 * 48 + 48 * 48 + 48 * 96 + 3 * 96 * 96) + 2 * (24 + 2 * 48 + 4 * 96),
    ),
    "vit": (
        384,
        (48 * 384 + 384)  # patches
        + (1 + 65) * 384  # class token, positions
        + 7 * (6 * (384 * 384 + 384) + 2 * 768)  # q, k, v, o and two layers; two norms
        + 768,  # the last norm
    ),
    "bach_mnist": (1296, (3 * 32 * 32 + 1) * 1296 + 2 * 1297 * 1296),
    "thesis_mnist": (  # 7 x 7 pixels are left
        128,
        75 * 16 + 9 * (16 * 32 + 32 * 64) + 64 * 7 * 7 * 128 + 2 * (16 + 32 + 64 + 128),
    ),
    "thesis_fashion_mnist": (
        128,
        9 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 128)
        + 128 * 7 * 7 * 128
        + 2 * (32 + 64 + 128 + 128 + 128),
    ),
    "thesis_cifar10": (  # 3 x 3 pixels are left
        128,
        9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256)
        + 256 * 3 * 3 * 256
        + 256 * 128
        + 2 * (64 + 64 + 128 + 128 + 256 + 256 + 128),
    ),
}
NO_NETWORKS = {  # files of the same folder that turn other people's modules into encoders
    *(
        "adopt",
        "at_layers",
        "count_features",
        "drop_classifier",
        "explained",
        "libraries",
        "load_weights",
    ),
    *("preparation", "timm_networks", "torchvision_networks", "weights", "weights_file"),
}
THESIS = {"thesis_mnist", "thesis_fashion_mnist", "thesis_cifar10"}
RANDOM_IN_TRAINING = {"efficientnet_b0", "wide_resnet_28_10"} | THESIS  # dropout
UNUSED = {"efficientnet_b0": {f"layers.0.{k}" for k in ("conv1.weight", "bn1.weight", "bn1.bias")}}


@cache
def build(name):
    """One encoder for every test that does not change it."""
    torch.manual_seed(0)
    return ENCODERS[name]().eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def fresh():
    """Encoders that a test may change."""

    def make(name, **options):
        torch.manual_seed(0)
        return ENCODERS[name](**options)

    return make


def test_table_is_complete():
    modules = {m.name for m in pkgutil.iter_modules(whence.encoders.__path__)}
    assert modules - NO_NETWORKS == set(ENCODERS) == PUBLISHED.keys() | COUNTED.keys()
    assert set(authors.ENCODER_OF.values()) == set(PUBLISHED)
    assert set(authors.OUTPUTS) == set(authors.ENCODER_OF)
    assert all(ENCODERS[name].__name__ == name for name in ENCODERS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_as_published(name):
    features, *published = PUBLISHED[name]
    with torch.device("meta"):
        encoder = ENCODERS[name]()
        heads = [head(features, 10) for head in (Standard, OnlyMemory, MemoryWrap)]
    assert [count(encoder) + count(head) for head in heads] == published


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_by_hand(name):
    features, parameters = COUNTED[name]
    assert count(build(name)) == parameters
    assert build(name)(torch.zeros(2, 3, 32, 32)).shape == (2, features)


@pytest.mark.parametrize("name", authors.ENCODER_OF)
def test_keys_of_the_authors_files(name):
    with torch.device("meta"):
        state = ENCODERS[authors.ENCODER_OF[name]]().state_dict()
    theirs = {k: s for k, s in authors.shapes_of(name).items() if not k.startswith("mw.")}
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == theirs


@pytest.mark.parametrize("name", authors.ENCODER_OF)
def test_features_of_the_authors_models(name, fresh):
    encoder = fresh(authors.ENCODER_OF[name]).double().eval()
    state = {k: v for k, v in authors.fill_all(name).items() if not k.startswith("mw.")}
    encoder.load_state_dict(state)
    with torch.no_grad():
        features = encoder(authors.input_images())
    first = torch.tensor(authors.OUTPUTS[name]["features_first4"], dtype=torch.float64)
    total = torch.tensor(authors.OUTPUTS[name]["features_sum"], dtype=torch.float64)
    assert features.shape == (2, PUBLISHED[authors.ENCODER_OF[name]][0])
    assert_close(features[:, :4], first, rtol=1e-8, atol=1e-12)
    assert_close(features.sum(1), total, rtol=1e-8, atol=0)


@pytest.mark.parametrize("size", [8, 28, 32, (48, 40), (9, 31)])
@pytest.mark.parametrize("name", ENCODERS)
def test_any_size_and_channels(name, size, fresh, rng):
    height, width = (size, size) if isinstance(size, int) else size
    channels = 1 if height > 28 else 3
    encoder = fresh(name, channels=channels, image_size=size).eval()
    with torch.no_grad():
        features = encoder(torch.rand(3, channels, height, width, generator=rng))
    assert features.shape == (3, (PUBLISHED | COUNTED)[name][0])
    assert features.isfinite().all()
    assert features.std(0).max() > 0, "different images, different features"


@pytest.mark.parametrize("name", ENCODERS)
def test_eval_repeats_and_batch_does_not_mix(name, rng):
    images = torch.rand(3, 3, 32, 32, generator=rng)
    with torch.no_grad():
        features = build(name)(images)
        assert_close(build(name)(images), features, rtol=0, atol=0)
        assert_close(build(name)(images[1:2]), features[1:2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_training_is_random_only_where_it_should_be(name, fresh, rng):
    encoder, images = fresh(name, image_size=16), torch.rand(4, 3, 16, 16, generator=rng)
    with torch.no_grad():
        torch.manual_seed(1)
        first = encoder(images)
        torch.manual_seed(2)
        second = encoder(images)
        torch.manual_seed(1)
        again = encoder(images)
    assert_close(again, first, rtol=0, atol=0)
    assert torch.equal(first, second) == (name not in RANDOM_IN_TRAINING)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_used_parameter_learns(name, fresh, rng):
    encoder = fresh(name, image_size=16)
    images = torch.rand(4, 3, 16, 16, generator=rng)
    before = images.clone()
    weights = torch.randn((PUBLISHED | COUNTED)[name][0], generator=rng)
    (encoder(images) @ weights).sum().backward()
    gradients = {key: p.grad for key, p in encoder.named_parameters()}
    assert {key for key, g in gradients.items() if g is None} == UNUSED.get(name, set())
    assert all(g.isfinite().all() for g in gradients.values() if g is not None)
    assert_close(images, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_functional_gradients(name, rng):
    images = torch.rand(2, 3, 32, 32, generator=rng)
    weights = torch.randn((PUBLISHED | COUNTED)[name][0], generator=rng)
    encoder = build(name)
    score = lambda image: (encoder(image[None]) @ weights).sum()
    batched = torch.func.vmap(torch.func.grad(score))(images)
    leaf = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad((encoder(leaf) @ weights).sum(), leaf)
    assert expected.count_nonzero() > 0.9 * expected.numel()
    assert_close(batched, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_resnet_starts_as_in_the_paper(fresh):
    encoder = fresh("resnet18")
    for layer, inputs in ((encoder.layer4[1].conv2, 9 * 512), (encoder.layer2[0].conv1, 9 * 128)):
        assert_close(layer.weight.std().item(), (2 / inputs) ** 0.5, rtol=0.02, atol=0)
        assert_close(layer.weight.mean().item(), 0.0, rtol=0, atol=1e-3)


def test_densenet_puts_new_features_first(rng):
    x = torch.randn(2, 24, 5, 4, generator=rng)
    out = Layer(24).eval()(x)
    assert out.shape == (2, 36, 5, 4)
    assert_close(out[:, 12:], x, rtol=0, atol=0)


def test_shuffle_by_hand():
    x = torch.tensor([1.0, 2, 3, 10, 20, 30]).view(1, 6, 1, 1)
    assert shuffle(x).flatten().tolist() == [1, 10, 2, 20, 3, 30]


def test_unused_expansion_of_efficientnet(fresh, rng):
    encoder, images = fresh("efficientnet_b0").eval(), torch.rand(2, 3, 16, 16, generator=rng)
    with torch.no_grad():
        before = encoder(images)
        encoder.layers[0].conv1.weight.zero_()
        assert_close(encoder(images), before, rtol=0, atol=0)
        encoder.layers[1].conv1.weight.zero_()
        assert not torch.equal(encoder(images), before)


def test_drop_connect_rises_linearly_and_stops_in_eval(fresh):
    encoder = fresh("efficientnet_b0")
    assert [block.drop for block in encoder.layers] == pytest.approx(
        [0.2 * i / 16 for i in range(16)]
    )
    assert encoder.dropout.p == 0.2
    x = torch.ones(2000, 2, 3, 1)
    assert drop_connect(x, 0.25, training=False) is x
    torch.manual_seed(0)
    dropped = drop_connect(x, 0.25, training=True)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert_close(dropped, dropped[:, :1, :1, :1].expand_as(x))  # a whole image or nothing
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_wide_resnet_settings(fresh):
    encoder = fresh("wide_resnet_28_10")
    assert encoder.classifier[0].momentum == 0.9
    rates = {m.p for m in encoder.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.3}


def test_patches_by_hand():
    images = torch.arange(2 * 3 * 13 * 16.0).view(2, 3, 13, 16) + 1
    cut = patches(images, (2, 2))
    assert cut.shape == (2, 64, 12)
    padded = F.pad(images, (0, 0, 0, 3))
    for row, column in product(range(8), repeat=2):
        square = padded[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert_close(cut[:, 8 * row + column], square.permute(0, 2, 3, 1).reshape(2, 12))


def test_vit_pads_with_zeros(rng):
    torch.manual_seed(0)
    small, large = vit(image_size=(30, 27)).eval(), vit(image_size=32).eval()
    small.load_state_dict(large.state_dict())
    images = torch.rand(2, 3, 30, 27, generator=rng)
    with torch.no_grad():
        assert_close(small(images), large(F.pad(images, (0, 5, 0, 2))), rtol=0, atol=0)


def test_attention_is_scaled_by_the_whole_width(rng):
    torch.manual_seed(0)
    layer, tokens = Attention(24, 3), torch.randn(2, 5, 24, generator=rng)
    q, k, v = (m(tokens).view(2, 5, 3, 8).transpose(1, 2) for m in (layer.q, layer.k, layer.v))
    read = F.scaled_dot_product_attention(q, k, v, scale=24**-0.5)
    assert_close(layer(tokens), layer.o(read.transpose(1, 2).reshape(2, 5, 24)))


def test_vit_step_by_step(fresh, rng):
    encoder, images = fresh("vit").eval(), torch.rand(2, 3, 32, 32, generator=rng)
    raw = vit(final_norm=False).eval()
    raw.load_state_dict({k: v for k, v in encoder.state_dict().items() if k[:2] != "fc"})
    tokens = torch.cat([encoder.cls_token.repeat(2, 1, 1), encoder.emb(patches(images, (4, 4)))], 1)
    tokens = tokens + encoder.pos_emb
    for block in encoder.enc:
        tokens = tokens + block.msa(F.layer_norm(tokens, (384,)))
        hidden = F.gelu(block.mlp[0](F.layer_norm(tokens, (384,))))
        tokens = tokens + F.gelu(block.mlp[3](hidden))
    assert_close(raw(images), tokens[:, 0])
    assert_close(encoder(images), F.layer_norm(tokens[:, 0], (384,)))


def test_vit_refuses_another_size():
    with pytest.raises(
        ValueError, match=r"images must be 32 x 32 pixels.*got shape \(2, 3, 28, 32\)"
    ):
        build("vit")(torch.zeros(2, 3, 28, 32))
