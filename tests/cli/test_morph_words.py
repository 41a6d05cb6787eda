"""What ``whence morph`` says of a way: one line for each, and where a threshold decides."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

import whence
from tests.helpers.deciding import rule
from tests.helpers.morph_runs import SHORT, Caller
from whence.autoencoders.saved_vae import load_vae
from whence.cli import main
from whence.cli.work.morph import describe
from whence.gather.morph_training import (
    choose_training,
)
from whence.gather.morphed import morph_images
from whence.morphing.answers import classify_images
from whence.runs.threshold_of_run import keep_threshold


def test_one_line_for_each_way(morph_runs, digits, coded):
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    training = choose_training(morph_runs / "memory", model)
    (found,) = morph_images(
        model,
        vae,
        digits.test.images[coded[0][:1]],
        ["a.png"],
        [None],
        training,
        question=SHORT,
    )
    way = replace(found.ways[0], reason=None)
    own, other = way.classes
    way = replace(way, probabilities=torch.eye(10)[other])
    mask = replace(way.mask, gains=torch.tensor([0.25, 0.1]), full_gains=torch.tensor([0.25, 0.25]))
    names = [f"c{label}" for label in range(10)]
    start = f"a.png: c{own} from c{other} (morph): "
    line = describe(found, replace(way, mask=mask), names)
    assert line == f"{start}the mask keeps 70.0% of the path's gain"
    nothing = replace(mask, full_gains=torch.zeros(2))
    line = describe(found, replace(way, mask=nothing), names)
    assert line == f"{start}the path gains less than 0.05 of probability"
    astray = replace(way, mask=mask, probabilities=torch.eye(10)[own])
    line = describe(found, astray, names)
    assert line == f"{start}the classifier puts the start of the path in c{own}, not in c{other}"
    assert describe(found, replace(way, reason="No way."), names) == f"{start}No way."


def test_a_threshold_is_said_wherever_a_way_is_shown(call, morph_runs, digits, coded, tmp_path):
    """The second best class of an image gets a threshold that every probability reaches."""
    for name in ("memory", "vae"):
        shutil.copytree(morph_runs / name, tmp_path / "runs" / name)
    run = tmp_path / "runs" / "memory"
    model = whence.load(run)
    own, other = (
        classify_images(model, digits.test.images[coded[0][:1]])[0].topk(2).indices.tolist()
    )
    here = (
        f"By the threshold of {other} the run answers {other} here; the way leads to {own}, the "
        "most probable class."
    )
    words = ("--test", coded[0][0], "--steps", 3, "--out", "page.html")
    assert "threshold" not in "".join(map(str, call(*words)))

    model.decision = rule(model, other, 1e-9)
    keep_threshold(run, model)
    decided = Caller(tmp_path / "runs", call.capsys)
    code, output, errors = decided(*words[:-1], "other.html")
    assert code == 0, errors
    assert output.splitlines()[0] == f"test image {coded[0][0]}: {here}"
    assert output.splitlines()[1].startswith(f"test image {coded[0][0]}: {own} from {other} ")
    assert f"note: An image is answered {other} from a probability of " in errors
    assert "Ways look at probabilities alone: they lead from one class to the most " in errors
    page = Path("other.html").read_text()
    assert here in page
    assert "Ways look at probabilities alone" in page
    found = decided.json(*words[:-2])
    assert found["images"][0]["notes"] == [here]
    assert "Ways look at probabilities alone" in found["notes"][0]

    explain = ["explain", str(run), *map(str, words[:2]), "--morph", str(tmp_path / "runs" / "vae")]
    assert main([*explain, "--out", "explained.html"]) == 0
    page = Path("explained.html").read_text()
    assert here in page
    assert "Ways look at probabilities alone" in page
