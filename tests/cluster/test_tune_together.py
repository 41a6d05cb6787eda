"""One tuning in real worker processes, one of which is killed in the middle of a training."""

import itertools
import json
import os
import signal
from functools import partial

import pytest

from tests.helpers.cluster_processes import workers_below
from whence.cli import main
from whence.cluster import tune_together
from whence.cluster.tune_together import find_problem, tune_here
from whence.runs.folder import TUNING
from whence.runs.tune import open_study, tune

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def tune_by_ticks(task, seconds, number):
    """Do a share whose clock counts looks; the second worker dies once, in its second training."""
    killed = task.folder / TUNING / "killed"

    def tick():
        looks = next(count)
        if number == 1 and looks == 7 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 3000.0 * looks  # against which the seconds that pass are nothing

    count = itertools.count()
    tune_together.tune = partial(tune, clock=tick)  # of the worker
    return tune_here(task, seconds, number)


def test_what_a_killed_worker_tried_counts_and_another_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tune_together, "tune_here", tune_by_ticks)
    command = [
        *("train", "digits", "--train-examples", "40", "--validation-examples", "30"),
        *("--variant", "standard", "--batch-size", "20", "--epochs", "3", "--device", "cpu"),
        *("--tune", "10h", "--workers", "2", "--out", str(tmp_path)),
    ]
    assert main(command) == 0
    assert workers_below() == []
    assert not (tmp_path / "cluster.log").exists()
    trials = open_study(tmp_path, seed=0).get_trials()
    of_second = [one for one in trials if one.user_attrs.get("process") == 1]
    states = [one.state.name for one in of_second]
    assert states[:2] == ["COMPLETE", "RUNNING"]  # tried before, and cut off
    assert "COMPLETE" in states[2:]
    assert states.count("RUNNING") == 1
    assert {one.user_attrs.get("process") for one in trials} == {0, 1}
    best = max((one for one in trials if one.state.name == "COMPLETE"), key=lambda one: one.value)
    chosen = json.loads((tmp_path / TUNING / "tuned.json").read_text())
    assert {name: chosen[name] for name in best.params} == best.params
    assert chosen["trainings"] == len(trials)
    assert sum(one.user_attrs.get("own", False) for one in trials) == 1
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] == pytest.approx(chosen["accuracy"])
    assert f"Of {len(trials)} trainings the best" in capsys.readouterr().err


class Ended:
    """Stands for a future of Dask."""

    def __init__(self, error):
        self.error = error

    def result(self):
        raise self.error


def test_a_share_that_nobody_can_do_is_said_and_an_error_of_ours_is_not_hidden():
    said = []
    killed = type("KilledWorker", (Exception,), {})
    assert find_problem(Ended(killed()), 1, said.append) is None
    assert said == ["Every worker that took part 2 of the tuning was killed; it ended early."]
    with pytest.raises(RuntimeError, match="ours"):
        find_problem(Ended(RuntimeError("ours")), 1, said.append)
    assert len(said) == 1
