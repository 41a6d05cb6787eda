"""Tuning on validation images: what is tried, what is kept, how it goes on."""

import itertools
import json
import sys
import threading
from dataclasses import replace

import pytest

from whence.cli import main
from whence.cluster.tune_together import tune_here
from whence.cluster.worker import Task
from whence.runs.folder import TUNING
from whence.runs.images import load_data
from whence.runs.parse import from_mapping
from whence.runs.prepare import prepare
from whence.runs.settings import Settings, read_toml
from whence.runs.tune import (
    CHOSEN,
    begin_tuning,
    end_tuning,
    finished,
    import_optuna,
    open_settings,
    open_study,
    tune,
)

SETTINGS = Settings(
    data="digits",
    recipe="default",
    train_examples=40,
    validation_examples=30,
    batch_size=20,
    memory_size=12,
    epochs=3,
    seed=3,
)


def ticking(step=1.0):
    """A clock that moves on by a second whenever it is looked at."""
    count = itertools.count()
    return lambda: step * next(count)


@pytest.fixture(scope="module")
def digits():
    return load_data(SETTINGS)


@pytest.fixture(scope="module")
def tuned(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    said = []
    tune(SETTINGS, digits, folder, 30, say=said.append, clock=ticking())
    return folder, said, *end_tuning(SETTINGS, folder, 30)


def test_the_recipe_is_tried_first_and_the_best_is_kept(digits, tuned):
    folder, said, settings, sentence = tuned
    trials = open_study(folder, seed=0).get_trials()
    recipe = prepare(SETTINGS, digits).recipe
    assert trials[0].params == {name: getattr(recipe, name) for name in CHOSEN}
    assert len(trials) == len(said) > 2
    best = max((one for one in trials if one.state.name == "COMPLETE"), key=lambda one: one.value)
    assert {name: getattr(settings, name) for name in CHOSEN} == best.params
    assert replace(settings, **dict.fromkeys(CHOSEN)) == SETTINGS
    assert said[0].startswith("training 1, learning rate 0.1, weight decay 0.005, augmentation sh")
    assert sentence.startswith(f"Of {len(trials)} trainings the best on the validation images is")
    assert f"accuracy {best.user_attrs['accuracy']:.1%}, the recipe's own" in sentence


def test_values_stay_near_the_recipe_and_are_not_all_the_same(tuned):
    trials = open_study(tuned[0], seed=0).get_trials()
    assert all(0.01 <= one.params["learning_rate"] <= 0.3 for one in trials)
    assert all(0.0005 <= one.params["weight_decay"] <= 0.05 for one in trials)
    assert {one.params["augmentation"] for one in trials} <= {"none", "shift"}
    assert len({one.params["learning_rate"] for one in trials}) == len(trials)


def test_what_was_chosen_is_found_again(tuned):
    folder, _, settings, _ = tuned
    assert begin_tuning(folder, SETTINGS, resume=True) == settings
    with pytest.raises(FileExistsError, match=r"is not empty; choose another --out, or add --res"):
        begin_tuning(folder, SETTINGS, resume=False)
    with pytest.raises(FileExistsError, match=r"was started with another epochs \(3 and 4\)"):
        begin_tuning(folder, replace(SETTINGS, epochs=4), resume=True)


def test_a_tuning_that_goes_on_keeps_what_was_tried(digits, tmp_path):
    tune(SETTINGS, digits, tmp_path, 9000, clock=ticking(1000))
    first = open_study(tmp_path, seed=0).get_trials()
    assert begin_tuning(tmp_path, SETTINGS, resume=True) is None
    tune(SETTINGS, digits, tmp_path, 20_000, clock=ticking(1000))
    again = open_study(tmp_path, seed=0).get_trials()
    assert len(again) > len(first)
    assert [one.params for one in again[: len(first)]] == [one.params for one in first]
    assert sum(one.params == first[0].params for one in again) == 1


def test_time_that_was_taken_before_counts(digits, tuned):
    folder = tuned[0]
    before = len(open_study(folder, seed=0).get_trials())
    tune(SETTINGS, digits, folder, 1e-9, clock=ticking())
    assert len(open_study(folder, seed=0).get_trials()) == before


def test_what_is_given_is_not_tuned(digits, tmp_path):
    settings = replace(SETTINGS, learning_rate=0.02, augmentation="flip")
    assert open_settings(settings) == ["weight_decay"]
    tune(settings, digits, tmp_path, 9, clock=ticking())
    found, _ = end_tuning(settings, tmp_path, 9)
    assert (found.learning_rate, found.augmentation) == (0.02, "flip")
    assert found.weight_decay is not None
    with pytest.raises(ValueError, match=r"tune has nothing to choose: learning_rate, weight_dec"):
        open_settings(replace(settings, weight_decay=0.1))


def test_a_rate_that_diverges_is_given_up(digits, tmp_path):
    settings = replace(SETTINGS, learning_rate=1e30)
    tune(settings, digits, tmp_path, 9, clock=ticking())
    with pytest.raises(ValueError, match=r"tune must last for one training, 9 s do not"):
        end_tuning(settings, tmp_path, 9)
    assert finished(open_study(tmp_path, seed=0)) == []


def test_refused(digits, tmp_path):
    with pytest.raises(ValueError, match=r"tune chooses on validation images, there are none"):
        tune(replace(SETTINGS, validation_examples=0), digits, tmp_path, 9)
    tune(SETTINGS, digits, tmp_path, 0.5, clock=ticking(step=0.4))
    with pytest.raises(ValueError, match=r"tune must last for one training, 0.5 s do not"):
        end_tuning(SETTINGS, tmp_path, 0.5)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "settings.toml").touch()
    with pytest.raises(FileExistsError, match=r"holds runs that were not tuned"):
        begin_tuning(tmp_path / "other", SETTINGS, resume=True)


def test_a_damaged_choice_is_named(tuned, tmp_path):
    place = tmp_path / TUNING
    place.mkdir()
    (place / "tuned.json").write_text('{"learning_rate": 0.1, "weight_decay": 0.1}')
    with pytest.raises(ValueError, match=r"tuned.json must give augmentation, it is damaged"):
        begin_tuning(tmp_path, SETTINGS, resume=True)
    (place / "tuned.json").write_text(
        '{"learning_rate": "x", "weight_decay": 1, "augmentation": "none"}'
    )
    with pytest.raises(ValueError, match=r"learning-rate must be a number, got 'x'"):
        begin_tuning(tmp_path, SETTINGS, resume=True)


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError, match=r"install it with: python -m pip install optuna"):
        import_optuna()


def test_a_worker_does_its_share(tmp_path):
    tune_here(Task(SETTINGS, tmp_path, tmp_path), 3.0, 1)
    trials = open_study(tmp_path, seed=0).get_trials()
    assert {one.user_attrs["process"] for one in trials} == {1}
    alone = Task(replace(SETTINGS, validation_examples=0), tmp_path, tmp_path)
    assert tune_here(alone, 3.0, 0).startswith("tune chooses on validation images")


def test_the_command_trains_with_what_was_chosen(tmp_path, capsys):
    command = [
        *("train", "digits", "--recipe", "default", "--train-examples", "40", "--epochs", "2"),
        *("--validation-examples", "30", "--variant", "standard", "--device", "cpu"),
        *("--tune", "2s", "--out", str(tmp_path / "run")),
    ]
    assert main(command) in (0, None)
    assert "trainings the best on the validation images is that with" in capsys.readouterr().err
    chosen = json.loads((tmp_path / "run" / TUNING / "tuned.json").read_text())
    path = tmp_path / "run" / "settings.toml"
    settings = from_mapping(read_toml(path), Settings, where=str(path))
    assert {name: getattr(settings, name) for name in CHOSEN} == {n: chosen[n] for n in CHOSEN}
    before = (tmp_path / "run" / "whence.json").read_bytes()
    assert main([*command, "--resume"]) in (0, None)
    assert (tmp_path / "run" / "whence.json").read_bytes() == before
    assert main(command) == 2
    assert "is not empty; choose another --out" in capsys.readouterr().err


def test_a_lock_that_a_killed_process_left_keeps_nobody_waiting(digits, tmp_path):
    """Optuna's own would keep everybody waiting for half a minute."""
    place = tmp_path / TUNING
    place.mkdir()
    (place / "journal.log.lock").symlink_to(place / "journal.log")
    (place / ".lock").touch()  # ours, whose holder is gone
    opening = threading.Thread(target=open_study, args=(tmp_path,), kwargs={"seed": 0}, daemon=True)
    opening.start()
    opening.join(20)
    assert not opening.is_alive()
