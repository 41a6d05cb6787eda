"""Does reliance separate evidence that matters from evidence that is decoration?

Claim: a memory of wrong-class images only changes the answers of the models with high reliance and
leaves those of the models with low reliance as they are. n = 3 seeds a row, 2,000 test images.

    python -m benchmarks.reliance --cifar10 FOLDER --fashion-mnist ROOT

"Decoration" is Memory Wrap trained with a memory that holds images of one random class at every
step: the memory vector says nothing about the image, and the head learns to pass over it. After
training all models remember the same 1,000 training images, and show evidence that looks alike.
"Answers changed": of the test images answered correctly, those answered otherwise when every stored
image of their class is left out of the memory.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

import whence
from benchmarks.few_images import spread
from whence.data import AUGMENTATIONS
from whence.records.images import Dataset, ImageSet
from whence.runs.images import load_data
from whence.runs.prepare import Parts, prepare
from whence.runs.published import PUBLISHED
from whence.runs.settings import Settings
from whence.runs.where import may_download_to
from whence.training.recipes import build_optimizer, rate_at

SHOWN = 2000
MODELS = ("Only Memory", "Memory Wrap", "Decoration", "Standard")
VARIANTS = {"Only Memory": "only-memory", "Standard": "standard"}
PRINTED = ("images", "model", "accuracy", "reliance", "answers changed", "AUROC per image")


def main() -> None:
    """Train, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--fashion-mnist", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    started = time.monotonic()
    shared = {
        "encoder": "small_cnn",
        "recipe": "paper",
        "epochs": options.epochs,
        "train_examples": 1000,
    }
    problems: dict[str, Settings] = {}
    if options.fashion_mnist is not None:
        root = str(options.fashion_mnist)
        problems["FashionMNIST"] = Settings(data="fashion_mnist", data_root=root, **shared)
    if options.cifar10 is not None:
        published = PUBLISHED["cifar10"]
        problems["CIFAR-10 JPEG"] = Settings(
            data=str(options.cifar10),
            augmentation="flip",
            mean=published.mean,
            std=published.std,
            **shared,
        )
    print("| " + " | ".join(PRINTED) + " |", "|" + " --- |" * len(PRINTED), sep="\n")
    for problem, settings in problems.items():
        dataset = load_data(settings, may_download_to(settings.data_root))
        for name in MODELS:
            found = [measure(name, settings, seed, dataset) for seed in range(options.seeds)]
            columns = [[one[i] for one in found] for i in range(4)]
            known = [value for value in columns[3] if value is not None]
            texts = [
                *(spread(c) for c in columns[:3]),
                f"{statistics.fmean(known):.2f}" if known else "",
            ]
            print(f"| {problem} | {name} | " + " | ".join(texts) + " |", flush=True)
    print(f"{time.monotonic() - started:.0f} s")


def measure(
    name: str, settings: Settings, seed: int, dataset: Dataset
) -> tuple[float, float, float, float | None]:
    """Train one model; return accuracy, mean reliance, share changed, AUROC of reliance for it."""
    changes = {"seed": seed, "variant": VARIANTS.get(name, "memory-wrap")}
    parts = prepare(replace(settings, **changes), dataset)
    if name == "Decoration":
        train_with_uninformative_memory(parts)
    else:
        whence.fit(parts.model, parts.train, recipe=parts.recipe, plan=parts.plan)
    model = parts.model.eval()
    if model.has_memory:
        model.remember(parts.train.images, parts.train.labels)
    test = parts.test.take(torch.randperm(len(parts.test), generator=generate(0))[:SHOWN])
    explained = whence.explain(model, test.images, draws=0)
    reliance = torch.tensor([e.reliance for e in explained])
    answers = torch.tensor([e.predicted for e in explained])
    right = answers == test.labels
    if not model.has_memory:
        return float(right.double().mean()), 0.0, 0.0, None
    changed = (answer_from_wrong_classes(model, test) != answers)[right]
    mixed = 0 < int(changed.sum()) < len(changed) and name != "Only Memory"
    auroc = float(roc_auc_score(changed, reliance[right])) if mixed else None
    shares = [float(part.double().mean()) for part in (right, reliance[right], changed)]
    return shares[0], shares[1], shares[2], auroc


def answer_from_wrong_classes(model: whence.Classifier, test: ImageSet) -> Tensor:
    """Answer for every image with all stored images of its own class left out."""
    answers = torch.empty_like(test.labels)
    for label, name in enumerate(model.class_names):
        of_class = test.labels == label
        edited = whence.edit(model, remove=name)
        found = whence.predict(edited, test.images[of_class])
        answers[of_class] = torch.tensor([one.predicted for one in found])
    return answers


def train_with_uninformative_memory(parts: Parts) -> None:
    """Train as ``fit`` does, but with a memory of one random class at every step."""
    model, train, recipe = parts.model.train(), parts.train, parts.recipe
    random = generate(parts.plan.seed)
    augment = AUGMENTATIONS[recipe.augmentation]
    optimizer = build_optimizer(recipe, model.parameters())
    per_epoch = len(train) // recipe.batch_size
    for step in range(parts.plan.epochs * per_epoch):
        if step % per_epoch == 0:
            order = torch.randperm(len(train), generator=random)
        place = step % per_epoch * recipe.batch_size
        batch = order[place : place + recipe.batch_size]
        label = torch.randint(len(model.class_names), (), generator=random)
        stored = (train.labels == label).nonzero().squeeze(1)
        rate = rate_at(recipe, step=step, steps_per_epoch=per_epoch, epochs=parts.plan.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, memory = (augment(train.images[i], generator=random) for i in (batch, stored))
        loss = torch.nn.functional.cross_entropy(model(images, memory), train.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def generate(seed: int) -> torch.Generator:
    """Make a generator."""
    return torch.Generator().manual_seed(seed)


if __name__ == "__main__":
    main()
