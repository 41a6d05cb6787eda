"""Train and test a fold after another, and print one table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.bounds import BATCH_SIZE
from whence.cli.align import align
from whence.cli.plain_text import escape, print_note
from whence.data import DATASETS
from whence.evidence.predict import predict
from whence.models.load import load_to_answer
from whence.runs.folds import describe_folds, divide_folds, summarise_folds, take_fold
from whence.runs.images import load_pool
from whence.runs.kept_features import FEATURES, encode_once, remove_features
from whence.runs.near_across import describe_near_folds
from whence.runs.rows_of_answers import lay_out_rows, write_rows
from whence.runs.run import run
from whence.runs.settings import Settings
from whence.runs.where import Where
from whence.storage.whole_files import write_json

FOLDS_FILE, OUT_OF_FOLD = "folds.json", "out_of_fold.csv"


def train_folds(
    settings: Settings, folds: int, folder: Path, options: Namespace, device: str, *, where: Where
) -> None:
    """Train on all folds but one, test on that one, for each of them.

    Leaves a run for each, the answers to all images as ``out_of_fold.csv``, and what was measured
    as ``folds.json``.
    """
    pool = load_pool(settings, where)
    notes = [*pool.notes, *describe_folds(pool, folds)]
    if settings.data not in DATASETS:
        notes += describe_near_folds(pool.train, divide_folds(pool, folds))
    for note in notes:
        print_note(note)
    metrics, rows = dict[str, dict[str, Any]](), list[dict[str, Any]]()
    for number in range(1, folds + 1):
        fold = f"{number}/{folds}"
        dataset, pooled = take_fold(pool, fold)
        place = folder / f"fold-{number}"
        metrics[str(place)] = run(
            replace(settings, fold=fold),
            place,
            dataset,
            resume=options.resume,
            device=device,
            checkpoint_seconds=options.checkpoint_seconds,
            features_folder=folder / FEATURES,
            pooled=pooled,
        )
        model, features = load_to_answer(place, device), None
        if settings.freeze_encoder:
            encoded = encode_once(model, pool.train, folder / FEATURES, batch_size=BATCH_SIZE)
            features = model.head.embed(encoded[pooled.tested.to(encoded.device)])
        test_images = dataset.test
        answers = predict(model, test_images.images, batch_size=BATCH_SIZE, features=features)
        sources = test_images.sources or [f"image {one}" for one in pooled.tested.tolist()]
        laid = lay_out_rows(answers, sources, model.class_names, labels=test_images.labels.tolist())
        rows += [{"fold": number, **row} for row in laid]
        test = metrics[str(place)]["test"]
        print_note(f"fold {fold}: {test['accuracy']:.2%} of {test['images']:,} images right.")
    summary = summarise_folds(list(metrics.values()))
    write_rows(folder / OUT_OF_FOLD, rows)
    write_json(folder / FOLDS_FILE, {**summary, "runs": list(metrics)})
    remove_features(folder / FEATURES)
    if options.json:
        print(json.dumps({**summary, "runs": metrics}))
        return
    print("\n".join(lay_out_folds(summary)))
    print(f"Every answer is in {escape(str(folder / OUT_OF_FOLD))}.")


def lay_out_folds(summary: dict[str, Any]) -> list[str]:
    """Lay the measures of all folds out in one table, a column for each fold."""
    folds = summary["folds"]
    rows = [["", "mean", "deviation", *(f"fold {number}" for number in range(1, folds + 1))]]
    for name, found in summary["measures"].items():
        shown = [found["mean"], found["std"], *found["values"]]
        if "AUROC" in name:
            texts = ["-" if one is None else f"{one:.3f}" for one in shown]
        else:
            texts = ["-" if one is None else f"{one:.2%}" for one in shown]
        rows.append([name.replace("_", " "), *texts])
    share = summary["right"] / summary["images"]
    return [
        f"{summary['right']:,} of {summary['images']:,} images right ({share:.2%}), each answered "
        "by a run that had not seen it.",
        "",
        *align(rows),
        "",
    ]
