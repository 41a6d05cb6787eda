"""A small autoencoder and small classifiers of the same images, for the tests of codes."""

import torch
from torch import nn

import whence
from whence.autoencoders.vae import VAE

SHAPE = (2, 3, 5)
CLASSES = ("ant", "bee", "cow")


class Decoder(nn.Module):
    """Z = 4 numbers to a picture, by a linear layer and a sigmoid."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 30)

    def forward(self, codes):
        return self.layer(codes).sigmoid().view(-1, *SHAPE)


def make_vae(decoder=None, *, deviation=0.5):
    """Build an encoder that gives one deviation for all codes, and a decoder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(30, 6), nn.Tanh())
        decoder = decoder or Decoder()
        vae = VAE(trunk, 6, decoder, codes=4, name="small", image_shape=SHAPE)
    with torch.no_grad():
        vae.deviations.weight.zero_()
        vae.deviations.bias.fill_(2 * torch.tensor(deviation).log())
        vae.means.weight.mul_(3)
    return vae.eval().requires_grad_(False)


def make_model(variant="standard", *, classes=CLASSES, scale=8.0):
    """Build a classifier with weights large enough for different answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(30, 5))
        model = whence.wrap(
            encoder, classes, variant=variant, image_shape=SHAPE, drop_classifier=False
        )
        with torch.no_grad():
            encoder[1].bias.copy_(-encoder[1].weight.sum(1) / 2)
            for parameter in model.head.parameters():
                parameter.mul_(scale if variant == "standard" else 3.0)
        if variant != "standard":
            model.eval().remember(draw_images(11, seed=5), torch.arange(11) % len(classes))
        last = model.head.classifier if variant == "standard" else model.head.classifier[2]
        with torch.no_grad():
            last.bias -= model.eval()(draw_images(50, seed=9)).mean(0)  # no class rules
        if variant != "standard":
            model.eval().remember(draw_images(11, seed=5), torch.arange(11) % len(classes))
    return model.eval().requires_grad_(False)


def draw_images(count, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


def snapshot(*things):
    """Write down everything that a function on models must leave as it was."""
    found = []
    for thing in things:
        if isinstance(thing, torch.Tensor):
            found.append((thing.tolist(), thing.requires_grad, thing.grad))
            continue
        found.append({name: tensor.tolist() for name, tensor in thing.state_dict().items()})
        found.append([(p.requires_grad, p.grad) for p in thing.parameters()])
        found.append([module.training for module in thing.modules()])
        found.append([len(module._forward_hooks) for module in thing.modules()])
        if getattr(thing, "bank", None) is not None:
            found += [thing.bank.features.tolist(), thing.bank.images.tolist(), id(thing.bank)]
    return found
