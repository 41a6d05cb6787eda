"""Single trainings of a tuning: what they cost, how they are measured, when they are given up."""

import copy
import itertools
import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from optuna import TrialPruned
from safetensors.torch import save_file
from torch.nn import functional as F

from tests.helpers.run_folders import assert_same_result
from whence.cli import main
from whence.cli.work import tune as work
from whence.encoders import ENCODERS
from whence.models.classifier import Classifier
from whence.records.images import Marks
from whence.runs import trials
from whence.runs.beside import fit_beside
from whence.runs.folder import TUNING
from whence.runs.kept_features import FEATURES
from whence.runs.prepare import prepare
from whence.runs.settings import Settings
from whence.runs.trials import (
    TIE,
    Tried,
    encode_both,
    measure_answers,
    measure_midway,
    try_training,
)
from whence.runs.tune import finished, open_study, tune

SETTINGS = Settings(
    data="digits",
    recipe="default",
    train_examples=40,
    validation_examples=30,
    batch_size=20,
    memory_size=12,
    epochs=5,
    seed=3,
)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Settings of a run whose encoder is frozen."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), path)
    return replace(
        SETTINGS,
        recipe=None,
        batch_size=None,
        encoder="small_cnn",
        weights=str(path),
        freeze_encoder=True,
    )


@pytest.fixture(params=["frozen", "learning"])
def either(request, frozen):
    """Settings of a run whose encoder is frozen, and of one whose encoder learns."""
    return frozen if request.param == "frozen" else SETTINGS


def ticking():
    """A clock that moves on by a second whenever it is looked at."""
    count = itertools.count()
    return lambda: float(next(count))


class Suggested:
    """Stands for a trial of Optuna: suggests what it was made with, and notes what it is told."""

    def __init__(self, prune_at=None, **values):
        self.values, self.prune_at, self.reported, self.told = values, prune_at, {}, {}

    def suggest_float(self, name, low, high, *, log):
        assert log
        assert low <= self.values[name] <= high
        return self.values[name]

    def report(self, value, step):
        self.reported[step] = value

    def should_prune(self):
        return max(self.reported) == self.prune_at

    def set_user_attr(self, name, value):
        self.told[name] = value


def what_is_tried(settings, dataset):
    parts = prepare(settings, dataset)
    features = {}
    if settings.freeze_encoder:
        model = parts.model.eval()
        with torch.no_grad():
            features = {
                name: model.encode_features(getattr(parts, name).images)
                for name in ("train", "validation")
            }
    return Tried(parts, features, fit_beside(parts, features))


@pytest.fixture
def encoded(monkeypatch):
    """How many images were encoded, in a list that grows."""
    counts, encode = [], Classifier.encode_features

    def count(model, images):
        counts.append(len(images))
        return encode(model, images)

    monkeypatch.setattr(Classifier, "encode_features", count)
    return counts


# frozen encoders --------------------------------------------------------------------------------


def test_images_are_encoded_once_and_the_run_is_that_of_the_chosen_values(
    frozen, tmp_path, encoded, monkeypatch
):
    command = [
        *("train", "digits", "--train-examples", "40", "--validation-examples", "30"),
        *("--encoder", "small_cnn", "--weights", frozen.weights, "--freeze-encoder"),
        *("--epochs", "5", "--device", "cpu", "--precision", "float32"),
    ]
    tuned, plain = tmp_path / "tuned", tmp_path / "plain"
    monkeypatch.setattr(work, "tune", partial(tune, clock=ticking()))
    assert main([*command, "--tune", "20s", "--out", str(tuned)]) == 0
    assert sum(encoded) == 40 + 30 + 500  # training, validation and test images
    assert len(finished(open_study(tuned, seed=0))) > 1
    assert not (tuned / TUNING / FEATURES).exists()
    chosen = json.loads((tuned / TUNING / "tuned.json").read_text())
    metrics = json.loads((tuned / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] == pytest.approx(chosen["accuracy"])

    names = ("learning_rate", "weight_decay", "augmentation")
    given = [word for n in names for word in (f"--{n.replace('_', '-')}", str(chosen[n]))]
    assert main([*command, *given, "--out", str(plain)]) == 0
    assert_same_result(tuned, plain)


@pytest.mark.parametrize("variant", ["standard", "memory-wrap", "votes"])
def test_features_change_nothing_but_the_cost(frozen, digits, encoded, variant):
    settings = replace(frozen, variant=variant, recipe="finetune", learning_rate=0.01)
    tried, trial = what_is_tried(settings, digits), Suggested()
    encoded.clear()
    value = try_training(trial, (), tried, lambda: False)
    assert encoded == []
    assert list(trial.reported) == [1, 2, 3, 4, 5]
    again = Suggested()
    assert try_training(again, (), replace(tried, features={}), lambda: False) == value
    assert again.reported == trial.reported
    assert sum(encoded) > 0


def test_a_tuning_goes_on_with_the_features_that_it_kept(frozen, digits, tmp_path, encoded):
    tune(frozen, digits, tmp_path, 1e-9, clock=ticking())
    assert finished(open_study(tmp_path, seed=0)) == []
    assert sum(encoded) == 40 + 30 + len(digits.test)
    tune(frozen, digits, tmp_path, 9, clock=ticking())
    assert len(finished(open_study(tmp_path, seed=0))) > 0
    assert sum(encoded) == 40 + 30 + len(digits.test)


# how good a training is -------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["standard", "memory-wrap", "votes"])
def test_how_good_answers_are_done_slowly(digits, variant):
    tried = what_is_tried(replace(SETTINGS, variant=variant), digits)
    parts = tried.parts
    model, asked = parts.model.train(), parts.validation
    accuracy, value = measure_answers(model.head, *encode_both(model, tried))
    assert model.bank is None
    if model.has_memory:
        model.remember(parts.train)
    logits = torch.cat([model(asked.images[i : i + 1]) for i in range(30)]).detach()
    assert accuracy == pytest.approx(float((logits.argmax(1) == asked.labels).double().mean()))
    assert value == pytest.approx(accuracy - TIE * float(F.cross_entropy(logits, asked.labels)))


def test_votes_are_looked_at_midway_as_they_would_be_read_at_the_end(either, digits):
    tried, trial = what_is_tried(replace(either, variant="votes"), digits), Suggested()
    value = try_training(trial, (), tried, lambda: False)
    assert trial.reported[5] == pytest.approx(value)
    assert len(set(trial.reported.values())) > 1


def test_a_look_changes_nothing(frozen, digits):
    tried = what_is_tried(frozen, digits)
    model = tried.parts.model
    model.head.train()
    before = copy.deepcopy(model.state_dict())
    measure_midway(model, tried)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_images_count_in_a_trial_as_much_as_in_the_run(frozen, digits):
    counts = torch.ones(len(digits.train)).index_fill(0, torch.arange(700), 9.0)
    heavy = replace(digits, marks=Marks(counts=counts))
    values = [
        try_training(Suggested(), (), what_is_tried(frozen, dataset), lambda: False)
        for dataset in (digits, heavy)
    ]
    assert values[0] != values[1]


# when it is given up ----------------------------------------------------------------------------


def test_a_training_that_is_behind_is_given_up(either, digits):
    trial = Suggested(prune_at=2)
    with pytest.raises(TrialPruned):
        try_training(trial, (), what_is_tried(either, digits), lambda: False)
    assert list(trial.reported) == [1, 2]
    assert trial.told == {}


def test_a_training_ends_with_the_epoch_in_which_the_time_is_over(either, digits):
    clock = ticking()
    trial = Suggested()
    with pytest.raises(TrialPruned):
        try_training(trial, (), what_is_tried(either, digits), lambda: clock() >= 2)
    assert list(trial.reported) == [1, 2]


def test_suggested_values_are_trained_with(frozen, digits):
    tried = what_is_tried(frozen, digits)
    own = tried.parts.recipe.learning_rate
    plain, same, other = (Suggested(learning_rate=own * factor) for factor in (1, 1, 2))
    values = [try_training(one, ["learning_rate"], tried, bool) for one in (plain, same, other)]
    assert values[0] == values[1] != values[2]
    assert trials.FACTORS["learning_rate"] == (0.1, 3.0)
