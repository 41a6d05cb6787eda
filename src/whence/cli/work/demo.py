"""Train three models on few digits, compare them, and show evidence."""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from whence.cli.files import encode_page
from whence.evidence.predict import predict
from whence.gather.explained import describe_origin, explain_images
from whence.memory import OF_RUNS, VARIANT
from whence.memory.heads import find_head
from whence.models.about import read_about
from whence.models.classifier import Classifier
from whence.models.load import load
from whence.records.answers import Prediction
from whence.records.images import Dataset
from whence.records.spread import find_spread
from whence.report.explain_page import render_answers
from whence.report.numbers import percent
from whence.report.terminal import draw_pictures
from whence.runs.images import load_to_train
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.storage.whole_files import write_whole

SETTINGS = Settings(
    data="digits", train_examples=100, validation_examples=300, memory_size=50, epochs=250
)
TITLES = {find_head(variant).title: variant for variant in ("standard", VARIANT, OF_RUNS)}
"""What the models are called; the one without a memory first."""
SHOWN, COLUMNS = 4, 5


def show(out: Path, seeds: int, device: str) -> None:
    """Train three models with each seed, print their accuracies, and show evidence.

    Args:
        out: folder of the runs and the page.
        seeds: runs of each model, at least 1.
        device: where to train.
    """
    started = time.monotonic()
    dataset = load_to_train(SETTINGS)
    print(
        f"{SETTINGS.train_examples} labelled digits to learn from, {len(dataset.test)} unseen ones "
        f"to answer for, {seeds} runs of each model:\n"
    )
    results = train_all(dataset, out, seeds, device)
    print(table(results))
    print(f"\n{say_why(results)}")
    best = out / OF_RUNS / "seed-0"
    model = load(best, device=device)
    answers = predict(model, dataset.test.images)
    places = choose(answers, dataset.test.labels.tolist())
    show_evidence(model, dataset, answers, places)
    page = out / "evidence.html"
    write_page(page, best, model, dataset, places)
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. The same answers with relevance, and how "
        f"far to trust them, are on one page; open it in a browser:\n  {page}\n"
        f"The run is in {best}; go on with:\n  whence report {best} --out {out / 'report.html'}\n"
        f"  whence train YOUR_FOLDER --out runs/yours"
    )


def train_all(
    dataset: Dataset, out: Path, seeds: int, device: str
) -> dict[str, list[dict[str, Any]]]:
    """Train every variant with every seed; finished runs of an earlier demo are kept."""
    results: dict[str, list[dict[str, Any]]] = {}
    with tqdm(total=len(TITLES) * seeds, unit="run", disable=None, leave=False) as bar:
        for name, variant in TITLES.items():
            bar.set_description(name)
            for seed in range(seeds):
                settings = replace(SETTINGS, variant=variant, seed=seed)
                folder = out / variant / f"seed-{seed}"
                found = run(settings, folder, dataset, resume=True, device=device)
                results.setdefault(name, []).append(found)
                bar.update()
    return results


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Lay mean and deviation of the accuracies out as a table."""
    lines = [f"{'model':14}{'accuracy':>16}{'decided by evidence':>22}{'training':>12}"]
    for name, found in results.items():
        whole = [metrics["test"]["accuracy"] for metrics in found]
        share = "-" if name == find_head("standard").title else percent(find_decided(found))
        seconds = statistics.fmean(metrics["train_seconds"] for metrics in found)
        lines.append(f"{name:14}{write_accuracies(whole):>16}{share:>22}{seconds:>10.1f} s")
    return "\n".join(lines)


def find_decided(found: list[dict[str, Any]]) -> float:
    """Find the share of right answers that change without the stored images of their class."""
    return statistics.fmean(metrics["test"]["reliance"]["changed_share"] for metrics in found)


def say_why(results: dict[str, list[dict[str, Any]]]) -> str:
    """Say in two sentences why votes are what ``whence train`` trains."""
    wrap, votes = (find_head(variant).title for variant in (VARIANT, OF_RUNS))
    decided = {name: percent(find_decided(results[name])) for name in (wrap, votes)}
    return (
        f"Decided by evidence: right answers that change once the stored images of their class are "
        f"gone, {decided[votes]} of {votes} and {decided[wrap]} of {wrap}.\nSo {votes} are what "
        f"whence train trains: their answer is the labels of the images that they show, and they "
        f"are as accurate as other heads (docs/results.md)."
    )


def write_accuracies(values: list[float]) -> str:
    """Format mean and population deviation in percent."""
    found = find_spread(values)
    return "-" if found is None else f"{found.mean:.1%} ± {found.std:.1%}"


def show_evidence(
    model: Classifier, dataset: Dataset, answers: tuple[Prediction, ...], places: list[int]
) -> None:
    """Print unseen digits, sure and doubtful ones, with the training digits each answer used."""
    labels = dataset.test.labels.tolist()
    for place in places:
        answer = answers[place]
        share = float(answer.probabilities[answer.predicted])
        name = model.class_names[answer.predicted]
        verdict = "right" if answer.predicted == labels[place] else f"wrong, it is {labels[place]}"
        shown = answer.evidence[:COLUMNS]
        rest = len(answer.evidence) - len(shown)
        print(
            f'\nUnseen digit {place}: answer "{name}" ({percent(share)}, {verdict}), computed from '
            f"these training images{f' and {rest} more' if rest else ''}:\n"
        )
        pictures = torch.stack(
            [dataset.test.images[place], *(find_pixels(dataset, item.index) for item in shown)]
        )
        captions = [["unseen", ""]]
        for item in shown:
            doubt = "" if item.role == "example" else f"taken for {item.predicted}"
            captions.append([f"{percent(item.weight)} a {item.label}", doubt])
        print(draw_pictures(pictures, captions))
    print('\n"taken for 3" marks a counterfactual: the model itself puts that image in class 3.')
    sys.stdout.flush()


def write_page(
    path: Path, folder: Path, model: Classifier, dataset: Dataset, places: list[int]
) -> None:
    """Write the page that ``whence explain`` would write for these unseen digits."""
    answers = explain_images(
        model,
        dataset.test.images[places],
        [f"unseen digit {place}" for place in places],
        dataset.test.labels[places].tolist(),
    )
    origin = describe_origin(folder, read_about(folder), model)
    write_whole(path, encode_page(render_answers(answers, origin, model.class_names)))


def choose(answers: tuple[Prediction, ...], labels: list[int]) -> list[int]:
    """Pick answers worth a look: the first right ones, and wrong ones where there are any."""
    wrong = [i for i, answer in enumerate(answers) if answer.predicted != labels[i]]
    right = [i for i, answer in enumerate(answers) if answer.predicted == labels[i]]
    return [*right[: SHOWN - min(2, len(wrong))], *wrong[:2]]


def find_pixels(dataset: Dataset, index: int) -> Tensor:
    """Return the training image `(C, H, W)` that an evidence's index names."""
    return dataset.train.images[index]
