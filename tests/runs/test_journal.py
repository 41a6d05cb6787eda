"""The journal of a training: log, checkpoints, seconds."""

import json
from dataclasses import dataclass

import pytest
import torch

from whence.runs.journal import LOG, keep_journal
from whence.storage.checkpoint import Checkpoint, read_newest_checkpoint


@dataclass
class Report:
    epoch: int
    loss: float


def test_a_training_that_goes_on_drops_what_will_be_run_again(tmp_path):
    with keep_journal(
        tmp_path, None, epochs=3, steps=4, identity={"a": 1}, checkpoint_seconds=0
    ) as journal:
        journal.on_epoch(1, Report(1, 0.5), loss="0.5")
        journal.on_step(lambda: Checkpoint({"x": torch.ones(2)}, {"step": 5}))
        journal.on_epoch(2, Report(2, 0.25))
    newest = read_newest_checkpoint(tmp_path)
    assert newest.numbers["run"] == {"a": 1}
    assert 0 <= newest.numbers["seconds"] <= journal.seconds
    assert newest.tensors["x"].tolist() == [1, 1]
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert lines == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    newest.numbers["seconds"] = 100.0
    with keep_journal(
        tmp_path, newest, epochs=3, steps=4, identity={}, checkpoint_seconds=0
    ) as journal:
        assert journal.bar.n == 1  # of 5 steps, 4 are a whole epoch
        assert journal.seconds >= 100
        assert (tmp_path / LOG).read_text() == '{"epoch": 1, "loss": 0.5}\n'


@pytest.mark.parametrize("seconds, expected", [(10, [10, 40]), (0, [10, 30, 59, 80])])
def test_a_checkpoint_that_takes_long_is_not_due_again_at_once(seconds, expected, tmp_path):
    """Here making one takes 20 seconds, and nothing else takes any."""
    clock, begun = [0], []

    def make():
        begun.append(clock[0])
        clock[0] += 20
        return Checkpoint({}, {"step": len(begun)})

    with keep_journal(
        tmp_path,
        None,
        epochs=1,
        steps=1,
        identity={},
        checkpoint_seconds=seconds,
        clock=lambda: clock[0],
    ) as journal:
        for step in (10, 0, 9, 1):
            clock[0] += step
            journal.on_step(make)
    assert begun == expected
    assert read_newest_checkpoint(tmp_path).numbers["step"] == len(expected)


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(tmp_path, capsys):
    clock = [0.0]
    done = Checkpoint({}, {"step": 4, "seconds": 7.0})
    with keep_journal(
        tmp_path / "digits",
        done,
        epochs=10,
        steps=4,
        identity={},
        checkpoint_seconds=1e9,
        clock=lambda: clock[0],
    ) as journal:
        for step in range(5, 13):
            clock[0] += 25
            journal.on_step(lambda: done)
            if step % 4 == 0:
                journal.on_epoch(step // 4, Report(step // 4, 0.5), loss="0.5", accuracy="0.25")
    # lines are due at 60 s and later: after 75 s and 150 s, of 25 s a step
    assert capsys.readouterr().err.splitlines() == [
        "digits: 7 of 40 steps, 1 of 10 epochs; 0:13:45 left",
        "digits: 10 of 40 steps, 2 of 10 epochs, loss 0.5, accuracy 0.25; 0:12:30 left",
    ]


def test_the_time_before_the_first_step_does_not_count_for_those_that_are_left(tmp_path, capsys):
    clock, done = [0.0], Checkpoint({}, {"step": 0, "seconds": 0.0})
    with keep_journal(
        tmp_path / "cells",
        None,
        epochs=1,
        steps=100,
        identity={},
        checkpoint_seconds=1e9,
        clock=lambda: clock[0],
    ) as journal:
        for seconds in (300, 1, 59):  # 300 seconds to encode all images first
            clock[0] += seconds
            journal.on_step(lambda: done)
    assert capsys.readouterr().err.splitlines() == [
        "cells: 1 of 100 steps, 0 of 1 epochs",
        "cells: 3 of 100 steps, 0 of 1 epochs; 0:48:30 left",
    ]
