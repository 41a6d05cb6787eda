"""A small classifier and autoencoder with large weights, for the tests of morphing."""

import torch
from torch import nn

import whence
from whence.autoencoders.vae import VAE, Grid
from whence.morphing.norms import measure_norms

CLASSES = ("ant", "bee", "cow", "dog")
SHAPE = (2, 3, 5)
CODES = 7


def build(variant="standard", *, seed=0, double=False, memory=17, scale=40.0):
    """Build a classifier of images (2, 3, 5); with a memory it remembers random images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(30, 6), nn.Tanh())
        model = whence.wrap(
            encoder, CLASSES, variant=variant, image_shape=SHAPE, drop_classifier=False
        )
        with torch.no_grad():
            encoder[1].weight.mul_(1.5)
            encoder[1].bias.copy_(-encoder[1].weight.sum(1) / 2)
            for parameter in model.head.parameters():
                parameter.mul_(scale if variant == "standard" else scale / 2)
    model = model.double() if double else model
    model.eval().requires_grad_(False)
    if variant != "standard":
        images = draw_images(memory, seed=2)
        labels = torch.arange(memory) % 4
        model.remember(images, labels, torch.arange(memory) * 10 + 7)
    return model


def build_vae(*, seed=0, double=False, strength=4.0):
    """Build an autoencoder whose decoder is one linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(30, 9), nn.Tanh())
        decoder = nn.Sequential(nn.Linear(CODES, 30), nn.Sigmoid(), Grid(*SHAPE))
        vae = VAE(trunk, 9, decoder, codes=CODES, name="residual", image_shape=SHAPE)
        with torch.no_grad():
            decoder[0].weight.mul_(strength)
    vae = vae.double() if double else vae
    return vae.eval().requires_grad_(False)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def draw_images(count, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


class Vote(nn.Module):
    """An encoder whose features are given by a function of the images."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        return self.function(images)


def classify_by(function, *, classes=CLASSES, shape=SHAPE):
    """Build a classifier whose logits are ``function(images)``."""
    model = whence.wrap(
        Vote(function), classes, variant="standard", image_shape=shape, drop_classifier=False
    )
    layer = next(one for one in model.head.modules() if isinstance(one, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.eye(len(classes)))
        layer.bias.zero_()
    return model.eval().requires_grad_(False)


def state_of(*modules):
    """Everything that a call must leave alone."""
    return [
        (name, module.training, [(p.requires_grad, p.grad, p.clone()) for p in module.parameters()])
        for whole in modules
        for name, module in whole.named_modules()
    ]


def same_state(before, after):
    for (_, mode, values), (_, mode_after, values_after) in zip(before, after, strict=True):
        assert mode == mode_after
        for (wants, grad, value), (wants_after, grad_after, value_after) in zip(
            values, values_after, strict=True
        ):
            assert wants == wants_after
            assert grad is grad_after is None
            assert torch.equal(value, value_after)


def ask(model, vae, count=8, *, seed=3):
    """Draw codes, and take the two classes that the model puts each decoding in first."""
    codes = draw(count, CODES, seed=seed).to(vae.variance.dtype)
    with torch.no_grad():
        return codes, model(vae.decode(codes)).topk(2).indices


def draw_norms(scale=1.0):
    """Measure the norms of random codes of four classes."""
    return measure_norms(scale * draw(40, CODES, seed=5), torch.arange(40) % 4, classes=4)
