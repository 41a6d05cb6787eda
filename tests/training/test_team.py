"""What several processes share, as far as one can see it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers.together import SHAPE, make, make_images
from whence.training import distributed
from whence.training.distributed import (
    Team,
    backend_of,
    check_shares,
    choose_place,
    is_lost,
    join,
    launched,
    rows_of,
)
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.shared_step import (
    encode_together,
    find_statistics,
    mix,
)


def test_the_documents_example_runs():
    text = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    found = {}
    exec(compile(block, "block", "exec"), found)
    assert len(found["model"].bank) == 60
    assert not found["model"].training


@pytest.mark.parametrize(("total", "size"), [(7, 2), (128, 3), (5, 5), (127, 2), (4, 1)])
def test_rows_are_divided_without_rest(total, size):
    rows = [list(range(total))[rows_of(total, Team(rank, size))] for rank in range(size)]
    assert [row for part in rows for row in part] == list(range(total))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_seeds_differ_and_fit():
    seeds = {
        mix(seed, step, rank) for seed in (0, 1, 2**40) for step in range(20) for rank in range(3)
    }
    assert len(seeds) == 180
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert mix(1, 2, 3) == mix(1, 2, 3)


def test_statistics_are_those_of_batch_norm():
    layers = nn.Sequential(
        nn.BatchNorm2d(3), nn.LayerNorm(4), nn.BatchNorm1d(2, track_running_stats=False)
    )
    found = find_statistics(layers)
    assert [tuple(tensor.shape) for tensor in found] == [(3,), (3,)]
    assert found[0] is layers[0].running_mean
    assert found[1] is layers[0].running_var


@pytest.mark.parametrize(("batch", "memory", "name"), [(5, 9, "batch_size"), (6, 5, "memory_size")])
def test_shares_that_are_too_small(batch, memory, name):
    with pytest.raises(
        ValueError, match=f"{name} must be at least 6, 2 images for each of 3 .* got 5"
    ):
        check_shares(batch, memory, Team(1, 3))
    check_shares(1, 1, Team())
    check_shares(6, None, Team(0, 3))


def test_fit_refuses_shares_that_are_too_small():
    recipe, plan = Recipe(batch_size=3), Plan(1, 9)
    with pytest.raises(ValueError, match=r"batch_size must be at least 4, .* got 3"):
        fit(make("plain"), make_images(), recipe=recipe, plan=plan, team=Team(0, 2))


def test_a_process_alone_does_as_without_a_team(monkeypatch):
    team = Team()
    assert team.leads
    assert team.share("value") == "value"
    assert team.collect(3) == [3]
    assert team.agree(lambda: 5) == 5
    with pytest.raises(KeyError):
        team.agree(lambda: {}["missing"])
    team.check_same({"seed": 0})
    model = make("plain").eval()
    images = make_images().images
    assert encode_together(model, images, team).shape == (22, model.features)
    assert images.shape[1:] == SHAPE
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # set by other launchers too
    assert not launched()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert launched()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launched()
    with join("cpu") as alone:
        assert alone == Team(0, 1, "cpu")


def test_places(monkeypatch):
    assert choose_place("cpu", 3) == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_place("cuda", 1) == "cuda:1"
    with pytest.raises(
        ValueError,
        match="Process 2 needs a GPU of its own, and there are 2 here; give --nproc-per-node 2",
    ):
        choose_place("cuda", 2)
    with pytest.raises(ValueError, match="gives each process a GPU of its own, got 'cuda:0'"):
        choose_place("cuda:0", 0)
    assert [backend_of(device) for device in ("cpu", "cuda:1")] == ["gloo", "nccl"]


def test_which_errors_mean_that_another_process_is_gone():
    assert is_lost(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]"))
    assert is_lost(distributed.distributed.DistNetworkError("no store"))
    assert not is_lost(RuntimeError("CUDA error: out of memory"))
