"""The networks of the thesis's appendix C, layer by layer, and our own."""

import pkgutil

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence import autoencoders
from whence.autoencoders import VAES
from whence.autoencoders.residual import Block
from whence.autoencoders.vae import (
    VAE,
    Grid,
    absolute_distance,
    decode_codes,
    encode_images,
)
from whence.data.augment import to_float
from whence.encoders.adopt import build_encoder
from whence.morphing import PATHS

MODULES = {  # of the package, that are no network
    *("vae", "transposed", "best_epoch", "imputation", "fit_vae", "measure_vae", "saved_vae"),
}
LISTINGS = {  # (B, C, H, W) in, then what each layer is and gives, as in the thesis
    "C.1": ("thesis_mnist", (1, 28, 28)),
    "C.3": ("thesis_fashion_mnist", (1, 28, 28)),
    "C.5": ("thesis_cifar10", (3, 32, 32)),
}
CLASSIFIERS = {
    "C.1": """Conv2d 1 16 5 3 2 | BatchNorm2d 16 | ReLU | Conv2d 16 32 3 1 0 | BatchNorm2d 32 | ReLU
        | Conv2d 32 64 3 1 0 | BatchNorm2d 64 | ReLU | Flatten 2304 | Linear 2304 128
        | BatchNorm1d 128 | ReLU | Dropout 0.5""",
    "C.3": """Conv2d 1 32 3 1 1 | BatchNorm2d 32 | ReLU | Conv2d 32 64 3 3 1 | BatchNorm2d 64 | ReLU
        | Conv2d 64 128 3 1 0 | BatchNorm2d 128 | ReLU | Conv2d 128 128 3 1 0 | BatchNorm2d 128
        | ReLU | Flatten 4608 | Linear 4608 128 | BatchNorm1d 128 | ReLU | Dropout 0.5""",
    "C.5": """Conv2d 3 64 3 1 0 | BatchNorm2d 64 | ReLU | Conv2d 64 64 3 1 0 | BatchNorm2d 64 | ReLU
        | MaxPool2d 2 | Conv2d 64 128 3 1 0 | BatchNorm2d 128 | ReLU | Conv2d 128 128 3 1 0
        | BatchNorm2d 128 | ReLU | MaxPool2d 2 | Conv2d 128 256 3 1 0 | BatchNorm2d 256 | ReLU
        | Flatten 2304 | Linear 2304 256 | BatchNorm1d 256 | ReLU | Dropout 0.5
        | Linear 256 128 | BatchNorm1d 128 | ReLU | Dropout 0.5""",
}
TRUNKS = {
    "thesis_mnist": CLASSIFIERS["C.1"],
    "thesis_fashion_mnist": """Conv2d 1 32 3 1 1 | BatchNorm2d 32 | ReLU | Conv2d 32 64 3 3 1
        | BatchNorm2d 64 | ReLU | Conv2d 64 128 3 1 0 | BatchNorm2d 128 | ReLU
        | Conv2d 128 128 3 1 0 | BatchNorm2d 128 | ReLU | Conv2d 128 256 3 1 0 | BatchNorm2d 256
        | ReLU | Flatten 4096 | Linear 4096 128 | BatchNorm1d 128 | ReLU | Dropout 0.5""",
    "thesis_cifar10": """Conv2d 3 64 3 1 0 | BatchNorm2d 64 | ReLU | Conv2d 64 128 3 1 0
        | BatchNorm2d 128 | ReLU | MaxPool2d 2 | Conv2d 128 256 3 1 0 | BatchNorm2d 256 | ReLU
        | Conv2d 256 128 3 1 0 | BatchNorm2d 128 | ReLU | Conv2d 128 128 5 3 2 | BatchNorm2d 128
        | ReLU | Conv2d 128 256 3 1 0 | BatchNorm2d 256 | ReLU | Flatten 1024 | Linear 1024 128
        | BatchNorm1d 128 | ReLU | Dropout 0.5""",
}
DECODERS = {
    "thesis_mnist": """Linear 100 2304 + | BatchNorm1d 2304 | ReLU | Dropout 0.5 | Grid 64 6 6
        | ConvTranspose2d 64 32 3 1 0 | BatchNorm2d 32 | ReLU | ConvTranspose2d 32 16 3 1 0
        | BatchNorm2d 16 | ReLU | ConvTranspose2d 16 1 5 3 2 | BatchNorm2d 1 | Sigmoid""",
    "thesis_fashion_mnist": """Linear 100 4096 + | BatchNorm1d 4096 | ReLU | Dropout 0.5
        | Grid 256 4 4 | ConvTranspose2d 256 128 3 1 0 | BatchNorm2d 128 | ReLU
        | ConvTranspose2d 128 128 3 1 0 | BatchNorm2d 128 | ReLU | ConvTranspose2d 128 64 3 1 0
        | BatchNorm2d 64 | ReLU | ConvTranspose2d 64 32 3 3 1 | BatchNorm2d 32 | ReLU
        | ConvTranspose2d 32 1 3 1 1 | BatchNorm2d 1 | Sigmoid""",
    "thesis_cifar10": """Linear 100 1024 + | BatchNorm1d 1024 | ReLU | Dropout 0.5 | Grid 256 2 2
        | ConvTranspose2d 256 128 3 1 0 | BatchNorm2d 128 | ReLU | ConvTranspose2d 128 128 5 3 2
        | BatchNorm2d 128 | ReLU | ConvTranspose2d 128 256 3 1 0 | BatchNorm2d 256 | ReLU
        | ConvTranspose2d 256 128 3 1 0 | BatchNorm2d 128 | ReLU | Upsample 2
        | ConvTranspose2d 128 64 3 1 0 | BatchNorm2d 64 | ReLU | ConvTranspose2d 64 3 3 1 0
        | BatchNorm2d 3 | Sigmoid""",
}
PARAMETERS = {  # of the whole autoencoder, by hand
    "thesis_mnist": (
        *(25 * 16 + 2 * 16, 9 * 16 * 32 + 2 * 32, 9 * 32 * 64 + 2 * 64, 2304 * 128 + 2 * 128),
        *(2 * (128 * 100 + 100), 100 * 2304 + 2304 + 2 * 2304),
        *(9 * 64 * 32 + 2 * 32, 9 * 32 * 16 + 2 * 16, 25 * 16 + 2),
    ),
    "thesis_fashion_mnist": (
        *(9 * 32 + 2 * 32, 9 * 32 * 64 + 2 * 64, 9 * 64 * 128 + 2 * 128, 9 * 128 * 128 + 2 * 128),
        *(9 * 128 * 256 + 2 * 256, 4096 * 128 + 2 * 128, 2 * (128 * 100 + 100)),
        *(100 * 4096 + 4096 + 2 * 4096, 9 * 256 * 128 + 2 * 128, 9 * 128 * 128 + 2 * 128),
        *(9 * 128 * 64 + 2 * 64, 9 * 64 * 32 + 2 * 32, 9 * 32 + 2),
    ),
    "thesis_cifar10": (
        *(27 * 64 + 2 * 64, 9 * 64 * 128 + 2 * 128, 9 * 128 * 256 + 2 * 256),
        *(9 * 256 * 128 + 2 * 128, 25 * 128 * 128 + 2 * 128, 9 * 128 * 256 + 2 * 256),
        *(1024 * 128 + 2 * 128, 2 * (128 * 100 + 100), 100 * 1024 + 1024 + 2 * 1024),
        *(9 * 256 * 128 + 2 * 128, 25 * 128 * 128 + 2 * 128, 9 * 128 * 256 + 2 * 256),
        *(9 * 256 * 128 + 2 * 128, 9 * 128 * 64 + 2 * 64, 9 * 64 * 3 + 2 * 3),
    ),
    "residual": (  # of (3, 9, 14): 5 x 7 pixels after one halving; 32 channels
        *(27 * 32 + 2 * 32, 2 * (9 * 32 * 32 + 2 * 32), 32 * 5 * 7 * 512 + 2 * 512),
        *(2 * (512 * 100 + 100), 100 * 512 + 2 * 512, 512 * 32 * 5 * 7 + 2 * 32 * 5 * 7),
        *(2 * (9 * 32 * 32 + 2 * 32), 16 * 32 * 16 + 2 * 16, 9 * 16 * 3 + 3),
    ),
}
SHAPES = {
    "residual": (3, 9, 14),
    "thesis_mnist": (1, 28, 28),
    "thesis_fashion_mnist": (1, 28, 28),
    "thesis_cifar10": (3, 32, 32),
}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def say(layer, inputs, outputs):
    """Describe a layer as the listings above do; a bias is a plus, where the thesis names none."""
    name = type(layer).__name__
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        assert layer.kernel_size[0] == layer.kernel_size[1]
        assert layer.bias is None
        sizes = (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        return " ".join(map(str, (name, *sizes, layer.stride[0], layer.padding[0])))
    if isinstance(layer, nn.Linear):
        return f"{name} {layer.in_features} {layer.out_features}" + " +" * (layer.bias is not None)
    if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
        return f"{name} {layer.num_features}"
    details = {
        nn.Dropout: lambda: layer.p,
        nn.MaxPool2d: lambda: layer.kernel_size,
        nn.Upsample: lambda: int(layer.scale_factor),
        nn.Flatten: lambda: outputs.shape[1],
        Grid: lambda: " ".join(map(str, outputs.shape[1:])),
    }
    return f"{name} {details[type(layer)]()}" if type(layer) in details else name


def describe(network, inputs):
    found = []
    for layer in network:
        outputs = layer(inputs)
        found.append(say(layer, inputs, outputs))
        inputs = outputs
    return found


def listed(text):
    return [" ".join(part.split()) for part in text.split("|")]


@pytest.fixture
def make():
    def build(name, shape=None, **options):
        torch.manual_seed(0)
        return VAES[name](shape or SHAPES[name], **options).eval()

    return build


def test_table_is_complete():
    modules = {module.name for module in pkgutil.iter_modules(autoencoders.__path__)}
    assert modules == set(VAES) | MODULES
    assert set(VAES) == set(SHAPES) == set(PARAMETERS)
    assert all(VAES[name].__name__ == name for name in VAES)
    assert all(PATHS[name].__name__ == name for name in PATHS)
    assert next(iter(VAES)) == "residual"


@pytest.mark.parametrize("listing", LISTINGS)
def test_classifiers_layer_by_layer(listing):
    name, shape = LISTINGS[listing]
    torch.manual_seed(0)
    encoder, _ = build_encoder(name, shape)
    assert describe(encoder.eval(), torch.zeros(2, *shape)) == listed(CLASSIFIERS[listing])
    model = whence.wrap(name, 10, variant="standard", image_shape=shape)
    assert isinstance(model.head.classifier, nn.Linear)
    assert count(model) == count(encoder) + 128 * 10 + 10


def test_classifier_of_mnist_counted_by_hand():
    parts = [25 * 16 + 32, 9 * 16 * 32 + 64, 9 * 32 * 64 + 128, 2304 * 128 + 256, 1290]
    assert (
        count(whence.wrap("thesis_mnist", 10, variant="standard", image_shape=(1, 28, 28)))
        == sum(parts)
        == 320_122
    )


@pytest.mark.parametrize("name, least", [("mnist", 13), ("fashion_mnist", 13), ("cifar10", 24)])
def test_small_images_are_padded_below_and_to_the_right(name, least, rng):
    shape = (2, least - 3, least)
    torch.manual_seed(0)
    small = build_encoder(f"thesis_{name}", shape)[0].eval()
    whole = build_encoder(f"thesis_{name}", (2, least, least))[0].eval()
    assert len(small) == len(whole) + 1
    whole.load_state_dict(dict(zip(whole.state_dict(), small.state_dict().values(), strict=True)))
    images = torch.rand(3, *shape, generator=rng)
    larger = torch.zeros(3, 2, least, least)
    larger[:, :, : least - 3] = images
    assert_close(small(images), whole(larger))


@pytest.mark.parametrize("name", TRUNKS)
def test_autoencoders_layer_by_layer(name, make):
    vae = make(name)
    assert describe(vae.trunk, torch.zeros(2, *SHAPES[name])) == listed(TRUNKS[name])
    assert describe(vae.decoder, torch.zeros(2, 100)) == listed(DECODERS[name])
    for layer in (vae.means, vae.deviations):
        assert (layer.in_features, layer.out_features, layer.bias is None) == (128, 100, False)
    assert (vae.calibrated, float(vae.variance), vae.name) == (True, 0.5, name)


@pytest.mark.parametrize("name", VAES)
def test_parameters_by_hand(name, make):
    assert count(make(name)) == sum(PARAMETERS[name])


def test_the_classifier_and_the_autoencoder_of_mnist_share_their_layers(make):
    assert sum(PARAMETERS["thesis_mnist"]) == 605_482
    trunk, encoder = make("thesis_mnist").trunk, build_encoder("thesis_mnist", (1, 28, 28))[0]
    assert [str(one) for one in trunk] == [str(one) for one in encoder]


@pytest.mark.parametrize("name", VAES)
def test_shapes_and_ranges(name, make, rng):
    vae, shape = make(name, codes=7), SHAPES[name]
    mean, deviation = encode_images(vae, torch.rand(5, *shape, generator=rng), batch_size=2)
    assert mean.shape == deviation.shape == (5, 7)
    assert deviation.min() > 0
    images = decode_codes(vae, 50 * torch.randn(5, 7, generator=rng), batch_size=2)
    assert images.shape == (5, *shape)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std(0).max() > 0


@pytest.mark.parametrize(
    "shape", [(1, 2, 2), (2, 8, 8), (1, 9, 31), (3, 40, 12), (1, 65, 64), (1, 64, 64)]
)
def test_ours_takes_any_size(shape, make, rng):
    vae = make("residual", shape, codes=3)
    mean, _ = encode_images(vae, torch.rand(4, *shape, generator=rng))
    assert decode_codes(vae, mean).shape == (4, *shape)


def test_a_block_adds_to_what_it_is_given(rng):
    torch.manual_seed(0)
    block, images = Block(5).eval(), torch.randn(2, 5, 3, 4, generator=rng)
    assert_close(block(images), (images + block.layers(images)).relu())
    with torch.no_grad():
        block.layers[4].weight.zero_()
    assert_close(block(images), images.relu())


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 8, 513)])
def test_ours_refuses_other_sizes(shape):
    with pytest.raises(ValueError, match=r"residual takes images of 2 x 2 to 512 pixels a side"):
        VAES["residual"](shape)
    if shape[2] == 513:
        with torch.device("meta"):
            assert VAES["residual"]((1, 8, 512)).image_shape == (1, 8, 512)


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("thesis_mnist", [(13, 28), (31, 16)], [(28, 29), (10, 28), (27, 28)]),
        ("thesis_fashion_mnist", [(22, 19)], [(28, 30), (16, 28)]),
        ("thesis_cifar10", [(26, 38), (26, 26)], [(32, 33), (20, 32), (28, 28)]),
    ],
)
def test_sizes_of_the_thesis(name, good, bad, make):
    for height, width in good:
        vae = make(name, (2, height, width))
        assert decode_codes(vae, torch.zeros(1, 100)).shape == (1, 2, height, width)
    for height, width in bad:
        message = f"{name} cannot decode images of {height} x {width} pixels; bring them to"
        with pytest.raises(ValueError, match=message):
            VAES[name]((2, height, width))


def test_distribution_by_hand(make, rng):
    vae = make("thesis_mnist", (1, 13, 16), codes=3)
    images = torch.randint(0, 256, (2, 1, 13, 16), generator=rng, dtype=torch.uint8)
    with torch.no_grad():
        mean, deviation = vae.distribution(images)
        features = vae.trunk(images.float() / 255)
        assert_close(mean, vae.means(features))
        assert_close(deviation.log() * 2, vae.deviations(features), rtol=1e-4, atol=1e-5)
        assert_close(vae.distribution(to_float(images))[0], mean)
        vae.deviations.bias.fill_(1e9)
        assert_close(vae.distribution(images).deviation, torch.full((2, 3), torch.e**10))


def test_the_bound_is_the_log_density_of_pixels_less_the_divergence(make, rng):
    vae = make("thesis_mnist", (2, 13, 16), codes=3)
    images, noise = torch.rand(5, 2, 13, 16, generator=rng), torch.randn(5, 3, generator=rng)
    with torch.no_grad():
        found = vae.bound(images, noise)
        mean, deviation = vae.distribution(images)
        pixels = torch.distributions.Normal(vae.decode(mean + noise * deviation), 0.5**0.5)
        prior = torch.distributions.Normal(torch.zeros(5, 3), torch.ones(5, 3))
        here = torch.distributions.Normal(mean, deviation)
    likelihood = pixels.log_prob(images).flatten(1).sum(1)
    divergence = torch.distributions.kl_divergence(here, prior).sum(1)
    assert_close(found.likelihood, likelihood)
    assert_close(found.divergence, divergence)
    assert_close(found.elbo, likelihood - divergence)
    squared = (vae.decode(mean + noise * deviation) - images).square().flatten(1).sum(1)
    constant = 416 / 2 * torch.tensor(torch.pi).log()  # the thesis's loss has no constant
    assert_close(-found.elbo, squared + divergence + constant)


def test_a_calibrated_variance_follows_the_squared_error(make, rng):
    vae = make("residual").train()
    images, noise = torch.rand(6, *SHAPES["residual"], generator=rng), torch.zeros(6, 100)
    before = {key: t.clone() for key, t in vae.state_dict().items()}
    found = vae.bound(images, noise)
    vae.load_state_dict(before)
    mean, _ = vae.distribution(images)
    squares = (vae.decode(mean) - images).square()
    assert_close(vae.variance, torch.tensor(0.5))
    expected = -squares.flatten(1).sum(1) / (2 * squares.mean())
    expected -= 378 / 2 * (2 * torch.pi * squares.mean()).log()
    assert_close(found.likelihood, expected, rtol=1e-4, atol=1e-3)
    vae.bound(images, noise)
    assert_close(vae.variance, 0.95 * 0.5 + 0.05 * squares.mean(), rtol=1e-4, atol=0)
    vae.eval()
    kept = vae.variance.clone()
    likelihood = vae.bound(images, noise).likelihood
    squares = (vae.decode(vae.distribution(images)[0]) - images).square().flatten(1).sum(1)
    assert_close(likelihood, -squares / (2 * kept) - 378 / 2 * (2 * torch.pi * kept).log())
    assert_close(vae.variance, kept, rtol=0, atol=0)


def test_a_variance_does_not_fall_to_zero(rng):
    class Echo(nn.Module):
        def forward(self, codes):
            return torch.zeros(len(codes), 1, 2, 2)

    vae = VAE(nn.Flatten(), 4, Echo(), codes=2, name="echo", image_shape=(1, 2, 2), calibrated=True)
    vae.variance.fill_(1e-4)
    assert vae.train().bound(torch.zeros(3, 1, 2, 2), torch.zeros(3, 2)).elbo.isfinite().all()
    assert_close(vae.variance, torch.tensor(1e-4))


def test_batches_leave_the_state_and_the_result(make, rng):
    vae = make("thesis_mnist", (1, 13, 13), codes=4).eval()
    images = torch.rand(5, 1, 13, 13, generator=rng)
    before = {key: t.clone() for key, t in vae.state_dict().items()}
    mean, deviation = encode_images(vae, images, batch_size=2)
    decoded = decode_codes(vae, mean, batch_size=3)
    assert_close(encode_images(vae, images), (mean, deviation))
    assert_close(decode_codes(vae, mean), decoded)
    assert not any(module.training for module in vae.modules())
    assert_close(vae.state_dict(), before, rtol=0, atol=0)
    assert not decoded.requires_grad
    assert all(parameter.grad is None for parameter in vae.parameters())
    vae.trunk[1].train()
    for call in (lambda: encode_images(vae, images), lambda: decode_codes(vae, mean)):
        with pytest.raises(
            RuntimeError, match=r"must be in eval mode to answer, its layer trunk.1"
        ):
            call()


def test_absolute_distance():
    images, others = torch.zeros(2, 1, 2, 3), torch.zeros(2, 1, 2, 3)
    others[1, 0, 1, 2], others[1, 0, 0, 0] = 0.9, -0.3
    assert_close(absolute_distance(images, others), torch.tensor([0.0, 0.2]))


def test_what_is_refused(make):
    vae = make("thesis_mnist", (1, 13, 16), codes=3)
    with pytest.raises(
        ValueError, match=r"images must be \(B, 1, 13, 16\), .* got shape \(2, 1, 16, 13\)"
    ):
        vae.distribution(torch.zeros(2, 1, 16, 13))
    with pytest.raises(ValueError, match=r"\(B, 1, 13, 16\), .* got shape \(2, 3, 13, 16\)"):
        encode_images(vae, torch.zeros(2, 3, 13, 16))
    with pytest.raises(ValueError, match=r"codes must be \(B, Z\) with Z=3, got shape \(2, 4\)"):
        vae.decode(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        vae.distribution(torch.full((2, 1, 13, 16), 1.5))
    with pytest.raises(TypeError, match="uint8"):
        vae.distribution(torch.zeros(2, 1, 13, 16, dtype=torch.int64))
    for function in (encode_images, decode_codes):
        with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
            function(vae, torch.zeros(2, 3), batch_size=0)
