"""Semantic morphing and path mask of whence against the thesis's way, one image at a time.

Claim: an image of 100 takes at least 20 times less time than one by the thesis's way (Adam at 1e-3,
up to 5,000 steps for the morph; 3,000 for the mask, each over all 99 steps of the path), as many
morphs are valid, and the masks of the same paths correlate with the slow ones by 0.95 or more.
n = 10 images the slow way, 100 the fast way, once, on one machine; --images and --fast change that.

    python -m benchmarks.morph_speed RUN VAE [--images 10] [--fast 100] [--weight 0.1]

RUN is a folder of ``whence train``, VAE one of ``whence train-vae`` on the same images; those to
explain are drawn from the run's test images by seed 0; --weight is that of the norm. Finding the
codes counts for neither side, since both begin with them. Times are CPU time of the process (on a
GPU: elapsed time), so that work beside it counts less. --only-fast leaves the slow side out.

Prints one JSON object, by plan: "default", and "thesis", which takes longer strides along the
thesis's own curve and changes neither its aim nor how it keeps the norm. Seconds an image of each
side and their ratios; the fraction of morphs that came to their end, and that the classifier puts
in the class of other; "same path": correlations of slow and fast masks of one path, "whole": of the
masks of each side's own path, which differ where the morphs end in different places.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import whence
from benchmarks.sides import machine
from benchmarks.thesis_way import mask_slowly, morph_slowly
from whence.autoencoders.saved_vae import load_vae
from whence.autoencoders.vae import VAE
from whence.morphing.answers import classify_codes
from whence.morphing.code import Codes, find_codes
from whence.morphing.interpolate import decode_path, radial
from whence.morphing.norms import Norms
from whence.morphing.path_mask import path_masks
from whence.morphing.stored_codes import store_codes
from whence.morphing.walk import MorphPlan, Morphs, morph_codes
from whence.runs.finished import read_settings
from whence.runs.images import load_data

PLANS: dict[str, dict[str, Any]] = {
    "default": {},
    "thesis": {"norm": "gradient", "lead_after": None},
}
"""How the fast side morphs."""


class Case(NamedTuple):
    """What both sides begin with."""

    model: whence.Classifier
    vae: VAE
    codes: Codes
    norms: Norms
    weight: float
    device: str


class Fast(NamedTuple):
    """What the fast side made of all images with one plan, and seconds an image."""

    morphs: Morphs
    path: Tensor  # (B, S, C, H, W)
    masks: Tensor  # (B, H, W)
    seconds: dict[str, float]


class Slow(NamedTuple):
    """What the slow side made of the first images, and seconds an image."""

    codes: Tensor  # (b, Z)
    found: Tensor  # (b,)
    masks: Tensor  # (b, H, W) of its own paths
    same: Tensor  # (b, H, W) of the paths of the fast side's default
    seconds: dict[str, float]


def main() -> None:
    """Run the fast side on many images and the slow side on few, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("vae", type=Path)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--fast", type=int, default=100)
    parser.add_argument("--weight", type=float, default=0.1)
    parser.add_argument("--only-fast", action="store_true")
    options = parser.parse_args()
    print(machine(), flush=True)
    case = prepare(options.run, options.vae, options.fast, options.weight)
    sides = {name: go_fast(case, MorphPlan(weight=case.weight, **PLANS[name])) for name in PLANS}
    result: dict[str, object] = {
        "run": str(options.run),
        "vae": str(options.vae),
        "weight": case.weight,
        "images": len(case.codes),
        "with a code": share(case.codes.found),
        **{name: describe_fast(case, side) for name, side in sides.items()},
    }
    print(json.dumps(result, indent=1), flush=True)
    if not options.only_fast:
        slow = go_slowly(case, sides["default"].path[: options.images])
        print(json.dumps(compare(case, sides, slow), indent=1))


def prepare(run: Path, folder: Path, count: int, weight: float) -> Case:
    """Read the models, draw the images, and find their codes."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, vae = whence.load(run, device=device), load_vae(folder, device)
    for module in (model, vae):
        module.eval().requires_grad_(False)
    data = load_data(read_settings(run))
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    stored = store_codes(
        vae,
        data.train.images,
        data.train.labels,
        classes=len(model.class_names),
        generator=generator,
    )
    codes = find_codes(model, vae, data.test.images[order[:count]], generator=generator)
    return Case(model, vae, codes, stored.norms, weight, device)


def go_fast(case: Case, plan: MorphPlan) -> Fast:
    """Morph all images at once, and find their masks."""
    model, vae, codes, norms, _, device = case
    started = clock(device)
    morphs = morph_codes(model, vae, codes.codes, codes.classes, norms, plan=plan)
    morphed = clock(device)
    path = decode_path(vae, radial(morphs.codes, codes.codes).to(device))
    masks = path_masks(model, path, codes.classes[:, 0]).masks
    seconds = {"morph": morphed - started, "mask": clock(device) - morphed}
    return Fast(morphs, path, masks, {name: all_ / len(codes) for name, all_ in seconds.items()})


def go_slowly(case: Case, paths: Tensor) -> Slow:
    """Do the same image by image, and find the masks of paths `(b, S, C, H, W)` made before."""
    model, vae, codes, norms, weight, device = case
    others, came, own, same = [], [], [], []
    seconds = {"morph": 0.0, "mask": 0.0}
    for row, path in enumerate(paths):
        code, pair = codes.codes[row].to(device), tuple(codes.classes[row].tolist())
        started = clock(device)
        other, _, found = morph_slowly(
            model, vae, code, pair, float(norms.means[pair[1]]), weight=weight
        )
        morphed = clock(device)
        way = decode_path(vae, radial(other[None], code[None]))[0]
        own.append(mask_slowly(model, way, pair[0]).cpu())
        seconds["morph"] += (morphed - started) / len(paths)
        seconds["mask"] += (clock(device) - morphed) / len(paths)
        others.append(other.cpu())
        came.append(found)
        same.append(mask_slowly(model, path, pair[0]).cpu())
        print(f"slow image {row + 1} of {len(paths)}", flush=True)
    return Slow(
        torch.stack(others), torch.tensor(came), torch.stack(own), torch.stack(same), seconds
    )


def describe_fast(case: Case, side: Fast) -> dict[str, object]:
    """Say how the morphs of all images ended."""
    has_code, valid = case.codes.found, is_valid(case, side.morphs.codes)
    steps = side.morphs.steps
    return {
        "failed, of those with a code": round(1 - share(side.morphs.found[has_code]), 4),
        "valid, of those with a code": share(valid[has_code]),
        "steps, mean and median": [round(float(steps.double().mean())), int(steps.median())],
        "reasons": [one for one in side.morphs.reasons if one is not None][:5],
        "seconds an image": rounded(side.seconds),
    }


def compare(case: Case, sides: dict[str, Fast], slow: Slow) -> dict[str, object]:
    """Compare times, morphs and masks."""
    few = len(slow.codes)
    result: dict[str, object] = {
        "slow images": few,
        "slow, failed": round(1 - share(slow.found), 4),
        "slow, valid": share(is_valid(case, slow.codes)),
        "slow, seconds an image": rounded(slow.seconds),
        "same path": correlations(sides["default"].masks[:few], slow.same),
    }
    for name, side in sides.items():
        ratio = {part: slow.seconds[part] / side.seconds[part] for part in slow.seconds}
        ratio["both"] = sum(slow.seconds.values()) / sum(side.seconds.values())
        result[name] = {
            "ratio": {part: round(value, 1) for part, value in ratio.items()},
            "same images, valid": share(is_valid(case, side.morphs.codes[:few])),
            "whole": correlations(side.masks[:few], slow.masks),
        }
    return result


def is_valid(case: Case, others: Tensor) -> Tensor:
    """Say which of the first others `(b, Z)` the classifier puts in their class."""
    logits = classify_codes(case.model, case.vae, others.to(case.device))[1].cpu()
    return logits.argmax(1) == case.codes.classes[: len(others), 1]


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
