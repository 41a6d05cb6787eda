"""A small conditional GAN between two classes, which turns an image of one into the other.

Mirza and Osindero (2014), arXiv:1411.1784: generator and critic are told the class. As in CycleGAN
(Zhu et al. 2017, arXiv:1703.10593, equations 1 and 2), the way there and back must give the image
again, and an image asked to be what it is must stay; one generator goes both ways. Both are trained
on squared errors (Mao et al. 2017, arXiv:1611.04076), and the critic is also shown real images with
the wrong class (Reed et al. 2016, arXiv:1605.05396).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whence.data.augment import to_float
from whence.seeds import make_generator, seed_global

DARKEST = 0.02
"""Pixels are kept so far from 0 and 1 before their logit is changed."""


class PairPlan(NamedTuple):
    """How the pair is trained.

    Attributes:
        steps: of both, one of each in turn.
        batch: images of a step.
        rate: of Adam.
        cycle: weight of the way there and back (the mean absolute difference).
        stay: weight of what must stay as it is.
        width: channels of the first layers.
    """

    steps: int = 1500
    batch: int = 64
    rate: float = 5e-4
    cycle: float = 2.0
    stay: float = 1.0
    width: int = 24


class PairGenerator(nn.Module):
    """Changes the logits of pixels, given the class that is wanted.

    Args:
        channels: C of the images.
        width: channels of the first layer.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.deep = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(3))
        self.up = nn.Conv2d(3 * width, width, 3, padding=1)
        self.change = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, images: Tensor, wanted: Tensor) -> Tensor:
        """Turn images `(B, C, H, W)` in [0, 1] into the wanted class `(B,)`, 0 or 1."""
        told = (2.0 * wanted.to(images) - 1)[:, None, None, None]
        plane = told.expand(-1, 1, *images.shape[2:])
        fine = F.relu(self.fine(torch.cat([images, plane], 1)))
        deep = F.relu(self.down(fine))
        for layer in self.deep:
            deep = deep + F.relu(layer(deep))
        wide = F.interpolate(deep, size=images.shape[2:], mode="nearest")
        change = self.change(F.relu(self.up(torch.cat([fine, wide], 1))))
        made: Tensor = (images.clamp(DARKEST, 1 - DARKEST).logit() + change).sigmoid()
        return made


class PairCritic(nn.Module):
    """Says of images how real they are as one of the two classes: about 1 real, 0 not.

    Args:
        image_shape: (C, H, W), at least 4 pixels high and wide.
        width: channels of the first layer.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, width_of_image = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (width_of_image // 4), 2),
        )

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Judge images `(B, C, H, W)` as of the classes `(B,)`, 0 or 1; `(B,)`."""
        judged: Tensor = self.layers(images)
        return judged.gather(1, classes[:, None]).squeeze(1)


def critic_loss(critic: PairCritic, images: Tensor, classes: Tensor, made: Tensor) -> Tensor:
    """Compute what the critic is trained by.

    Real images are to be 1 as what they are, and 0 as the other class; made ones 0.

    Args:
        critic: the critic.
        images: `(B, C, H, W)` real ones.
        classes: `(B,)` theirs.
        made: `(B, C, H, W)` made of them, of the other class.
    """
    real = (critic(images, classes) - 1).square().mean()
    wrong = critic(images, 1 - classes).square().mean()
    false = critic(made, 1 - classes).square().mean()
    total: Tensor = real + (wrong + false) / 2
    return total


def generator_loss(
    generator: PairGenerator, critic: PairCritic, images: Tensor, classes: Tensor, plan: PairPlan
) -> Tensor:
    """Compute what the generator is trained by: to seem real, to lead back, and to leave alone.

    Args:
        generator: the generator.
        critic: judges it.
        images: `(B, C, H, W)` real ones.
        classes: `(B,)` theirs.
        plan: the weights.
    """
    made = generator(images, 1 - classes)
    seems: Tensor = (critic(made, 1 - classes) - 1).square().mean()
    back = (generator(made, classes) - images).abs().mean()
    left = (generator(images, classes) - images).abs().mean()
    total: Tensor = seems + plan.cycle * back + plan.stay * left
    return total


def fit_pair(images: Tensor, classes: Tensor, *, plan: PairPlan, seed: int) -> PairGenerator:
    """Train a generator between two classes.

    Args:
        images: `(N, C, H, W)` uint8.
        classes: `(N,)` 0 or 1, both there.
        plan: how.
        seed: of parameters and batches.

    Raises:
        ValueError: if one of the two has no image.
    """
    if len(classes.unique()) != 2 or not bool(((classes == 0) | (classes == 1)).all()):
        raise ValueError(
            f"classes must be 0 and 1, both there, got {sorted(set(classes.tolist()))}."
        )
    shape = (images.shape[1], images.shape[2], images.shape[3])
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        generator = PairGenerator(shape[0], plan.width)
        critic = PairCritic(shape, plan.width)
    draws = make_generator(seed)
    makes, judges = (
        torch.optim.Adam(network.parameters(), lr=plan.rate, betas=(0.5, 0.999))
        for network in (generator, critic)
    )
    members = [(classes == label).nonzero().squeeze(1) for label in (0, 1)]
    with torch.enable_grad():
        for _ in range(plan.steps):
            rows = torch.cat(
                [
                    own[torch.randint(len(own), (plan.batch // 2,), generator=draws)]
                    for own in members
                ]
            )
            batch, told = to_float(images[rows]), classes[rows]
            with torch.no_grad():
                made = generator(batch, 1 - told)
            judges.zero_grad()
            critic_loss(critic, batch, told, made).backward()
            judges.step()
            makes.zero_grad()
            generator_loss(generator, critic, batch, told, plan).backward()
            makes.step()
    return generator.eval().requires_grad_(False)
