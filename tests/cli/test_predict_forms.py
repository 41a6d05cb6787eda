"""How ``whence predict`` prints answers: text, one line, a table, JSON."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import whence
from whence.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model of 40 stored images, an image, and a file that is none."""
    folder = tmp_path_factory.mktemp("forms")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (41, 1, 8, 8), generator=generator, dtype=torch.uint8)
    model = whence.wrap("small_cnn", ["a", "b,c", "d"], image_shape=(1, 8, 8)).eval()
    model.remember(images[1:], torch.arange(40) % 3)
    whence.save(model, folder / "model")
    Image.fromarray(images[0, 0].numpy()).save(folder / "x.png")
    (folder / "y.png").write_text("no image")
    return folder


@pytest.fixture
def ask(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def call(*arguments, files=("x.png",)):
        code = main(["predict", "model", *files, *arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def answer(place):
    model = whence.load(place / "model")
    pixels = torch.from_numpy(np.array(Image.open(place / "x.png")))
    return whence.predict(model, pixels[None, None])[0]


def test_text_shows_three_images_and_counts_the_others(ask, answer):
    code, out, err = ask()
    lines = out.splitlines()
    more = answer.evidence[3:]
    assert (code, err, len(lines), len(more) > 1) == (0, "", 7, True)
    assert [line.split()[0] for line in lines[1:4]] == [
        f"{i.weight:.1%}" for i in answer.evidence[:3]
    ]
    assert lines[4].split()[0] == f"{sum(item.weight for item in more):.1%}"
    assert lines[4].endswith(f"{len(more)} more training images")
    assert lines[5].startswith("  A stored image counts from a similarity of ")
    assert lines[6].startswith("  Doubtful: ")


def test_top_shows_as_many_as_asked_for(ask, answer):
    assert len(ask("--top", "1")[1].splitlines()) == 5
    everything = ask("--top", str(len(answer.evidence)))[1]
    assert "more training image" not in everything
    assert len(everything.splitlines()) == len(answer.evidence) + 3
    assert len(json.loads(ask("--json", "--top", "2")[1])["evidence"]) == 2
    assert len(json.loads(ask("--json")[1])["evidence"]) == len(answer.evidence)


def test_brief_is_one_line_an_image(ask, answer):
    share = float(answer.probabilities.max())
    name = ("a", "b,c", "d")[answer.predicted]
    code, out, _ = ask("--brief", files=("x.png", "y.png"))
    assert code == 1
    assert out.splitlines()[0] == f"x.png: {name} ({share:.1%})"
    assert out.splitlines()[1].startswith("y.png: no answer; ")


def test_csv_is_read_by_what_reads_tables(ask, answer):
    code, out, _ = ask("--csv", files=("x.png", "y.png"))
    first, second = csv.DictReader(out.splitlines())
    best = answer.evidence[0]
    names = ("a", "b,c", "d")
    assert code == 1
    assert first == {
        "image": "x.png",
        "answer": names[answer.predicted],
        "probability": f"{float(answer.probabilities.max()):.6f}",
        "evidence": str(best.index),
        "label": names[best.label],
        "weight": f"{best.weight:.6f}",
        "problem": "",
    }
    assert (second["image"], second["answer"]) == ("y.png", "")
    assert "y.png" in second["problem"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--json", "--csv"], "--csv and --json print the same answers; give one of them."),
        (["--brief", "--top", "2"], "--top is for text and --json; leave it out with --brief."),
        (["--top", "0"], "top must be"),
    ],
)
def test_forms_that_exclude_each_other_are_refused(ask, arguments, sentence):
    code, out, err = ask(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
