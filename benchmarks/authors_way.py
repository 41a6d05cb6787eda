"""The published way of working, as the other side of the benchmarks.

The authors' layer from their library, torchvision transforms image by image in a DataLoader, a new
iterator for every drawn memory, float32, and the test set encoded anew in each of five passes.
"""

from collections.abc import Iterator

import torch
from memorywrap import MemoryWrapLayer
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from whence.encoders import ENCODERS

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Images(Dataset[tuple[Tensor, int]]):
    """uint8 images turned to PIL, flipped, scaled and normalised one at a time."""

    def __init__(self, images: Tensor, labels: Tensor, *, flip: bool) -> None:
        self.pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()
        steps = [transforms.RandomHorizontalFlip()] if flip else []
        steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


class Model(nn.Module):
    """An encoder with the authors' layer."""

    def __init__(self, encoder: str, features: int) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder]()
        self.head = MemoryWrapLayer(features, 10)

    def forward(self, images: Tensor, memory: Tensor) -> Tensor:
        """Classify images with one memory for the batch."""
        return self.head(self.encoder(images), self.encoder(memory))

    def read(self, images: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Classify and return the weights as well."""
        return self.head(self.encoder(images), self.encoder(memory), return_weights=True)


@torch.no_grad()
def evaluate(model: Model, train: Images, test: Images, device: str = "cpu") -> list[float]:
    """Classify the test set five times in batches of 500, each with a fresh memory of 100."""
    model.eval()
    memories = DataLoader(train, batch_size=100, shuffle=True, drop_last=True)
    loader = DataLoader(test, batch_size=500)
    accuracies = []
    for _ in range(5):
        hits = 0
        for images, labels in loader:
            memory, _ = next(iter(memories))
            answers = model(images.to(device), memory.to(device)).argmax(1)
            hits += int((answers.cpu() == labels).sum())
        accuracies.append(hits / len(test))
    return accuracies


@torch.no_grad()
def measure_explanations(model: Model, train: Images, test: Images) -> float:
    """Compute explanation accuracy as a separate script does, encoding everything once more.

    The class of a memory image is predicted with a second memory.
    """
    model.eval()
    memories = DataLoader(train, batch_size=100, shuffle=True, drop_last=True)
    hits = 0
    for images, _ in DataLoader(test, batch_size=500):
        (memory, _), (second, _) = next(iter(memories)), next(iter(memories))
        logits, weights = model.read(images, memory)
        own = model(memory, second).argmax(1)
        hits += int((own[weights.argmax(1)] == logits.argmax(1)).sum())
    return hits / len(test)


def train_steps(model: Model, train: Images, device: str = "cpu") -> Iterator[None]:
    """Train for ever, one step at a time."""
    model.train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    batches = DataLoader(train, batch_size=128, shuffle=True, drop_last=True)
    memories = DataLoader(train, batch_size=100, shuffle=True, drop_last=True)
    while True:
        for images, labels in batches:
            memory, _ = next(iter(memories))
            logits = model(images.to(device), memory.to(device))
            loss = nn.functional.cross_entropy(logits, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield
