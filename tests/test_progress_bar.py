"""Bars are shown on terminals and in notebooks, and nowhere else."""

import io
import sys
from types import SimpleNamespace

import torch

import whence
from whence.progress_bar import in_notebook, make_bar


def pretend(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_where_a_notebook_is(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    pretend(monkeypatch, None)
    assert not in_notebook()
    pretend(monkeypatch, SimpleNamespace())  # IPython in a terminal
    assert not in_notebook()
    pretend(monkeypatch, SimpleNamespace(kernel=1))
    assert in_notebook()


def test_bars_are_silent_but_in_a_notebook(monkeypatch, capsys):
    assert list(make_bar(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    pretend(monkeypatch, SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # not there: a bar of text
    assert list(make_bar(range(3), desc="looking", file=io.StringIO())) == [0, 1, 2]
    assert "looking: 100%" in capsys.readouterr().err


def test_training_shows_a_bar_in_a_notebook(monkeypatch, capsys):
    images = torch.zeros(12, 1, 8, 8, dtype=torch.uint8)
    images[::2] += 200
    model = whence.wrap("small_cnn", 2, variant="standard", image_shape=(1, 8, 8))
    plan = whence.Plan(epochs=3)
    whence.fit(model, (images, torch.arange(12) % 2), plan=plan)
    assert capsys.readouterr().err == ""
    pretend(monkeypatch, SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    whence.fit(model, (images, torch.arange(12) % 2), plan=plan)
    said = capsys.readouterr().err
    assert "training:" in said
    assert "/3 [" in said
    assert "loss=" in said
