"""How long many runs will take, and the line that says so."""

import io
import sys
from datetime import datetime
from types import SimpleNamespace

import pytest

from whence.cluster import progress
from whence.cluster.progress import Standing, describe, estimate, show_progress

# how long it will take --------------------------------------------------------------------------


def simulate(lengths, workers):
    """Give each run to the worker that is free first, second by second."""
    left, clock, waiting = [0] * workers, 0, list(lengths)
    while waiting or any(left):
        for place, rest in enumerate(left):
            if rest == 0 and waiting:
                left[place] = waiting.pop(0)
        left = [max(rest - 1, 0) for rest in left]
        clock += 1
    return clock


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_estimate_is_a_simulation(workers):
    durations = {"short": [3.0, 5.0], "long": [11.0]}
    waiting = ["long", "short", "short", "long", "short", "long", "long"]
    lengths = [4 if kind == "short" else 11 for kind in waiting]
    assert estimate(durations, [], waiting, workers) == simulate(lengths, workers)


def test_estimate_by_hand():
    known = {"a": [10.0, 20.0], "b": [45.0]}
    assert estimate({}, [("a", 3.0)], ["a"], 2) is None
    assert estimate({"a": []}, [("a", 3.0)], ["a"], 2) is None
    assert estimate(known, [("a", 3.0)], ["a"], 0) is None
    assert estimate(known, [("a", 3.0), ("a", 14.0)], [], 2) == 12.0
    assert estimate(known, [("a", 3.0), ("a", 14.0)], ["a"], 2) == 16.0
    assert estimate(known, [("a", 99.0)], [], 2) == 0.0
    assert estimate(known, [], ["c"], 1) == 25.0  # a kind without a finished run: the mean of all
    assert estimate(known, [("a", 5.0), ("a", 0.0)], ["b"], 1) == 55.0  # a worker was lost


@pytest.mark.parametrize(
    "standing, line",
    [
        (Standing(0, 0, 2, 3, 2, None), "0 of 5 runs done, 2 running, 3 waiting; time left not known before the first is done"),
        (Standing(4, 0, 1, 0, 2, 59.6), "4 of 5 runs done, 1 running; 0:01:00 left, until 09:01"),
        (Standing(1, 1, 0, 3, 0, None), "1 of 5 runs done, 1 failed, 3 waiting; no worker is connected"),
        (Standing(1, 0, 1, 3, 1, 86400.0), "1 of 5 runs done, 1 running, 3 waiting; 1 day, 0:00:00 left, until Sun 09:00"),
        (Standing(1, 0, 1, 3, 1, 864000.0), "1 of 5 runs done, 1 running, 3 waiting; 10 days, 0:00:00 left, until 01 Dec 09:00"),
        (Standing(3, 2, 0, 0, 0, None), "3 of 5 runs done, 2 failed"),
    ],
)  # fmt: skip
def test_the_line(standing, line):
    assert describe(standing, datetime(2026, 11, 21, 9, 0)) == line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_one_line_that_changes(monkeypatch):
    clock, screen = [0.0], Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with show_progress(str.upper) as (show, say):
        show(lambda: "1 of 2")
        say("a sentence")
        clock[0] = 1.0
        show(lambda: "2 of 2")
    text = screen.getvalue()
    assert text.count("\n") == 1
    assert "A SENTENCE\n" in text
    assert text.index("1 of 2") < text.index("A SENTENCE") < text.index("2 of 2")
    assert text.endswith("\r")  # and nothing stays
    assert text.rsplit("\r", 2)[1].strip() == ""


def test_a_file_gets_a_line_now_and_then(monkeypatch, capsys):
    clock = iter([0.0, 59.0, 60.0, 119.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with show_progress() as (show, say):
        for line in ("one", "two", "three"):
            show(lambda line=line: line)
        say("note")
    assert capsys.readouterr() == ("", "two\nnote\n")


@pytest.mark.parametrize(
    "screen, expected", [(Terminal, [0, 10, 20, 30]), (io.StringIO, [600, 1200])]
)
def test_a_line_is_composed_only_to_be_seen(screen, expected, monkeypatch):
    """Tenths of a second, and the tick at which it was composed."""
    clock, composed = [0.0], []
    monkeypatch.setattr(sys, "stderr", screen())
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with show_progress() as (show, _):
        for tick in range(1210 if screen is io.StringIO else 31):
            clock[0] = tick / 10
            show(lambda tick=tick: composed.append(tick) or "line")
    assert composed == expected
