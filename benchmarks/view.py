"""The viewer: how long an answer and an edit take, and whether its memory grows.

Claim: an answer to an image that is encoded already comes within 50 ms, with 50,000 stored images
too, and 2,000 requests leave the memory of the process as it was.

    python -m benchmarks.view

A process serves a model with random keys, as ``whence view`` does, and another one asks it over
the loopback, one request after the other. An edit is a change and the answer after it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import uvicorn

import whence
from benchmarks.kept_cells import print_row
from whence.models.classifier import Classifier
from whence.records.images import ImageSet
from whence.runs.where import AS_SETTINGS_SAY
from whence.viewer.app import build_app
from whence.viewer.serve import open_socket
from whence.viewer.viewed_run import ViewedRun
from whence.viewer.viewer import Viewer

SIZES = (1000, 50_000)
ANSWERS, EDITS, REQUESTS = 100, 30, 2000
SIDE = 8
PAGE = {"X-Whence": "0" * 32, "Content-Type": "application/json"}


def main() -> None:
    """Serve, or serve in another process and ask it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", type=int, help="stored images of the viewer that is served")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    print_row(
        "stored images", "answer, ms", "slowest of 20", "edit, ms", "requests/s", "growth, MiB"
    )
    print_row(*["---"] * 6)
    for size in SIZES:
        measure(size)


def make_run(size: int) -> ViewedRun:
    """Make a run of votes with so many stored images of random keys, and a few test images."""
    generator = torch.Generator().manual_seed(0)
    names = tuple("abcdefghij")
    model = whence.wrap(
        "small_cnn", names, variant="votes", image_shape=(3, SIDE, SIDE), drop_classifier=False
    ).eval()
    images, labels = (
        torch.randint(0, 256, (size, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8),
        torch.randint(0, 10, (size,), generator=generator),
    )
    features = torch.randn(size, model.features, generator=generator)
    model.remember(images, labels, features=features)
    asked = torch.randint(0, 256, (50, *images.shape[1:]), generator=generator, dtype=torch.uint8)
    tests = ImageSet(asked, labels[:50], names)
    return ViewedRun(Path(), {}, keep(model), tests, AS_SETTINGS_SAY, (), (0, 0))


def keep(model: Classifier) -> Classifier:
    """Give the stored images files, as those of a folder have."""
    bank = model.fitting_bank()
    sources = tuple(f"{int(label)}/{place}.png" for place, label in enumerate(bank.labels))
    model.attach(replace(bank, sources=sources))
    return model


def serve(size: int) -> None:
    """Serve until the process is stopped; prints the port first."""
    torch.set_num_threads(1)
    with open_socket("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        app = build_app(Viewer(make_run(size)), hosts=[f"127.0.0.1:{port}"])
        print(port, flush=True)
        config = uvicorn.Config(app, log_level="error", lifespan="off")
        uvicorn.Server(config).run(sockets=[opened])


def measure(size: int) -> None:
    """Ask a viewer with so many stored images, and print a row."""
    command = [sys.executable, "-m", "benchmarks.view", "--serve", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            address = f"http://127.0.0.1:{int(served.stdout.readline())}"
            call(address, "describe")  # as a page does first
            index = call(address, "ask", place=0)["before"]["evidence"][0]["index"]
            answers = [time_call(address, "ask", place=0) for _ in range(ANSWERS)]
            edits = []
            for _ in range(EDITS):
                started = time.perf_counter()
                call(address, "change", kind="untick", index=index)
                call(address, "ask", place=0)
                edits.append(time.perf_counter() - started)
                call(address, "undo")
            before, started = resident(served.pid), time.perf_counter()
            for number in range(REQUESTS):
                call(address, "ask", place=number % 50)
            seconds = time.perf_counter() - started
            growth = resident(served.pid) - before
        finally:
            served.terminate()
    slow = sorted(answers)[-len(answers) // 20]
    print_row(
        f"{size:,}",
        f"{1e3 * statistics.median(answers):.1f}",
        f"{1e3 * slow:.1f}",
        f"{1e3 * statistics.median(edits):.1f}",
        f"{REQUESTS / seconds:.0f}",
        f"{growth:+.1f}",
    )


def call(address: str, action: str, **given: object) -> dict[str, Any]:
    """Call the viewer as its page does."""
    body = json.dumps({"part": "test", **given}).encode()
    request = urllib.request.Request(f"{address}/api/{action}", body, PAGE)
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def time_call(address: str, action: str, **given: object) -> float:
    """Return the seconds that a call took."""
    started = time.perf_counter()
    call(address, action, **given)
    return time.perf_counter() - started


def resident(process: int) -> float:
    """Return the memory of a process in MiB (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmRSS"))
    return int(found.split()[1]) / 1024


if __name__ == "__main__":
    main()
