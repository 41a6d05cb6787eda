"""One small autoencoder per class and one of all classes, as IM1 and IM2 need them.

Van Looveren and Klaise (2019), arXiv:1907.02584, judge an image by how well autoencoders of single
classes reconstruct it. Theirs are convolutional; these have one hidden layer on each side of 32
numbers, so that eleven of them take seconds to train on one core.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whence.morphing.quality import Reconstruct, im1, im2
from whence.seeds import make_generator, seed_global

FIT_STEPS = 500
FIT_BATCH = 128
HIDDEN_WIDTH = 128
CODE_WIDTH = 32


@dataclass(frozen=True)
class Autoencoders:
    """What reconstructs images: one by class, and one of all classes."""

    of_class: tuple[Reconstruct, ...]
    of_all: Reconstruct


class Autoencoder(nn.Module):
    """Images `(B, C, H, W)` in [0, 1] to 32 numbers and back."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape
        pixels = image_shape[0] * image_shape[1] * image_shape[2]
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, HIDDEN_WIDTH),
            nn.ReLU(),
            nn.Linear(HIDDEN_WIDTH, CODE_WIDTH),
        )
        self.decoder = nn.Sequential(
            nn.Linear(CODE_WIDTH, HIDDEN_WIDTH),
            nn.ReLU(),
            nn.Linear(HIDDEN_WIDTH, pixels),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions, shaped as the images."""
        made: Tensor = self.decoder(self.encoder(images))
        return made.view(-1, *self.image_shape)


def train_autoencoders(
    images: Tensor, labels: Tensor, *, classes: int, seed: int, steps: int = FIT_STEPS
) -> Autoencoders:
    """Train one autoencoder on the images of each class, and one on all of them.

    Each gets the same number of steps and starts from the same parameters, so that they differ by
    their images alone.

    Args:
        images: `(N, C, H, W)` uint8.
        labels: `(N,)`.
        classes: K.
        seed: of the parameters and of the batches.
        steps: of Adam at 1e-3, with 128 images each.

    Raises:
        ValueError: if a class has no images.
    """
    members = [(labels == label).nonzero().squeeze(1) for label in range(classes)]
    for label, rows in enumerate(members):
        if len(rows) == 0:
            raise ValueError(f"Class {label} must have images to train an autoencoder, got none.")
    return Autoencoders(
        tuple(train_autoencoder(images[rows], seed=seed, steps=steps) for rows in members),
        train_autoencoder(images, seed=seed, steps=steps),
    )


def train_autoencoder(images: Tensor, *, seed: int, steps: int) -> Autoencoder:
    """Train one autoencoder on the mean squared error."""
    with torch.random.fork_rng(devices=[]):
        seed_global(seed)
        network = Autoencoder((images.shape[1], images.shape[2], images.shape[3]))
        network = network.to(images.device)
    generator = make_generator(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(len(images), (FIT_BATCH,), generator=generator)
            batch = images[rows.to(images.device)].float() / 255
            loss = nn.functional.mse_loss(network(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval().requires_grad_(False)


def measure_realism(
    autoencoders: Autoencoders, images: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute IM1 and IM2 of each image with the autoencoders of its own two classes.

    Args:
        autoencoders: made by ``train_autoencoders``.
        images: `(B, C, H, W)` others, float in [0, 1].
        classes: `(B, 2)` the classes of self and of other.

    Returns:
        `(B,)` IM1 and `(B,)` IM2; of both lower is better.
    """
    one, two = images.new_zeros(len(images)), images.new_zeros(len(images))
    for own, other in classes.unique(dim=0).tolist():
        rows = (classes == torch.tensor([own, other])).all(1).nonzero().squeeze(1)
        of_other: Callable[[Tensor], Tensor] = autoencoders.of_class[other]
        one[rows] = im1(images[rows], of_other, autoencoders.of_class[own])
        two[rows] = im2(images[rows], of_other, autoencoders.of_all)
    return one, two
