"""How many images have a code that keeps the classifier's two top classes, by sampling and after.

Claim: 40 samples (the thesis's way) leave many images without a code; descent finds nearly all.

    python -m benchmarks.codes RUN VAE [--images 1000] [--samples 40] [--steps 400]

RUN is a folder of ``whence train``, VAE one of ``whence train-vae`` on the same images. The images
are drawn from the run's test images by seed 0. Prints one JSON object: fractions with a code; of
each kind of code the mean absolute difference from the image, in [0, 1], and mean norm; seconds.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import whence
from benchmarks.sides import machine
from whence.autoencoders.saved_vae import load_vae
from whence.morphing.code import Codes, find_codes
from whence.morphing.improve import Descent
from whence.runs.finished import read_settings
from whence.runs.images import load_data


def main() -> None:
    """Find the codes twice, without and with descent, from the same samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, vae = whence.load(options.run, device=device), load_vae(options.vae, device)
    test = load_data(read_settings(options.run)).test
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
    images = test.images[order[: options.images]]
    print(machine())
    result: dict[str, object] = {"run": str(options.run), "vae": str(options.vae)}
    for name, steps in (("sampling", 0), ("with descent", options.steps)):
        started = time.perf_counter()
        codes = find_codes(
            model,
            vae,
            images,
            generator=torch.Generator().manual_seed(0),
            samples=options.samples,
            descent=Descent(steps=steps),
        )
        result[name] = describe(codes) | {"seconds": round(time.perf_counter() - started, 1)}
    print(json.dumps(result, indent=1))


def describe(codes: Codes) -> dict[str, object]:
    """Count the ways in which codes were found, and average the distances of each."""
    described: dict[str, object] = {
        "images": len(codes),
        "with a code": float(codes.found.float().mean()),
    }
    for how in ("sampled", "optimised", "none"):
        rows = torch.tensor([one == how for one in codes.how])
        if bool(rows.any()):
            distance = float(codes.distances[rows].mean())
            norm = float(codes.codes[rows].norm(dim=1).mean())
            described[how] = {
                "images": int(rows.sum()),
                "l1": round(distance, 5),
                "norm": round(norm, 3),
            }
    return described


if __name__ == "__main__":
    main()
