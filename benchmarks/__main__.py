"""Run every benchmark of speed that this machine can.

    python -m benchmarks [--data FOLDER]

FOLDER holds CIFAR-10 as images; without it the ones that need real images are left out, and
attribution is measured on small digits.
"""

import argparse
import runpy
import sys
from pathlib import Path

SPEED = (
    "startup",
    "attention",
    "prediction",
    "large_memory",
    "training_step",
    "evaluation",
    "seeds_on_one_gpu",
)
WITH_IMAGES = {"attribution": False, "resident_memory": True}
"""Benchmarks that take ``--data``, and whether they need it."""


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    data = parser.parse_args().data
    chosen = [] if data is None else ["--data", str(data)]
    for name in SPEED:
        run(name, [])
    for name, needed in WITH_IMAGES.items():
        if data is None and needed:
            print(f"{name}: left out, it needs --data.", flush=True)
        else:
            run(name, chosen)


def run(name: str, arguments: list[str]) -> None:
    """Run one benchmark as if it had been called by itself."""
    sys.argv = [name, *arguments]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
