"""The commands of the pages, typed as they stand there, one after the other, on a few small images.

``test_docs.py`` looks every option up; here the commands run. A training takes one epoch, so that all
of it takes minutes: ``python -m pytest -m commands``.
"""

import csv
import re
import shlex
import shutil
from functools import cache
from itertools import pairwise

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.helpers.doc_pages import PAGES, read_fences
from whence.cli import main

pytestmark = pytest.mark.commands

ELSEWHERE = re.compile(
    r"whence (?:table|study|view|demo|encoders|morph|train-vae)\b|--weights default|my\.safetensors"
    r"|--workers|--scheduler|--seeds|runs/five|torchrun|mnist|fashion|cifar10|\b[A-Z]{4,}\b"
    r"|faithfulness|--morph|--unlabelled|--method all"
)
"""Commands that need a network, other machines, real data, another command of these, or minutes."""

CUT = {"train": ["--epochs", "1"]}
"""What a command is given besides, where it does not say so itself."""

SIDE, EACH = 16, 80


def list_commands(page):
    """List the commands of a page that run here, each as its words."""
    lines = [
        re.sub(r"\s#\s.*", "", line)
        for fence in read_fences(page)
        if fence.language == "sh" and not fence.text.startswith("python -m pip install .")
        for line in fence.text.replace("\\\n", " ").splitlines()
        if line.startswith("whence ")
    ]
    return [shlex.split(line)[1:] for line in lines if not ELSEWHERE.search(line)]


STORIES = {
    page.stem: found
    for page in PAGES
    if not page.stem.startswith("results") and (found := list_commands(page))
}


def draw(folder, name, number, *, wrong=3):
    """Write a small image of a class; of the first ones another class is shown."""
    generator = torch.Generator().manual_seed(number)
    shown = (name in ("cat", "defective", "owl")) != (number < wrong)
    pixels = torch.randint(0, 60, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    pixels[:: 2 if shown else 4] += 150
    if name == "owl":
        pixels = pixels.transpose(0, 1)
    path = folder / f"{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.numpy()).save(path)
    return path


@cache
def make_weights():
    import timm

    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()


def lay_out(folder, told):
    """Write all that the commands of a page name, but what they make themselves.

    Args:
        folder: that they run in.
        told: the commands, one after the other.
    """
    names = ("cat", "dog")
    if "photos/ --target-recall defective" in told:
        names = ("defective", "functional")
    write_images(folder, names)
    write_tables(folder)
    if "lite0.safetensors" in told:
        save_file(make_weights(), folder / "lite0.safetensors")
    for run in set(re.findall(r"runs/(?:photos|old|new|digits|cells)\b", told)):
        data = {"runs/digits": "digits", "runs/cells": "labels.csv"}.get(run, "photos")
        call(["train", data, "--epochs", "2", "--out", run])
    if "--expect checks.toml" in told and "--write" not in told:
        call(["check", "runs/photos", "--expect", "checks.toml", "--write"])


def write_images(folder, names):
    """Write folders of two classes, of a third one, and of images without labels."""
    for place, count, wrong in (("photos", EACH, 3), ("more", 6, 0), ("acceptance", 6, 0)):
        for name in names:
            for number in range(count):
                draw(folder / place / name, name, number, wrong=wrong)
    for number in range(6):
        draw(folder / "owls" / "owl", "owl", number, wrong=0)
        for place in ("folder", "line3", "this-week", "more-photos"):
            draw(folder / place, names[number % 2], number, wrong=0)
    shutil.copy(folder / "folder" / "0.png", folder / "new.jpg")


def write_tables(folder):
    """Write the tables of labels that the pages name."""
    rows = []
    for name in ("defective", "functional"):
        for number in range(40):
            path = draw(folder / "cells" / name, name, number).relative_to(folder)
            rows.append(
                {
                    "path": path,
                    "label": name,
                    "probability": 1,
                    "type": ("mono", "poly")[number % 2],
                }
                | {"file": path, "kind": name, "module": number // 4}
            )
    write_rows(folder / "labels.csv", rows)
    new = [
        {"path": row["path"], "label": row["label"].replace("defective", "crack")} for row in rows
    ]
    write_rows(folder / "new.csv", new)


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def audit(folder):
    """Fill in the tables of suspicious labels, as a person would: the first label is wrong."""
    for path in folder.glob("*-suspicious.csv"):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows, "else nothing is corrected"
        rows[0]["corrected_label"] = rows[0]["suggested_label"]
        for filled in (path, folder / "audited.csv"):
            write_rows(filled, rows)


def call(words):
    """Type a command; what it may not overwrite is taken away first."""
    given = dict(pairwise(words))
    if words[0] == "train" and "--resume" not in words:
        shutil.rmtree(given["--out"], ignore_errors=True)
    more = [] if "--epochs" in words else CUT.get(words[0], [])
    assert main([*words, *more]) == 0, words


@pytest.mark.parametrize("page", STORIES)
@pytest.mark.filterwarnings("default")  # of new classes, and of the libraries
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, " ".join(word for command in STORIES[page] for word in command))
    for command in STORIES[page]:
        audit(tmp_path)
        call(command)


def test_most_pages_are_tried():
    assert {"README", "checks", "classes", "data", "deploy", "editing", "labels"} < STORIES.keys()
    assert {"pages", "runs", "tutorial", "which-method"} < STORIES.keys()
    assert sum(map(len, STORIES.values())) > 50
