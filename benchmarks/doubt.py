"""The calibrated probability of error of votes, beside plainer signs of doubt.

Claim: it ranks wrong answers at least as well as the best of softmax, entropy and distance to the
nearest stored image; its Brier score and likelihood are no worse than those of a linear probe's own
probabilities on the probe's answers; and its calibration error is what chance gives.

    python -m benchmarks.doubt DATA --encoder NAME --weights FILE --images 500 --seeds 5 \
        --features FOLDER

Votes on the features of a frozen encoder, by the defaults, calibrated on the validation images and
on the training images by votes that were trained without them, as ``whence train`` does; everything
is measured on test images. Every finished cell is a line of JSON in ``--cells``; the table of all
that are there is printed at the end. ``chance`` is the calibration error of which 95 % of perfectly
calibrated answers of the same probabilities stay below (1,000 draws): those of a calibration that
is known, as if from endless images. ``fitted`` is what 95 % stay below if the calibration must be
fitted on as many images as here, and errors do follow its curve (200 draws).
"""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from benchmarks.frozen_features import build_parser, choose_counts, read_problem, train_votes
from benchmarks.kept_cells import print_row, read_cells
from benchmarks.simple_heads import PENALTIES, Problem, encode, standardise
from whence.evidence.answers import Memory, answer, signals_of
from whence.evidence.calibrate import build_regression, calibrate
from whence.evidence.out_of_fold import Encoded, answer_out_of_fold
from whence.metrics.flag import auroc, expected_calibration_error
from whence.models.calibration import error_probability
from whence.models.calibration import prepare as prepare_signals
from whence.models.evaluating import evaluating
from whence.records.measures import Calibration
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.seeds import make_generator

CELLS = Path(__file__).parents[1] / "docs" / "cells" / "doubt.jsonl"
"""The cells that are published."""

SIGNS = ("error_probability", "softmax", "entropy", "nearest")
DRAWS = 1000
FITS = 200
BANDS = ("chance", "fitted")


def main() -> None:
    """Fill in the cells that are missing, then print the table of all."""
    parser = build_parser(__doc__, CELLS)
    parser.add_argument("--images", type=int, required=True)
    options = parser.parse_args()
    settings, dataset = read_problem(options, variant="votes", **choose_counts(options.images))
    for seed in range(options.seeds):
        here = {"images": options.name, "train_examples": options.images, "seed": seed}
        if any(here.items() <= one.items() for one in read_cells(options.cells)):
            continue
        chosen = replace(settings, seed=seed)
        found = measure(encode(chosen, dataset, options.features), chosen)
        with options.cells.open("a") as file:
            file.write(json.dumps({**here, **found, "torch": torch.__version__}) + "\n")
    print_table(read_cells(options.cells))


def measure(problem: Problem, settings: Settings) -> dict[str, Any]:
    """Train and calibrate votes, and measure their doubt on the test images."""
    model, ours = train_votes(problem, settings), problem.parts
    parts = prepare(settings, problem.dataset)
    more = answer_out_of_fold(
        model,
        Encoded(ours.train, problem.train),
        Encoded(ours.validation, problem.validation),
        recipe=parts.recipe,
        plan=parts.plan,
    )
    with torch.no_grad(), evaluating(model):
        asked, held = model.head.embed(problem.test), model.head.embed(problem.validation)
        calibration = calibrate(model, ours.validation, features=held, more=more)
        if calibration is None:
            raise ValueError("fewer than five validation images are answered wrong, or right.")
        labels, names = ours.test.labels, signals_of(model)
        found = answer(model, asked, labels, Memory.of(model), signals=names, batch_size=len(asked))
        known = answer(
            model,
            held,
            ours.validation.labels,
            Memory.of(model),
            signals=names,
            batch_size=len(held),
        )
    errors = found.predicted != labels
    signs = dict(zip(names, found.doubts.unbind(1), strict=True))
    columns = found.doubts[:, : len(calibration.names)]
    signs["error_probability"] = told = error_probability(calibration, columns)
    fitted_on = known.doubts if more is None else torch.cat([known.doubts, more.doubts])
    probe = measure_probe(problem)
    return {
        "accuracy": 1 - float(errors.double().mean()),
        "auroc": {one: auroc(signs[one], errors) for one in SIGNS},
        "brier": brier(told, errors),
        "nll": nll(told, errors),
        "ece": expected_calibration_error(told, errors),
        "chance": chance_of_error(told, settings.seed),
        "fitted": chance_of_fit(calibration, fitted_on, columns, settings.seed),
        "signals": calibration.names,
        "probe": probe,
    }


def measure_probe(problem: Problem) -> dict[str, float | None]:
    """Measure a linear probe's own probability of error, on the probe's answers."""
    (train, validation, test), parts = standardise(problem), problem.parts
    fits = [
        LogisticRegression(C=one, max_iter=300).fit(train.numpy(), parts.train.labels.numpy())
        for one in PENALTIES
    ]
    truth = parts.validation.labels.numpy()
    best = max(fits, key=lambda one: float(one.score(validation.numpy(), truth)))
    shares = torch.from_numpy(best.predict_proba(test.numpy()))
    answers = torch.from_numpy(best.classes_)[shares.argmax(1)]
    told, errors = 1 - shares.amax(1), answers != parts.test.labels
    return {
        "auroc": auroc(told, errors),
        "brier": brier(told, errors),
        "nll": nll(told, errors),
        "ece": expected_calibration_error(told.clamp(0, 1), errors),
    }


def brier(told: Tensor, errors: Tensor) -> float:
    """Average the squared distance of probabilities `(N,)` from what came; lower is better."""
    return float((told - errors.double()).square().mean())


def nll(told: Tensor, errors: Tensor) -> float:
    """Average minus the log of the probability of what came, in nats; lower is better."""
    return float(F.binary_cross_entropy(told.clamp(1e-6, 1 - 1e-6), errors.to(told.dtype)))


def chance_of_error(told: Tensor, seed: int) -> float:
    """Find the calibration error that 95 % of perfectly calibrated answers stay below."""
    generator = make_generator(seed)
    found = []
    for _ in range(DRAWS):
        drawn = torch.rand(told.shape, generator=generator, dtype=told.dtype) < told
        found.append(expected_calibration_error(told, drawn))
    return float(np.quantile(found, 0.95))


def chance_of_fit(calibration: Calibration, fitted_on: Tensor, asked: Tensor, seed: int) -> float:
    """Find the calibration error that 95 % of calibrations fitted on so many images stay below.

    Args:
        calibration: whose probabilities are taken for the truth, and drawn from.
        fitted_on: `(n, S)` signals of the answers that a calibration is fitted on.
        asked: `(T, s)` signals that the calibration takes, of the answers that are measured.
        seed: of the draws.
    """
    names, generator = calibration.names, make_generator(seed)
    given = fitted_on[:, : len(names)]
    of_given, of_asked = (error_probability(calibration, one) for one in (given, asked))
    means, scales = torch.tensor(calibration.means), torch.tensor(calibration.scales)
    known, new = ((prepare_signals(one, names) - means) / scales for one in (given, asked))
    found = []
    while len(found) < FITS:
        errors = torch.rand(of_given.shape, generator=generator, dtype=of_given.dtype) < of_given
        if len(errors.unique()) < 2:
            continue
        told = build_regression().fit(known.numpy(), errors.numpy()).predict_proba(new.numpy())
        drawn = torch.rand(of_asked.shape, generator=generator, dtype=of_asked.dtype) < of_asked
        found.append(expected_calibration_error(torch.from_numpy(told[:, 1]), drawn))
    return float(np.quantile(found, 0.95))


def print_table(cells: list[dict[str, Any]]) -> None:
    """Print the means of all cells over their seeds."""
    problems: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in cells:
        problems.setdefault((one["images"], one["train_examples"]), []).append(one)
    print_row(
        "images",
        "number",
        "seeds",
        *(f"AUROC {one}" for one in SIGNS),
        "Brier",
        "NLL",
        "ECE",
        "chance",
        "fitted",
        "probe: AUROC",
        "Brier",
        "NLL",
        "ECE",
    )
    print_row(*["---"] * (12 + len(SIGNS)))
    for (name, count), mine in sorted(problems.items()):
        ranks = [mean([one["auroc"][sign] for one in mine]) for sign in SIGNS]
        rest = [mean([one[key] for one in mine]) for key in ("brier", "nll", "ece", *BANDS)]
        probes = [
            mean([one["probe"][key] for one in mine]) for key in ("auroc", "brier", "nll", "ece")
        ]
        print_row(name, str(count), str(len(mine)), *ranks, *rest, *probes)


def mean(numbers: list[float | None]) -> str:
    """Average the numbers that are there."""
    known = [one for one in numbers if one is not None]
    return f"{statistics.fmean(known):.3f}" if known else ""


if __name__ == "__main__":
    main()
