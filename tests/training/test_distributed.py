"""One training over two processes, started by torchrun, against the same training in one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.helpers.together import CASES, RUN, SHAPE, make, make_images, train
from whence.cli import main
from whence.data.augment import crop_flip
from whence.data.memory_draw import draw_memory
from whence.storage.checkpoint import find_checkpoints
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
from whence.training.loop import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe, build_optimizer, rate_at
from whence.training.shared_step import (
    encode_together,
    find_statistics,
    mix,
)

TORCHRUN = [
    *(sys.executable, "-c"),
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from torch.distributed.run import main; main()",
    *("--nproc-per-node", "2"),
]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
NEAR = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Count on the same order of additions as in processes with OMP_NUM_THREADS=1."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Two processes


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes wrote that did all of together.py."""
    folder = tmp_path_factory.mktemp("together")
    done = subprocess.run(
        [*TORCHRUN, str(Path(__file__).parents[1] / "helpers" / "together.py"), str(folder)],
        env=ALONE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return folder, done


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
        assert_close(state, dict(model.state_dict()), **NEAR)
    assert_close(read(folder, case, 0)[0], read(folder, case, 1)[0], rtol=0, atol=0)


def train_slowly(model, images, recipe, plan, processes):
    """What shares mean, in one process: BatchNorm sees each share of a batch by itself, and its
    statistics become the mean of what the shares make of them."""
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = build_optimizer(recipe, model.parameters())
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    steps, losses = len(images) // recipe.batch_size, []
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
    lines = [line for line in done.stdout.splitlines() if line]
    assert [json.loads(line) for line in lines] == [{str(folder / "run"): metrics}]
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
    _, done = together
    assert done.returncode == 1
    assert done.stderr.count("said: ") == 1
    assert "process 1 has another first image than process 0; give all machines" in done.stderr


# The command


TRAIN = [
    *("train", "digits", "--train-examples", "40", "--validation-examples", "20"),
    *("--batch-size", "13", "--memory-size", "15", "--augmentation", "flip", "--epochs", "8"),
    *("--encoder", "timm:test_convnext", "--size", "32", "--learning-rate", "0.02"),
    *("--device", "cpu", "--precision", "float32"),
]


def start(folder, *more):
    return subprocess.Popen(
        [
            *TORCHRUN,
            "-m",
            "whence",
            *TRAIN,
            "--out",
            str(folder),
            "--checkpoint-seconds",
            "0",
            *more,
        ],
        env=ALONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process, folder, step):
    """Wait for a checkpoint of a step or a later one; the processes must not end before."""
    end = time.monotonic() + 60
    while not folder.exists() or max(find_checkpoints(folder), default=0) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no checkpoint {step}"
        time.sleep(0.005)


def find_process(parent, rank):
    """Find the child of a process with a rank, in Linux's table of processes."""
    for entry in Path("/proc").iterdir():
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if f"RANK={rank}".encode() in variables:
                    return int(entry.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"no process of rank {rank}")


def wait_until_dead(number):
    """Wait until a process has ended, also if its parent has not noticed."""
    end = time.monotonic() + 60
    while Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end, f"process {number} hangs"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_interrupted_and_finished_by_one_process(tmp_path, capsys):
    """SIGKILL for one of two, Ctrl-C for both, then one process to the end: the same as alone."""
    assert main([*TRAIN, "--out", str(tmp_path / "alone")]) == 0
    folder = tmp_path / "killed"

    process = start(folder)
    wait_for(process, folder, 5)
    os.kill(process.pid, signal.SIGSTOP)  # torchrun is not to end the other one
    ranks = [find_process(process.pid, rank) for rank in range(2)]
    os.kill(ranks[1], signal.SIGKILL)
    wait_until_dead(ranks[0])
    os.kill(process.pid, signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.count("whence: ") == 1
    assert "whence: Another process of this training stopped, so all do" in errors
    assert not (folder / "whence.json").exists()
    stopped = find_checkpoints(folder)[0]
    assert 5 <= stopped < 20

    process = start(folder, "--resume")
    wait_for(process, folder, stopped + 2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.count("Stopped; add --resume to go on") == 1
    assert "KeyboardInterrupt" not in errors
    assert stopped + 2 <= find_checkpoints(folder)[0] < 24
    assert not (folder / "whence.json").exists()

    capsys.readouterr()
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 0
    logs = [
        [json.loads(line) for line in (place / "log.jsonl").read_text().splitlines()]
        for place in (folder, tmp_path / "alone")
    ]
    assert [line["epoch"] for line in logs[0]] == list(range(1, 9))
    losses, alone = ([line["loss"] for line in log] for log in logs)
    assert alone[-1] < 0.8 * alone[0]
    assert_close(losses, alone, rtol=1e-5, atol=0)
    states = [load_file(place / "model.safetensors") for place in (folder, tmp_path / "alone")]
    assert_close(states[0], states[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "1e30"], "The loss became "),  # every process meets it
        ([], "is not empty; choose another --out"),  # the leader alone does
    ],
)
def test_what_goes_wrong_is_said_once_and_ends_all(tmp_path, options, message):
    if not options:
        (tmp_path / "notes.txt").write_text("mine")
    process = start(tmp_path, *options)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.count("whence: ") == 1
    assert message in errors
    assert "whence/training" not in errors  # of no traceback but torchrun's own
    assert not (tmp_path / "whence.json").exists()


# Pieces, in one process


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
