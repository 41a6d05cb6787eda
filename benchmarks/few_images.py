"""Accuracy with few labelled images: four models, three sets of images, five seeds.

Claim: none beforehand; it reports what comes out. n = 5 seeds a row. Standard with an MLP head has
the number of parameters that Memory Wrap has: the matched baseline.

    python -m benchmarks.few_images --cifar10 FOLDER --fashion-mnist ROOT --out runs/few-images

FOLDER is an image folder (train/CLASS/*, test/CLASS/*), ROOT holds FashionMNIST/raw. Runs that are
finished are not run again; the table is printed from the run folders.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from whence.records.images import Dataset
from whence.runs.images import load_data
from whence.runs.published import PUBLISHED
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.where import may_download_to

MODELS: dict[str, dict[str, Any]] = {
    "Standard": {"variant": "standard"},
    "Standard, MLP head": {"variant": "standard", "classifier": "mlp"},
    "Only Memory": {"variant": "only-memory"},
    "Memory Wrap": {"variant": "memory-wrap"},
}
PRINTED = ("images", "model", "whole memory", "five draws", "training s")


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--fashion-mnist", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    shared = {"encoder": "small_cnn", "epochs": options.epochs, "recipe": "paper"}
    problems: dict[str, Settings] = {}
    if options.cifar10 is not None:
        published = PUBLISHED["cifar10"]
        base = Settings(
            data=str(options.cifar10),
            augmentation="flip",
            mean=published.mean,
            std=published.std,
            **shared,
        )
        problems["CIFAR-10 JPEG 1,000"] = replace(base, train_examples=1000)
        problems["CIFAR-10 JPEG 2,000"] = replace(base, train_examples=2000)
    if options.fashion_mnist is not None:
        problems["FashionMNIST 1,000"] = Settings(
            data="fashion_mnist",
            data_root=str(options.fashion_mnist),
            train_examples=1000,
            **shared,
        )
    started = time.monotonic()
    loaded: dict[str, Dataset] = {}
    rows = []
    for problem, settings in problems.items():
        if settings.data not in loaded:
            loaded[settings.data] = load_data(settings, may_download_to(settings.data_root))
        for model, changes in MODELS.items():
            found = [
                run(
                    replace(settings, seed=seed, pixels=False, **changes),
                    options.out / slug(problem) / slug(model) / f"seed-{seed}",
                    loaded[settings.data],
                    resume=True,
                )
                for seed in range(options.seeds)
            ]
            rows.append((problem, model, *columns(found)))
            print(f"{time.monotonic() - started:6.0f} s", *rows[-1], sep=" | ", flush=True)
    print("", "| " + " | ".join(PRINTED) + " |", "|" + " --- |" * len(PRINTED), sep="\n")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def columns(found: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Format accuracy (mean and population deviation, percent) and median training time."""
    whole = [metrics["test"]["accuracy"] for metrics in found]
    draws = [m["test"]["accuracy_draws"]["mean"] for m in found if m["test"]["accuracy_draws"]]
    seconds = statistics.median(metrics["train_seconds"] for metrics in found)
    return spread(whole), spread(draws) if draws else "", f"{seconds:.0f}"


def spread(values: list[float]) -> str:
    """Format mean and population deviation in percent."""
    return f"{100 * statistics.fmean(values):.2f} ± {100 * statistics.pstdev(values):.2f}"


def slug(name: str) -> str:
    """Turn a name into a folder's name."""
    return "".join(c if c.isalnum() else "-" for c in name.lower())


if __name__ == "__main__":
    main()
