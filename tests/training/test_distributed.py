"""One training over two processes, against the same training in one."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.forked import start_pair
from tests.helpers.slow_mean import slow_mean
from tests.helpers.together import CASES, RUN, make, make_images, train, work
from whence.cli import main
from whence.data.augment import crop_flip
from whence.data.memory_draw import draw_memory
from whence.training.distributed import (
    Team,
    rows_of,
)
from whence.training.recipes import build_optimizer, rate_at

NEAR = {"rtol": 1e-5, "atol": 1e-5}
KEYS_NEAR = {"rtol": 1e-2, "atol": 1e-3}  # Adam divides small gradients, rounding and all


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Count on the same order of additions as in processes with OMP_NUM_THREADS=1."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes wrote that did all of together.py, and how they ended."""
    folder = tmp_path_factory.mktemp("together")
    pair = start_pair(work, folder, place=folder)
    return folder, [process.wait() for process in pair]


def read(folder, name, rank):
    numbers = json.loads((folder / f"{name}-{rank}.json").read_text())
    return load_file(folder / f"{name}-{rank}.safetensors"), numbers


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("norm", "dropout")])
def test_two_processes_give_what_one_gives(together, case):
    folder, _ = together
    model, reports = train(case)
    before = make(case).state_dict()
    assert any(not tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    for rank in range(2):
        state, numbers = read(folder, case, rank)
        assert_close(numbers["losses"], [report.loss for report in reports], rtol=1e-5, atol=0)
        assert_close(numbers["hits"], [report.accuracy for report in reports], rtol=1e-5, atol=0)
        assert len(reports) == 2
        assert_close(state, dict(model.state_dict()), **(KEYS_NEAR if case == "votes" else NEAR))
    assert_close(read(folder, case, 0)[0], read(folder, case, 1)[0], rtol=0, atol=0)


def train_slowly(model, images, recipe, plan, processes):
    """What shares mean, in one process: BatchNorm sees each share of a batch by itself, and its
    statistics become the mean of what the shares make of them."""
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = build_optimizer(recipe, model.parameters())
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    steps, losses, states = len(images) // recipe.batch_size, [], []
    model.train()
    for step in range(plan.epochs * steps):
        if step % steps == 0:
            order = torch.randperm(len(images), generator=generator)
        start = step % steps * recipe.batch_size
        picked = order[start : start + recipe.batch_size]
        drawn = draw_memory(len(images), plan.memory_size, generator=generator)
        batch, memory = (crop_flip(images.images[i], generator=generator) for i in (picked, drawn))
        start_stats = [(n.running_mean.clone(), n.running_var.clone()) for n in norms]
        after, queries, stored = [], [], []
        for rank in range(processes):
            for norm, (mean, variance) in zip(norms, start_stats, strict=True):
                norm.running_mean, norm.running_var = mean.clone(), variance.clone()
            team = Team(rank, processes)
            queries.append(model.encode(batch[rows_of(len(batch), team)]))
            stored.append(model.encode(memory[rows_of(len(memory), team)]))
            after.append([(n.running_mean.clone(), n.running_var.clone()) for n in norms])
        for place, norm in enumerate(norms):
            norm.running_mean = sum(one[place][0] for one in after) / processes
            norm.running_var = sum(one[place][1] for one in after) / processes
        mask = picked[:, None] != drawn
        logits = model.head(torch.cat(queries), torch.cat(stored), mask).logits
        loss = F.cross_entropy(
            logits, images.labels[picked], label_smoothing=recipe.label_smoothing
        )
        for group in optimizer.param_groups:
            group["lr"] = rate_at(recipe, step=step, steps_per_epoch=steps, epochs=plan.epochs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        states.append({name: one.clone() for name, one in model.state_dict().items()})
    floating = [name for name, one in states[0].items() if one.is_floating_point()]
    means = {n: slow_mean([one[n] for one in states], recipe.weight_averaging) for n in floating}
    model.load_state_dict(means, strict=False)
    return [sum(losses[i : i + steps]) / steps for i in range(0, len(losses), steps)]


def test_batch_norm_normalises_by_shares(together):
    folder, _ = together
    _, recipe, plan = CASES["norm"]
    model = make("norm")
    losses = train_slowly(model, make_images(), recipe, plan, processes=2)
    ours, numbers = read(folder, "norm", 0)
    assert_close(numbers["losses"], losses, rtol=1e-5, atol=0)
    wanted = {n: t for n, t in model.state_dict().items() if "num_batches" not in n}
    assert_close({name: ours[name] for name in wanted}, wanted, **NEAR)
    one, _ = train("norm")
    assert not torch.allclose(
        ours["encoder.layers.1.running_var"], one.encoder.layers[1].running_var
    )
    slow_alone = make("norm")
    train_slowly(slow_alone, make_images(), recipe, plan, processes=1)
    assert_close(
        slow_alone.state_dict()["head.classifier.0.weight"], one.head.classifier[0].weight, **NEAR
    )


@pytest.mark.parametrize("case", ["norm", "dropout"])
def test_an_interruption_changes_no_bit(together, case):
    folder, _ = together
    for rank in range(2):
        state, numbers = read(folder, case, rank)
        again, after = read(folder, f"{case}-again", rank)
        assert_close(again, state, rtol=0, atol=0)
        assert after == {name: values[1:] for name, values in numbers.items()}
    assert_close(read(folder, case, 0)[0], read(folder, case, 1)[0], rtol=0, atol=0)


def test_gathered_rows_and_their_gradient(together):
    folder, _ = together
    pieces = [load_file(folder / f"pieces-{rank}.safetensors") for rank in range(2)]
    assert pieces[0]["own"][:, 0].tolist() == [0, 1]
    assert pieces[1]["own"][:, 0].tolist() == [2, 3, 4]
    for piece in pieces:
        assert_close(piece["gathered"], torch.arange(5.0)[:, None].repeat(1, 3))
    # process r weighs row i with (r + 1) * (i + 1), so both together with 3 * (i + 1)
    assert_close(pieces[0]["gradient"], torch.tensor([[3.0], [6.0]]).repeat(1, 3))
    assert_close(pieces[1]["gradient"], torch.tensor([[9.0], [12.0], [15.0]]).repeat(1, 3))


def test_the_leaders_start_and_dropout_apart(together):
    folder, _ = together
    pieces = [load_file(folder / f"pieces-{rank}.safetensors") for rank in range(2)]
    for piece in pieces:
        assert_close(piece["first"], next(make("plain", seed=0).parameters()).detach())
    assert not pieces[0]["drawn"].equal(pieces[1]["drawn"])


def test_what_processes_tell_each_other(together):
    folder, _ = together
    for rank in range(2):
        said = json.loads((folder / f"said-{rank}.json").read_text())["said"]
        assert said == [[["rank", 0], ["rank", 1]], "leader"]


def test_one_process_writes_and_speaks(together):
    folder, done = together
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    (_, out, _), (_, other, _) = done
    assert json.loads(out) == {str(folder / "run"): metrics}
    assert other == ""
    about = json.loads((folder / "run" / "whence.json").read_text())
    assert about["run"]["processes"] == 2
    assert len((folder / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert main(["train", *RUN, "--out", str(folder / "run"), "--resume"]) == 0  # finished


def test_a_finished_run_is_skipped_by_all_processes(together):
    folder, _ = together
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert [json.loads((folder / f"skipped-{rank}.json").read_text()) for rank in range(2)] == [
        metrics,
        metrics,
    ]


def test_processes_that_differ_are_refused_once(together):
    _, ((leader, _, quiet), (other, _, said)) = together
    assert (leader, quiet) == (2, "")
    assert other == 1
    assert said.startswith("said: ")
    assert "process 1 has another first image than process 0; give all machines" in said
