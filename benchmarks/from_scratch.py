"""Networks trained from few images: what the recipe is worth, and whether votes cost accuracy.

Claims: trained on 1,000 images of CIFAR-10, the small CNN has four points more of the test images
right by recipe ``default`` than by ``paper``; and votes have as many right as other heads.

    python -m benchmarks.from_scratch DATA --images 500 1000 --seeds 0 1 2
    python -m benchmarks.from_scratch DATA --images 1000 --heads standard --without shifts cosine
    python -m benchmarks.from_scratch DATA --images 1000 --heads standard --with mixup cutmix
    python -m benchmarks.from_scratch DATA --images 1000 --seeds 0 1 2 --recipes tuned

``--without`` trains by recipe ``default`` with parts taken away, each alone, ``--with`` with parts
that it does not have. Recipe ``tuned`` is
``default`` with learning rate, weight decay and augmentation chosen for each set, number of images
and head on the validation images of seed 0, as ``whence train --tune`` chooses them, within 10
minutes of one CPU core (``--tune``); all seeds are trained with what was chosen.

Every finished cell is a line of JSON in ``--cells``, so that tables grow from call to call. At the
end all that are there are summed up: means over the seeds, and, paired by seed with a 95 % interval
(Student's t), what ``default`` has more than ``paper``, what votes have more than the best of the
other heads on the validation images, and what they have more than the linear layer for which
the very same encoder was trained.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.kept_cells import print_row, read_cells, state_difference, thin
from benchmarks.untaken_parts import fit_alternating
from whence.bounds import BATCH_SIZE
from whence.evidence.evaluate import evaluate
from whence.memory.votes import Votes
from whence.models.using import encode_frozen
from whence.records.images import Dataset
from whence.records.spread import find_spread
from whence.runs.folder import TUNING
from whence.runs.images import load_data
from whence.runs.prepare import Parts, prepare
from whence.runs.settings import Settings
from whence.runs.tune import CHOSEN, TUNED, begin_tuning, end_tuning, tune
from whence.runs.where import may_download_to
from whence.training.fit import fit
from whence.training.labelled import Labelled
from whence.training.voting import compare_as_learned

HEADS: Mapping[str, dict[str, Any]] = {
    "standard": {"variant": "standard"},
    "mlp": {"variant": "standard", "classifier": "mlp"},
    "memory-wrap": {"variant": "memory-wrap"},
    "votes": {"variant": "votes"},
}
"""What is set for each head."""

RIVALS = ("standard", "mlp", "memory-wrap")
RECIPES = ("default", "paper", "tuned")
PARTS: Mapping[str, dict[str, Any]] = {
    "weight decay": {"weight_decay": 5e-4},
    "small batches": {"batch_size": 128, "epochs": 65},
    "shifts": {"augmentation": "flip"},
    "mirror images": {"mirror": "no"},
    "label smoothing": {"label_smoothing": 0.0},
    "cosine": {"schedule": "steps"},
}
"""What is set in place of each part of recipe ``default``: the paper's, or nothing. Large batches
see 1,000 images as often as small ones do."""

OPTIONS: Mapping[str, dict[str, Any]] = {
    "mixup": {"mixing": "mixup"},
    "cutmix": {"mixing": "cutmix"},
    "sharpness-aware steps": {"sharpness_radius": 0.05},
    "averaged weights": {"weight_averaging": 0.99},
}
"""What is set beside the parts of recipe ``default``."""

UNTAKEN: Mapping[str, Callable[..., None]] = {
    "alternating flip": fit_alternating,
}
"""What trains with a part that no recipe has, in place of ``fit``."""

CHANGES: Mapping[str, dict[str, Any]] = {
    **{f"without {part}": values for part, values in PARTS.items()},
    **{f"with {part}": values for part, values in OPTIONS.items()},
    **{f"with {part}": {} for part in UNTAKEN},
}
"""What is set for each change of recipe ``default``."""


CELLS = Path(__file__).parents[1] / "docs" / "cells" / "from_scratch.jsonl"
"""The cells that are published."""


def main() -> None:
    """Fill in the cells that are missing, then print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--data-root", default="datasets")
    parser.add_argument("--name", help="of the images, in the table")
    parser.add_argument("--encoder", default="small_cnn")
    parser.add_argument("--images", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["default", "paper"])
    parser.add_argument("--tune", type=float, default=600, metavar="SECONDS", help="CPU time")
    parser.add_argument(
        "--without", nargs="+", choices=PARTS, default=[], help="parts to take away, each alone"
    )
    parser.add_argument(
        "--with",
        nargs="+",
        choices=(*OPTIONS, *UNTAKEN),
        default=[],
        dest="added",
        help="parts to add, each alone",
    )
    parser.add_argument("--pool", type=int, default=10000, help="training images drawn from")
    parser.add_argument("--test", type=int, default=3000, help="test images, at most")
    parser.add_argument("--cells", type=Path, default=CELLS)
    options = parser.parse_args()
    changes = [f"without {part}" for part in options.without]
    changes += [f"with {part}" for part in options.added]
    settings = Settings(data=options.data, data_root=options.data_root, encoder=options.encoder)
    dataset = thin(load_data(settings, may_download_to(options.data_root)), options)
    for seed in options.seeds:
        for images in options.images:
            for head in options.heads:
                for recipe in options.recipes:
                    chosen = replace(
                        settings,
                        seed=seed,
                        train_examples=images,
                        validation_examples=max(100, images // 5),
                        recipe="default" if recipe == "tuned" else recipe,
                        **HEADS[head],
                    )
                    fill(head, chosen, dataset, options, recipe)
                    for change in changes if recipe == "default" else ():
                        changed = replace(chosen, **CHANGES[change])
                        fill(head, changed, dataset, options, f"default {change}")
    print_tables(read_cells(options.cells))


def fill(
    head: str, settings: Settings, dataset: Dataset, options: argparse.Namespace, recipe: str
) -> None:
    """Measure one cell unless it is there, under the name that the table gives its recipe."""
    group = {
        "images": options.name or Path(settings.data).name,
        "train_examples": settings.train_examples,
        "encoder": settings.encoder,
        "head": head,
        "recipe": recipe,
    }
    here = {**group, "seed": settings.seed}
    known = read_cells(options.cells)
    if any(here.items() <= one.items() for one in known):
        return
    chosen: dict[str, Any] = {}
    if recipe == "tuned":
        tuned = [one["chosen"] for one in known if group.items() <= one.items()]
        chosen = tuned[0] if tuned else choose(settings, dataset, options.tune)
    numbers = {name: value for name, value in chosen.items() if name != "trainings"}
    train = UNTAKEN.get(recipe.removeprefix("default with "), fit)
    found = measure(replace(settings, **numbers), dataset, train)
    content = {**here, "chosen": chosen, **found}
    with options.cells.open("a") as file:
        file.write(json.dumps(content) + "\n")
    print(f"{here}: {content['accuracy']:.2%}, {content['seconds']:.0f} s", flush=True)


def choose(settings: Settings, dataset: Dataset, seconds: float) -> dict[str, Any]:
    """Tune on the validation images of seed 0; returns what was chosen, and of how many trainings.

    The time is that of the process, so that a busy machine tries as many as an idle one.
    """
    first = replace(settings, seed=0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        begin_tuning(folder, first, resume=False)
        tune(first, dataset, folder, seconds, say=print, clock=time.process_time)
        tuned, sentence = end_tuning(first, folder, seconds)
        print(sentence, flush=True)
        trainings = json.loads((folder / TUNING / TUNED).read_text())["trainings"]
    return {name: getattr(tuned, name) for name in CHOSEN} | {"trainings": trainings}


def measure(
    settings: Settings, dataset: Dataset, train: Callable[..., Any] = fit
) -> dict[str, Any]:
    """Train a model, let it remember its training images, and measure it."""
    parts = prepare(settings, dataset)
    model, started = parts.model, time.process_time()
    train(model, parts.train, recipe=parts.recipe, plan=parts.plan, validation=parts.validation)
    seconds = time.process_time() - started
    if model.has_memory:
        model.remember(parts.train)
    with torch.no_grad():
        hits = [
            model(images).argmax(1) == labels
            for images, labels in zip(
                parts.validation.images.split(BATCH_SIZE),
                parts.validation.labels.split(BATCH_SIZE),
                strict=True,
            )
        ]
    found = evaluate(model, parts.test, memory_size=1, draws=1)
    beside = None if model.has_memory else vote_beside(parts)
    return {
        "votes_beside": beside,
        "validation": float(torch.cat(hits).double().mean()),
        "accuracy": found.whole_memory,
        "balanced": found.balanced_accuracy,
        "changed": None if found.reliance is None else found.reliance.changed_share,
        "voters": None if found.evidence is None else found.evidence.support_size_median,
        "purity": None if found.evidence is None else found.evidence.purity,
        "epochs": parts.plan.epochs,
        "augmentation": parts.recipe.augmentation,
        "seconds": seconds,
        "fingerprint": parts.identity["train_fingerprint"],
        "torch": torch.__version__,
    }


@torch.no_grad()
def vote_beside(parts: Parts) -> float:
    """Measure the accuracy of votes on the very encoder that was trained for a linear layer.

    So they come about in a training of their own too, where the layer starts from other numbers.
    """
    features, labels = (encode_frozen(parts.model, parts.train.images), parts.train.labels)
    votes = Votes(features.shape[1], len(parts.train.class_names)).eval()
    asked = Labelled(encode_frozen(parts.model, parts.validation.images), parts.validation.labels)
    compare_as_learned(votes, Labelled(features, labels), asked, parts.plan)
    queries = votes.embed(encode_frozen(parts.model, parts.test.images))
    answers = votes.logits(queries, votes.embed(features), labels=labels).argmax(1)
    return float((answers == parts.test.labels).double().mean())


def print_tables(cells: Sequence[dict[str, Any]]) -> None:
    """Print means over the seeds, and the differences that the claims are about."""
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for one in cells:
        groups.setdefault((one["images"], one["train_examples"], one["encoder"]), []).append(one)
    more = "default more than paper"
    print_row("images", "number", "encoder", "head", "seeds", *RECIPES, more, "95 %")
    print_row(*["---"] * 10)
    for (name, count, encoder), mine in sorted(groups.items()):
        for head in HEADS:
            found = [pick(mine, head, recipe) for recipe in RECIPES]
            ours, theirs = found[:2]
            if any(found):
                points = [100 * (ours[s] - theirs[s]) for s in ours if s in theirs]
                seeds = str(len(set().union(*found)))
                means = (show(list(one.values())) for one in found)
                compared = state_difference(points)[1:]
                print_row(name, str(count), encoder, head, seeds, *means, *compared)
    for recipe in ("default", "tuned"):
        print()
        rival = f"{recipe}: votes less the rival chosen, points"
        print_row("images", "number", "encoder", "seeds", rival, "95 %")
        print_row(*["---"] * 6)
        for (name, count, encoder), mine in sorted(groups.items()):
            paired = compare(mine, recipe)
            if paired:
                print_row(name, str(count), encoder, *state_difference(paired))
    print_parts(groups)
    print()
    print_row("images", "number", "encoder", "seeds", "votes less the layer beside them", "95 %")
    print_row(*["---"] * 6)
    for (name, count, encoder), mine in sorted(groups.items()):
        beside = [
            100 * (one["votes_beside"] - one["accuracy"])
            for one in mine
            if one["recipe"] == "default" and one.get("votes_beside") is not None
        ]
        print_row(name, str(count), encoder, *state_difference(beside))


def print_parts(groups: Mapping[tuple[str, int, str], list[dict[str, Any]]]) -> None:
    """Print what each part more or less changes for recipe ``default``, where it was measured."""
    print()
    heads = ("images", "number", "encoder", "head", "change", "seeds", "accuracy", "points more")
    print_row(*heads, "95 %")
    print_row(*["---"] * 9)
    for (name, count, encoder), mine in sorted(groups.items()):
        for head in HEADS:
            whole = pick(mine, head, "default")
            for change in CHANGES:
                found = pick(mine, head, f"default {change}")
                more = [100 * (found[s] - whole[s]) for s in found if s in whole]
                if more:
                    compared = state_difference(more)
                    print_row(
                        name,
                        str(count),
                        encoder,
                        head,
                        change,
                        compared[0],
                        show(list(found.values())),
                        *compared[1:],
                    )


def pick(cells: Sequence[dict[str, Any]], head: str, recipe: str) -> dict[int, float]:
    """Return the accuracies of a head and a recipe by seed."""
    return {
        one["seed"]: one["accuracy"]
        for one in cells
        if (one["head"], one["recipe"]) == (head, recipe)
    }


def show(accuracies: list[float]) -> str:
    """Write a mean and its deviation in percent."""
    found = find_spread(accuracies)
    return "" if found is None else f"{100 * found.mean:.2f} ± {100 * found.std:.2f}"


def compare(cells: Sequence[dict[str, Any]], recipe: str) -> list[float]:
    """Compare votes with the best rival that there is on validation images, in points.

    By one recipe, paired by seed.
    """
    ours = [one for one in cells if one["recipe"] == recipe]
    more = []
    for vote in (one for one in ours if one["head"] == "votes"):
        rivals = [one for one in ours if one["head"] in RIVALS and one["seed"] == vote["seed"]]
        if rivals:
            best = max(rivals, key=lambda one: (one["validation"], one["head"]))
            more.append(100 * (vote["accuracy"] - best["accuracy"]))
    return more


if __name__ == "__main__":
    main()
