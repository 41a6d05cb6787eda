"""Semantic morphing and path mask of whence against the thesis's way, one image at a time.

Claim: an image of 100 takes at least 20 times less time than one by the thesis's way (Adam at 1e-3,
up to 5,000 steps for the morph; 3,000 for the mask, each over all 99 steps of the path), as many
morphs are valid, and the masks of the same paths correlate with the slow ones by 0.95 or more.
n = 10 images the slow way, 100 the fast way, once, on one machine; --images and --fast change that.

    python -m benchmarks.morph_speed RUN VAE [--images 10] [--fast 100] [--weight 0.1]

RUN is a folder of ``whence train``, VAE one of ``whence train-vae`` on the same images; those to
explain are drawn from the run's test images by seed 0; --weight is that of the norm. Finding the
codes counts for neither side, since both begin with them. Times are CPU time of the process (on a
GPU: elapsed time), so that work beside it counts less. --only-morph leaves the masks and the slow
side out, and counts failures.

Prints one JSON object: seconds an image of each side and their ratios; the fraction of morphs that
came to their end, and that the classifier puts in the class of other; "same path": correlations of
slow and fast masks of the same path, "whole": of the masks of each side's own path.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import whence
from benchmarks.sides import machine
from benchmarks.thesis_way import mask_slowly, morph_slowly
from whence.experiments.finished import load_run_data, read_run
from whence.explanation.morph.answers import classify_codes
from whence.explanation.morph.code import Codes, find_codes
from whence.explanation.morph.interpolate import decode_path, radial
from whence.explanation.morph.morphing import MorphPlan, morph_codes
from whence.explanation.morph.others import store_codes
from whence.explanation.morph.path_mask import path_masks
from whence.explanation.morph.saved_vae import load_vae
from whence.explanation.morph.vae import VAE


class Case(NamedTuple):
    """What both sides begin with."""

    model: whence.Classifier
    vae: VAE
    codes: Codes
    norms: Tensor  # (K,) mean norm of a class


def main() -> None:
    """Run the fast side on many images and the slow side on few, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--fast", type=int, default=100)
    parser.add_argument("--weight", type=float, default=0.1)
    parser.add_argument("--only-morph", action="store_true")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, vae = whence.load(options.run, device=device), load_vae(options.vae, device)
    for module in (model, vae):
        module.eval().requires_grad_(False)
    data = load_run_data(options.run, read_run(options.run), None)
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    images = data.test.images[order[: options.fast]]
    generator = torch.Generator().manual_seed(0)
    stored = store_codes(
        vae,
        data.train.images,
        data.train.labels,
        classes=len(model.class_names),
        generator=generator,
    )
    codes = find_codes(model, vae, images, generator=generator)
    print(machine())
    started = clock(device)
    plan = MorphPlan(weight=options.weight)
    morphs = morph_codes(model, vae, codes.codes, codes.classes, stored.norms, plan=plan)
    fast = {"morph": (clock(device) - started) / len(images)}
    valid = is_valid(model, vae, morphs.codes, codes)
    result: dict[str, object] = {
        "run": str(options.run),
        "vae": str(options.vae),
        "weight": options.weight,
        "images": len(images),
        "with a code": share(codes.found),
        "failed, of those with a code": 1 - share(morphs.found[codes.found]),
        "valid, of those with a code": share(valid[codes.found]),
        "steps, mean and median": [
            round(float(morphs.steps.float().mean()), 1),
            float(morphs.steps.float().median()),
        ],
        "reasons": [one for one in morphs.reasons if one is not None][:5],
    }
    if not options.only_morph:
        way = radial(morphs.codes, codes.codes)
        started = clock(device)
        path = decode_path(vae, way.to(device))
        masks = path_masks(model, path, codes.classes[:, 0]).masks
        fast["mask"] = (clock(device) - started) / len(images)
        few = min(options.images, len(images))
        case = Case(model, vae, codes, stored.norms.means)
        result |= compare(case, path[:few], masks[:few], fast, options.weight, device)
    result["seconds an image, fast"] = rounded(fast)
    print(json.dumps(result, indent=1))


def compare(
    case: Case, path: Tensor, masks: Tensor, fast: dict[str, float], weight: float, device: str
) -> dict[str, object]:
    """Run the slow side on the first images and compare times, morphs and masks."""
    slow = {"morph": 0.0, "mask": 0.0}
    came, others, same, own = [], [], [], []
    for row in range(len(path)):
        code, pair = case.codes.codes[row].to(device), tuple(case.codes.classes[row].tolist())
        started = clock(device)
        other, _, found = morph_slowly(
            case.model, case.vae, code, pair, float(case.norms[pair[1]]), weight=weight
        )
        slow["morph"] += (clock(device) - started) / len(path)
        came.append(found)
        others.append(other.cpu())
        started = clock(device)
        slow_path = decode_path(case.vae, radial(other[None], code[None]))
        own.append(mask_slowly(case.model, slow_path[0], pair[0]).cpu())
        slow["mask"] += (clock(device) - started) / len(path)
        same.append(mask_slowly(case.model, path[row], pair[0]).cpu())
        print(f"slow image {row + 1} of {len(path)}", flush=True)
    found = torch.tensor(came)
    valid = is_valid(case.model, case.vae, torch.stack(others), case.codes)
    return {
        "slow images": len(path),
        "slow, failed": 1 - share(found),
        "slow, valid": share(valid),
        "seconds an image, slow": rounded(slow),
        "ratio": {name: round(slow[name] / fast[name], 1) for name in slow},
        "ratio of both": round(sum(slow.values()) / sum(fast.values()), 1),
        "correlation, same path": correlations(masks, torch.stack(same)),
        "correlation, whole": correlations(masks, torch.stack(own)),
    }


def is_valid(model: whence.Classifier, vae: VAE, others: Tensor, codes: Codes) -> Tensor:
    """Say which of the first others the classifier puts in their class."""
    logits = classify_codes(model, vae, others.to(vae.variance.device))[1].cpu()
    return logits.argmax(1) == codes.classes[: len(others), 1]


def correlations(masks: Tensor, others: Tensor) -> dict[str, object]:
    """Correlate masks pixel by pixel; NaN where one of the two is the same everywhere."""
    found = []
    for one, other in zip(masks, others, strict=True):
        pair = torch.stack([one.flatten(), other.flatten()]).double()
        pair = pair - pair.mean(1, keepdim=True)
        found.append(float(pair[0] @ pair[1] / (pair[0].norm() * pair[1].norm())))
    values = torch.tensor(found)
    return {
        "mean": round(float(values.nanmean()), 4),
        "smallest": round(float(values[~values.isnan()].min()), 4),
        "each": [round(value, 4) for value in found],
    }


def clock(device: str) -> float:
    """Return CPU seconds of this process, or elapsed ones where a GPU works."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def share(values: Tensor) -> float:
    """Return the fraction of True."""
    return round(float(values.double().mean()), 4)


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Round seconds for people."""
    return {name: round(value, 4) for name, value in seconds.items()}


if __name__ == "__main__":
    main()
