"""Draw ROC and precision-recall curves of one class, of one or several runs, as one picture.

whence report runs/cells --json --hard 0 --out cells.json
python -m tools.draw_curves cells=cells.json types=by-type.json --class defective --out x.png
"""

import argparse
import json
from pathlib import Path
from typing import Any, TypeAlias

Curves: TypeAlias = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""By the name of a run, the curves of a class, and its AUROC and average precision."""

COLOURS = ("#0072b2", "#c04a00", "#007a5a", "#8f4f7f")


def read_runs(
    pairs: list[str], class_name: str
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Read the curves, and the AUROC and average precision, of a class in reports as JSON."""
    found = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        report = json.loads(Path(path).read_text())
        ranking = {one["class"]: one for one in report["ranking"]}
        found[name] = report["class_curves"][class_name], ranking[class_name]
    return found


def draw(
    runs: dict[str, tuple[dict[str, Any], dict[str, Any]]], class_name: str, out: Path
) -> None:
    """Draw both kinds of curves side by side, with what a coin would give."""
    from matplotlib.figure import Figure  # late: reading needs it not

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (name, (curve, ranking)) in zip(COLOURS, runs.items(), strict=False):
        auroc, precision = ranking["auroc"], ranking["average_precision"]
        left.plot(curve["false_alarms"], curve["hits"], color=colour, label=f"{name}: {auroc:.3f}")
        recalls, precisions = [0, *curve["recalls"]], [curve["precisions"][0], *curve["precisions"]]
        right.step(recalls, precisions, where="pre", color=colour, label=f"{name}: {precision:.3f}")
    left.plot([0, 1], [0, 1], color="#888888", linestyle=":", label="a coin: 0.5")
    left.set(title=f"{class_name}: ROC curve (AUROC)", xlabel="other images taken for it")
    left.set_ylabel("images of it found")
    right.set(title="Precision and recall (average precision)", xlabel="images of it found")
    right.set(ylabel="answers that are right", ylim=(0, 1.02))
    for axes in (left, right):
        axes.legend(loc="lower right" if axes is left else "lower left", frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=110)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=REPORT.json")
    parser.add_argument("--class", dest="class_name", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    draw(read_runs(options.runs, options.class_name), options.class_name, options.out)
