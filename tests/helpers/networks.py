"""Networks as users write them, for tests of what is made of them."""

import safetensors.torch
import torch
from torch import nn

SHAPE = (3, 32, 40)


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
    """What a module holds now, kept from later changes."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def write(path, tensors):
    """Write tensors in the format that the ending names."""
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path
