"""Layers of a frozen encoder: does leaving images out in turn choose one that is better on others?

Claim: features of the depths that leave-one-out chooses on the training images make votes more
accurate on test images than the encoder's output does.

    python -m benchmarks.layers DATA --encoder NAME --weights FILE --images 500 --features FOLDER

Votes are trained as ``whence train --freeze-encoder --layers`` does, on the output, on the single
depth and on the combination of most images right, for the same images of each seed.
"""

import statistics
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.frozen_features import (
    build_parser,
    choose_counts,
    keep_columns,
    read_problem,
    train_votes,
)
from benchmarks.kept_cells import print_row, state_difference
from benchmarks.simple_heads import Problem, encode
from whence.encoders import OUTPUT
from whence.encoders.at_layers import list_depths
from whence.records.images import Dataset
from whence.runs.compare_encoders import LEFT_OUT
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.training.choose_layers import leave_out_by_layers

RULES = ("output", "best single", "best of all")


def main() -> None:
    """Measure seed after seed, then print the means and the differences from the output."""
    parser = build_parser(__doc__, Path("unused"))
    parser.add_argument("--images", type=int, required=True)
    options = parser.parse_args()
    settings, dataset = read_problem(options, variant="votes", **choose_counts(options.images))
    found: dict[str, list[tuple[float, float]]] = {rule: [] for rule in RULES}
    for seed in range(options.seeds):
        for rule, layers, left_out, accuracy in measure(
            replace(settings, seed=seed), dataset, Path(options.features)
        ):
            found[rule].append((left_out, accuracy))
            print(f"{seed} {rule} {layers}: {left_out:.2%} left out, {accuracy:.2%}", flush=True)
    print_row("features", "left out", "votes, test", "seeds", "more than output", "95 %")
    print_row(*["---"] * 6)
    plain = [accuracy for _, accuracy in found["output"]]
    for rule, pairs in found.items():
        more = [100 * (one - base) for (_, one), base in zip(pairs, plain, strict=True)]
        means = [f"{100 * statistics.fmean(column):.2f}" for column in zip(*pairs, strict=True)]
        print_row(rule, *means, *(["", "", ""] if rule == "output" else state_difference(more)))


def measure(
    settings: Settings, dataset: Dataset, folder: Path
) -> list[tuple[str, str, float, float]]:
    """Choose layers on the training images of a seed; accuracies of votes on the test images."""
    model = prepare(settings, dataset).model
    widths = list_depths(model.encoder, model.image_shape) | {OUTPUT: model.features}
    every = replace(settings, layers=",".join(widths))
    problem = encode(every, dataset, folder)
    columns = dict(
        zip(widths, torch.arange(sum(widths.values())).split([*widths.values()]), strict=True)
    )
    depths = {name: problem.train[:, places] for name, places in columns.items()}
    labels = problem.parts.train.labels
    scores = dict(leave_out_by_layers(depths, labels, settings.seed, most=LEFT_OUT))
    single = {layers: one for layers, one in scores.items() if len(layers) == 1}
    chosen = ((OUTPUT,), max(single, key=single.__getitem__), max(scores, key=scores.__getitem__))
    rows = []
    for rule, layers in zip(RULES, chosen, strict=True):
        places = torch.cat([columns[name] for name in layers])
        accuracy = score_votes(
            keep_columns(problem, places), replace(settings, layers=",".join(layers))
        )
        rows.append((rule, ",".join(layers), scores[layers], accuracy))
    return rows


def score_votes(problem: Problem, settings: Settings) -> float:
    """Train votes on features, and return their accuracy on the test images."""
    model = train_votes(problem, settings)
    bank, head = model.fitting_bank(), model.memory_head
    with torch.no_grad():
        logits = head.logits(head.embed(problem.test), bank.features, labels=bank.labels)
    return float((logits.argmax(1) == problem.parts.test.labels).double().mean())


if __name__ == "__main__":
    main()
