"""A run with a frozen encoder that two processes do together."""

from dataclasses import replace

import whence
from tests.helpers.run_folders import SETTINGS
from whence.runs.encode_parts import encode_parts
from whence.runs.kept_features import FEATURES, encode_once
from whence.runs.prepare import prepare
from whence.runs.run import Begun, train
from whence.storage.tensors import write_tensors
from whence.training.distributed import join


def work(folder, weights):
    with join("cpu") as team:
        train_frozen(folder, weights, team)


def train_frozen(folder, weights, team):
    settings = replace(
        SETTINGS,
        variant="memory-wrap",
        encoder="small_cnn",
        weights=weights,
        freeze_encoder=True,
    )
    dataset = whence.load_dataset("digits")
    parts = prepare(settings, dataset)
    kept = folder / FEATURES
    for start in ("first", "again"):  # the second time from the file
        features = encode_parts(parts, dataset, kept, team, None, batch_size=128)
        write_tensors(folder / f"{start}-{team.rank}.safetensors", features)
    place = folder / f"run-{team.rank}"
    place.mkdir()
    begun = Begun(parts, None, features, None, None)
    train(begun, place, team, checkpoint_seconds=1e9, line_seconds=1e9, keep_every=None)
    write_tensors(folder / f"trained-{team.rank}.safetensors", parts.model.state_dict())
    known = encode_once(parts.model.eval(), parts.test, kept, team=team)
    write_tensors(folder / f"after-{team.rank}.safetensors", {"test": known})
