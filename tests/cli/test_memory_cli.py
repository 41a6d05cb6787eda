"""``whence memory`` on a small run: what is measured, what is kept, and what is refused."""

import json
from pathlib import Path

import pytest
import torch

import whence
from whence.cli import main
from whence.evidence import design_memory
from whence.models.load import load
from whence.models.using import encode_all
from whence.runs import finish, other_memory


@pytest.fixture
def run_in(measured_run, tmp_path, monkeypatch):
    """Ask for memories of the measured run, kept below a folder of this test."""

    def ask(*arguments):
        return main(["memory", str(measured_run), *arguments, "--device", "cpu"])

    monkeypatch.chdir(tmp_path)
    return ask


def test_memories_are_measured_and_drawn(run_in, tmp_path, capsys):
    asked = ["--by", "k-center", "random", "--sizes", "20", "12", "--figure", "sizes.png"]
    assert run_in(*asked) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows[1:]] == [
        ["all", "50"],
        ["k-center", "12"],
        ["k-center", "20"],
        ["random", "12"],
        ["random", "20"],
    ]
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    assert run_in(*asked) == 2
    assert "sizes.png is there already" in capsys.readouterr().err


def test_a_memory_is_kept_as_a_run(run_in, measured_run, measured_digits, capsys):
    assert run_in("--by", "shapley", "--size", "15", "--out", "small", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    whole, kept = load(measured_run), load("small")
    parts = whence.load_parts("small")
    smaller = whence.design_memory(whole, 15, by="shapley", validation=parts.validation)
    assert kept.bank.indices.tolist() == smaller.bank.indices.tolist()
    images = measured_digits.test.images
    assert torch.equal(kept(images), smaller(images))
    assert found["sizes"][0]["size"] == 50
    assert (
        found["sizes"][1]["accuracy"]
        == whence.evaluate(kept, measured_digits.test, memory_size=5, draws=1).whole_memory
    )
    assert kept.calibration.images == whole.calibration.images
    about = json.loads(Path("small/whence.json").read_text())
    memory = about["run"]["memory"]
    assert (memory["selection"], memory["size"], memory["before"]) == ("shapley", 15, 50)
    metrics = json.loads(Path("small/metrics.json").read_text())
    assert metrics["test"]["accuracy"] == found["sizes"][1]["accuracy"]
    assert main(["evaluate", "small", "--no-controls", "--device", "cpu"]) == 0


def test_every_image_is_encoded_once(run_in, measured_run, monkeypatch):
    seen = []
    parts = whence.load_parts(measured_run)

    def count(model, images, **options):
        seen.append(len(images))
        return encode_all(model, images, **options)

    for module in (design_memory, finish):
        monkeypatch.setattr(module, "encode_all", count)
    assert run_in("--by", "support", "--size", "15", "--out", "small") == 0
    assert sorted(seen) == sorted([len(parts.validation), len(parts.test)])


@pytest.mark.parametrize(
    "asked, message",
    [
        (["--size", "20", "--by", "support", "random"], "kept by one selection"),
        (["--size", "20", "--by", "support", "--sizes", "9"], "sizes measures several memories"),
        (["--name", "x"], "say how large: --size"),
        (["--by", "best"], "Unknown selection 'best'. Choose from: balanced, herding"),
        (["--size", "20", "--by", "support", "--name", "../x"], "must be that of a folder"),
        (["--pin", "@none.txt"], "pin must name a list of stored images, no file none.txt"),
        (["--size", "4", "--by", "random", "--out", "x"], "whence: size must be at least 10"),
        (["--size", "51", "--by", "random", "--out", "x"], "whence: size must be at most 50"),
        (["--ban", "7", "--by", "random", "--sizes", "9"], "ban must leave a stored image"),
        (["--sizes", "4", "20", "--by", "random"], "whence: sizes must be at least 10"),
        (["--sizes", "20", "51", "--by", "support"], "whence: sizes must be at most 50"),
        (["--pin", "gone.png", "--size", "20", "--out", "x"], "gone.png"),
        (["--pin", "7", "--ban", "7", "--sizes", "20"], "must"),
        (["--group-column", "kind"], "group-column is for a table of groups"),
    ],
)
def test_what_does_not_fit_is_one_sentence(run_in, tmp_path, capsys, monkeypatch, asked, message):
    monkeypatch.setattr(design_memory, "encode_all", None)  # nothing is encoded before it is said
    assert run_in(*asked) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_herding_is_what_is_kept_by_default(run_in, tmp_path, capsys):
    assert run_in("--size", "12", "--out", "a") == run_in(
        "--size", "12", "--by", "herding", "--out", "b"
    )
    said = capsys.readouterr().out
    assert "12 of 50 stored images stay" in said
    assert said.count("herding") == 2
    first, second = (whence.load(one).bank.indices.tolist() for one in "ab")
    assert first == second


def test_a_list_of_images_is_read_from_a_file(run_in, tmp_path, capsys):
    (tmp_path / "keep.txt").write_text("1\n\n 8 \n")
    assert run_in("--by", "random", "--sizes", "22", "--pin", "@keep.txt") == 0
    assert run_in("--by", "random", "--sizes", "22", "--pin", "1", "8") == 0
    first, second = capsys.readouterr().out.split("selection")[1:]
    assert first == second
    (tmp_path / "keep.txt").write_text("\n")
    assert run_in("--by", "random", "--sizes", "22", "--pin", "@keep.txt") == 2
    assert "it is empty" in capsys.readouterr().err


def test_a_standard_model_has_nothing_to_choose(standard_run, capsys):
    assert main(["memory", str(standard_run)]) == 2
    assert "is a standard model, which has no memory" in capsys.readouterr().err


def test_what_is_there_is_not_overwritten_and_nothing_half_is_left(
    run_in, tmp_path, monkeypatch, capsys
):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "mine.txt").write_text("mine")
    asked = ["--by", "random", "--size", "20", "--out"]
    assert run_in(*asked, "small") == 2
    assert "small is there already" in capsys.readouterr().err

    def fail(*_, **__):
        raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(other_memory, "write_model", fail)
    assert run_in(*asked, "other") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


def test_of_a_smaller_memory_only_what_it_holds_is_known(measured_run, tmp_path):
    parts = whence.load_parts(measured_run)
    smaller = whence.design_memory(load(measured_run), 15)
    given = {"validation": parts.validation, "test": parts.train}
    found = other_memory.write_with_memory(
        smaller, measured_run, tmp_path / "small", {}, images=given, batch_size=50
    )
    known = found["test"]["known"]
    assert (known["memory"], known["train"]) == (15, 50)
