"""Run every benchmark that this machine can: ``python -m benchmarks``."""

import runpy
import sys

SPEED = (
    "benchmarks.startup",
    "benchmarks.attention",
    "benchmarks.prediction",
    "benchmarks.evaluation",
    "benchmarks.training_step",
    "benchmarks.heatmaps",
)

if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    for name in SPEED:
        runpy.run_module(name, run_name="__main__")
