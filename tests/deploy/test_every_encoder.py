"""Every encoder, and some of the libraries, as ONNX files: ``python -m pytest -m exports``."""

import sys

import pytest
import torch

import whence
from tests.helpers.deploying import check_answers, pictures
from whence.deploy.answering_graph import AnsweringGraph
from whence.deploy.export_onnx import LARGEST_DIFFERENCE, ROUNDINGS, measure_rounding
from whence.encoders import ENCODERS
from whence.memory import HEADS

pytestmark = pytest.mark.exports

LIBRARIES = [
    "torchvision:resnet18",
    "torchvision:mobilenet_v3_small",
    "torchvision:convnext_tiny",
    "timm:tf_efficientnet_lite0",
    "timm:vit_tiny_patch16_224",
    "timm:mobilenetv4_conv_small",
]


@torch.no_grad()
def make(encoder, variant, size, stored=40):
    torch.manual_seed(0)
    model = whence.wrap(encoder, 4, variant=variant, image_shape=(3, size, size))
    drawn = torch.cat([pictures(model, 16, seed=seed) for seed in range(3)])
    settle_statistics(model, drawn, batch_size=16)  # so that random networks tell images apart
    if variant == "votes":  # else all keys of noise are alike, and cosines of 1 differ by rounding
        model.head.fit_features(model.encode_features(pictures(model, 40, seed=2)))
    if model.has_memory:
        model.remember(pictures(model, stored, seed=1), torch.arange(stored) % 4)
    return model


@pytest.mark.filterwarnings("ignore::whence.deploy.export_onnx.RoundingWarning")  # random weights
@pytest.mark.parametrize("variant", HEADS)
@pytest.mark.parametrize("encoder", [*ENCODERS, *LIBRARIES])
def test_the_file_gives_the_models_answers(tmp_path, encoder, variant):
    size = 224 if encoder.endswith("_224") else 64 if ":" in encoder else 32
    model = make(encoder, variant, size)
    whence.export_onnx(model, tmp_path / "model.onnx")
    images = pictures(model, 5)
    if model.has_memory:
        images[1] = model.bank.images[7]
    close = max(LARGEST_DIFFERENCE, ROUNDINGS * own_rounding(model, images))
    if close > LARGEST_DIFFERENCE:
        sys.stdout.write(f"\n{encoder} {variant}: compared within {close:.0e}\n")  # with -s
    check_answers(model, tmp_path / "model.onnx", images, close=close)


def own_rounding(model, images):
    """What rounding does to the probabilities of random weights."""
    shares = torch.stack([answer.probabilities for answer in whence.predict(model, images)])
    return measure_rounding(AnsweringGraph(model), images, shares)


@pytest.fixture(scope="module")
def digits():
    return whence.load_dataset("digits", size=32, channels=3)


@pytest.mark.parametrize("variant", ["votes", "memory-wrap"])
@pytest.mark.parametrize(
    "encoder",
    ["efficientnet_b0", "mobilenet_v2", "shufflenet_v2", "torchvision:mobilenet_v3_small"],
)
def test_trained_weights_are_equal_within_1e_5(tmp_path, digits, encoder, variant):
    torch.manual_seed(0)
    names = digits.train.class_names
    model = whence.wrap(encoder, names, variant=variant, image_shape=(3, 32, 32))
    train = digits.train.take(range(300))
    whence.fit(model, train, plan=whence.Plan(epochs=4, memory_size=50))
    settle_statistics(model, train.images)
    if variant == "votes":
        model.head.fit_features(model.encode_features(train.images))
    model.remember(train.images, train.labels)
    whence.export_onnx(model, tmp_path / "model.onnx")
    check_answers(model, tmp_path / "model.onnx", digits.test.images[:20])


@torch.no_grad()
def settle_statistics(model, images, *, batch_size=100):
    """Take the statistics of batch normalisations from images, as a long training would."""
    model.train()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # the mean of all batches
    for part in images.split(batch_size):
        model.encode(part)
    model.eval()


@pytest.mark.parametrize("variant", [name for name in HEADS if name != "standard"])
def test_a_memory_of_many_images(tmp_path, variant):
    torch.manual_seed(0)
    train, stored = whence.load_dataset("digits").train, 50_000
    shape = (1, *train.images.shape[2:])
    model = whence.wrap("small_cnn", train.class_names, variant=variant, image_shape=shape)
    whence.fit(model, train, plan=whence.Plan(epochs=2, memory_size=50))
    many = torch.arange(stored) % len(train)
    noise = torch.randint(0, 32, (stored, *shape))
    images = (train.images[many] + noise).clamp(max=255).to(torch.uint8)
    if variant == "votes":
        model.head.fit_features(model.encode_features(train.images))
    model.remember(images, train.labels[many])
    whence.export_onnx(model, tmp_path / "model.onnx")
    asked = train.images[:5].clone()
    asked[1] = model.bank.images[31_007]
    check_answers(model, tmp_path / "model.onnx", asked)
