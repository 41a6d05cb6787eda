"""Computations that are waited for in the viewer, and what is saved while others go on."""

import threading
import time

import pytest

from whence.viewer import changes, viewer
from whence.viewer.jobs import MOST_WAITING, Jobs


def ask(page, **more):
    return page.call("ask", part="test", place=0, **more)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_computation_that_breaks_off_says_so():
    jobs = Jobs()

    def work(tell):
        raise KeyError("what whence does not foresee")

    before = set(threading.enumerate())
    job = jobs.find(jobs.start(work))
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert job.error == "The computation broke off; the terminal of whence view says why."


def test_only_so_many_computations_wait():
    jobs, go = Jobs(), threading.Event()

    def work(tell):
        go.wait(30)
        return {}

    started = [jobs.start(work) for _ in range(MOST_WAITING)]
    with pytest.raises(ValueError, match="16 computations wait already; try again"):
        jobs.start(work)
    go.set()
    for _ in range(500):
        if all(jobs.find(number).result is not None for number in started) and not jobs.waiting:
            break
        time.sleep(0.01)
    assert jobs.start(work) not in started


def test_what_is_saved_is_one_state_of_the_memory(page, viewed, monkeypatch):
    """A step that is taken while the memory is made waits, and is not half in what is kept."""
    first, second = (one["index"] for one in ask(page)["before"]["evidence"][:2])
    page.call("change", kind="untick", index=first)
    kept = {}

    def keep(run, edited, standing, steps, name, *, batch_size):
        kept.update(size=len(edited.bank), removed=set(standing.removed), steps=steps)
        return {}

    plain = changes.edit

    def edit_slowly(model, **given):
        late.append(threading.Thread(target=page.call, args=("change",), kwargs=step))
        late[-1].start()
        time.sleep(0.2)
        return plain(model, **given)

    late, step = [], {"kind": "untick", "index": second}
    monkeypatch.setattr(viewer, "save_memory", keep)
    monkeypatch.setattr(changes, "edit", edit_slowly)
    page.call("save", name="one")
    late[0].join()
    assert kept["size"] == len(viewed.model.bank) - 1
    assert kept["removed"] == {first}
    assert len(kept["steps"]) == 1
