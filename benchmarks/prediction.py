"""Prediction with a bank against its parts: what knowing the evidence costs.

Claim: answers from a bank of 1,000 and of 50,000 images take at most 1.15 times what their parts
take at batch 1, and 1.10 times at batch 500: the encoder, the product of features and memory, and
the same last layers on random input. ResNet18 with 1,000 images at batch 500 takes at most 1.05
times the encoder with a linear layer. Medians of n = 9 rounds in turn at batch
1 (of 20 calls each), and of 5 at batch 500.

    python -m benchmarks.prediction

The other side is given float images that are normalised already; `model(images)` is given bytes.
Its encoder is the plain module, channels-last as whence keeps it, in eval mode without gradients.
"predict" makes the records with the evidence as well. Random images and features of a bank drawn
anew: both sides do the same work whatever is in them.
"""

import argparse

import torch
from torch import Tensor, nn

import whence
from benchmarks.authors_way import MEAN, STD
from benchmarks.sides import machine, random_images, ratio, take_turns
from whence.evidence.predict import predict
from whence.memory.bank import Bank
from whence.models.classifier import Classifier

ENCODERS = {"resnet18": 512, "mobilenet_v2": 1280}
BANKS = (1_000, 50_000)
TARGETS = {1: 1.15, 500: 1.10}
"""Batch size, and the most that the whole may take, in its parts."""


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", choices=tuple(ENCODERS))
    parser.add_argument("--repeats", type=int, help="rounds; 9 at batch 1, 5 at batch 500")
    options = parser.parse_args()
    print(f"{machine()}\nprediction, times its parts (least and most of the rounds):")
    for encoder in ENCODERS if options.encoder is None else (options.encoder,):
        for stored in BANKS:
            model = prepare(encoder, stored)
            for batch, target in TARGETS.items():
                repeats = options.repeats or (9 if batch == 1 else 5)
                compare(model, encoder, batch, target, repeats)


def prepare(encoder: str, stored: int) -> Classifier:
    """Make a model with a bank of random features."""
    torch.manual_seed(0)
    model = whence.wrap(encoder, 10, mean=MEAN, std=STD).eval()
    numbers = torch.arange(stored)
    features = torch.randn(stored, ENCODERS[encoder])
    hashes = tuple(f"{number:032x}" for number in range(stored))
    model.attach(Bank(features, numbers, numbers % 10, numbers % 10, hashes))
    return model


@torch.no_grad()
def compare(model: Classifier, encoder: str, batch: int, target: float, repeats: int) -> None:
    """Time the whole and its parts and print their ratio."""
    images = random_images(batch, seed=1).images
    bank = model.checked_bank()
    prepared, plain = model.normalise(images), model.encoder
    joined = torch.randn(batch, 2 * model.features)
    linear = nn.Linear(model.features, 10)

    def parts() -> Tensor:
        scores = plain(prepared) @ bank.features.mT
        model.memory_head.classifier(joined)
        return scores

    found = take_turns(
        {
            "parts": parts,
            "linear": lambda: linear(plain(prepared)),
            "model": lambda: model(images),
            "predict": lambda: predict(model, images, batch_size=batch),
        },
        repeats,
        calls=20 if batch == 1 else 1,
    )
    milliseconds = 1000 * sorted(found["parts"])[repeats // 2]
    print(
        f"  {encoder}, bank {len(bank):,}, batch {batch}: parts {milliseconds:.1f} ms; "
        f"model(images) {ratio(found, 'model', 'parts')}, at most {target:.2f}; "
        f"predict {ratio(found, 'predict', 'parts')}; "
        f"model(images) over encoder + linear {ratio(found, 'model', 'linear')}",
        flush=True,
    )


if __name__ == "__main__":
    main()
