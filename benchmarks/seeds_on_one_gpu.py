"""All seeds of one cell on one GPU, side by side, against the authors' way one seed after another.

Claim: 15 seeds of MobileNet-v2 with Memory Wrap on 1,000 images take at most a tenth of the time.
n = 3 a side, in turn. Not measured yet: no GPU was there.

The authors' side is timed without the start of its process; ours is the whole command
``whence train ... --seeds 15 --workers 15``, with its start, reading the images from files, and
measures that the other side does not have. Short trainings therefore measure the start. The
authors' side computes in float32. Ours trains as ``--precision`` says; the default ``auto`` is
bfloat16 on a GPU that has it, and part of what it gains. ``--precision float32`` leaves that out.

"steps per second" is of the trainings alone. On our side it takes every round of runs, of which
there are seeds / workers, rounded up, for as long as the mean training.

    python -m benchmarks.seeds_on_one_gpu
    python -m benchmarks.seeds_on_one_gpu --device cpu --seeds 2 --images 256 --epochs 1 --repeats 1
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

import whence
from benchmarks.authors_way import Images, Model, evaluate, train_steps
from benchmarks.sides import alternate, machine, random_images
from whence.records.images import ImageSet
from whence.runs.precision import choose_bfloat16

FEATURES = {"mobilenet_v2": 1280, "resnet18": 512}
BATCH, MEMORY, VALIDATION = 128, 100, 10
NUMBERS = {"seeds": 15, "images": 1000, "epochs": 40, "tests": 2000, "repeats": 3}


def main() -> None:
    """Run one side, or both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=("authors", "whence"))
    parser.add_argument("--encoder", choices=tuple(FEATURES), default="mobilenet_v2")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--workers", type=int, help="by default one for each seed")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    for name, number in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("seeds on one GPU: not measured here, no GPU was found (--device cpu tries it)")
    elif options.side is None:
        where = torch.cuda.get_device_name() if options.device == "cuda" else machine()
        print(f"{options.seeds} seeds, {options.encoder}, {options.images} images, {where},")
        print(
            f"authors float32, whence {name_precision(options)} (--precision {options.precision}):"
        )
        names = ("encoder", "device", "workers", "precision", *NUMBERS)
        given = [(f"--{name}", getattr(options, name)) for name in names]
        arguments = [str(word) for pair in given if pair[1] is not None for word in pair]
        alternate("benchmarks.seeds_on_one_gpu", ("authors", "whence"), arguments, options.repeats)
    else:
        sides = {"authors": one_after_another, "whence": side_by_side}
        print(json.dumps(sides[options.side](options)))


def name_precision(options: argparse.Namespace) -> str:
    """Name what our side trains in."""
    model = whence.wrap(options.encoder, 10)
    return "bfloat16" if choose_bfloat16(options.precision, model, options.device) else "float32"


def count_steps(options: argparse.Namespace) -> int:
    """Count the steps of one seed; the last part of a batch is dropped, as on both sides."""
    return int(options.epochs * (options.images // BATCH))


def one_after_another(options: argparse.Namespace) -> dict[str, float]:
    """Train and evaluate every seed in this process, float32, images from a DataLoader."""
    images, tests = random_images(options.images, seed=0), random_images(options.tests, seed=1)
    train = Images(images.images, images.labels, flip=True)
    test = Images(tests.images, tests.labels, flip=False)
    started, trained = time.perf_counter(), 0.0
    for seed in range(options.seeds):
        torch.manual_seed(seed)
        model = Model(options.encoder, FEATURES[options.encoder]).to(options.device)
        before = time.perf_counter()
        for _ in islice(train_steps(model, train, options.device), count_steps(options)):
            pass
        if options.device == "cuda":
            torch.cuda.synchronize()
        trained += time.perf_counter() - before
        evaluate(model, train, test, options.device)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "steps per second": options.seeds * count_steps(options) / trained}


def side_by_side(options: argparse.Namespace) -> dict[str, float]:
    """Run ``whence train`` on the same number of images, all seeds at a time."""
    workers = options.workers or options.seeds
    with tempfile.TemporaryDirectory() as place:
        photos, out = Path(place, "photos"), Path(place, "runs")
        write_images(photos / "train", random_images(options.images + VALIDATION, seed=0))
        write_images(photos / "test", random_images(options.tests, seed=1))
        command = [
            *(sys.executable, "-m", "whence", "train", str(photos), "--out", str(out), "--json"),
            *("--encoder", options.encoder, "--epochs", str(options.epochs)),
            *("--train-examples", str(options.images), "--validation-examples", str(VALIDATION)),
            *("--batch-size", str(BATCH), "--memory-size", str(MEMORY), "--augmentation", "flip"),
            *("--seeds", str(options.seeds), "--workers", str(workers)),
            *("--device", options.device, "--precision", options.precision, "--no-keep-model"),
        ]
        started = time.perf_counter()
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds = time.perf_counter() - started
    mean = statistics.fmean(run["train_seconds"] for run in json.loads(text).values())
    rounds = math.ceil(options.seeds / workers)
    speed = options.seeds * count_steps(options) / (rounds * mean)
    return {"seconds": seconds, "steps per second": speed, "workers": workers}


def write_images(folder: Path, images: ImageSet) -> None:
    """Write images as PNG files, the classes in turn; labels do not change the time."""
    digits = math.ceil(math.log10(len(images) + 1))
    for number, pixels in enumerate(images.images):
        name = images.class_names[number % len(images.class_names)]
        path = folder / name / f"{number:0{digits}}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(path)


if __name__ == "__main__":
    main()
