"""``whence edit --add``: images come to the memory of a run, also of classes that are new to it."""

import json
import shutil

import pytest
import torch

import whence
from tests.cli.test_audit_cli import call, write_stripes
from tests.helpers.bad_input import QUICK
from whence.cli import main


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """A run of votes on two classes, and images of them and of a third."""
    folder = tmp_path_factory.mktemp("edit")
    write_stripes(folder / "photos")
    for old, new in (("ant", "bee"), ("bee", "cow")):
        shutil.copytree(folder / "photos" / old, folder / "more" / new)
    words = ["train", str(folder / "photos"), *QUICK, "--variant", "votes", "--seed", "1"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder


def test_images_of_old_and_new_classes_come(striped, tmp_path, capsys):
    out = tmp_path / "grown"
    words = ["edit", striped / "run", "--add", striped / "more", "--new-classes", "cow"]
    with pytest.warns(UserWarning, match="learned without cow"):
        code, said, _ = call(capsys, *words, "--out", out)
    assert code == 0
    assert said.startswith("32 images added, of the new classes cow among others.")
    grown = whence.load(out)
    assert grown.class_names == ("ant", "bee", "cow")
    assert grown.bank.sources[-1].startswith("added/cow/")
    images = whence.read_images([striped / "more" / "cow" / "3.png"], like=grown).images
    assert grown(images).shape == (1, 3)
    record = json.loads((out / "whence.json").read_text())["run"]
    assert record["memory"]["added"] == 32
    assert record["class_counts"][2] == 0
    code, said, _ = call(capsys, "evaluate", out, "--no-controls", "--json")
    before = json.loads((striped / "run" / "metrics.json").read_text())["test"]
    assert code == 0
    assert json.loads(said)["data"] == "photos"
    assert record["memory"]["before"]["accuracy"] == before["accuracy"]
    code, said, _ = call(
        capsys, "evaluate", out, "--no-controls", "--json", "--data", striped / "more"
    )
    sample = whence.load_sample(striped / "more", grown.class_names, grown.image_shape).images
    hits = grown(sample.images).argmax(1) == sample.labels
    assert json.loads(said)["accuracy"] == pytest.approx(float(hits.double().mean()))
    assert sample.labels.bincount().tolist() == [0, 16, 16]
    words = ["memory", out, "--size", len(grown.bank), "--learn-again", "--out", tmp_path / "again"]
    assert call(capsys, *words)[0] == 0
    again = whence.load(tmp_path / "again")
    assert again.head.width < grown.head.width
    assert again.class_names == grown.class_names
    assert again.bank.indices.tolist() == grown.bank.indices.tolist()


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "edit needs a table of --corrections, or images to --add"),
        (["--add", "more", "--corrections", "x.csv"], "give one of them"),
        (["--corrections", "x.csv", "--new-classes", "cow"], "name these with --add"),
        (["--add", "more"], "cow"),
        (["--add", "more", "--new-classes", "bee"], "different names, got 'bee' twice"),
        (["--add", "none"], "none"),
    ],
)
def test_what_cannot_be_added_is_one_sentence(
    striped, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(striped)
    code, _, said = call(capsys, "edit", "run", *words, "--out", tmp_path / "x")
    assert code == 2
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("way", ["corrections", "add"])
def test_before_is_measured_by_the_threshold_that_was_kept(striped, tmp_path, capsys, way):
    """What the training measured was answered by another rule than what comes after."""
    run = shutil.copytree(striped / "run", tmp_path / "run")
    words = ["evaluate", run, "--no-controls", "--json"]
    code, said, _ = call(capsys, *words, "--cost", "ant=1000", "--keep")
    assert code == 0
    now = json.loads(said)
    trained = json.loads((run / "metrics.json").read_text())["test"]
    assert now["accuracy"] != trained["accuracy"], "else nothing is tested"
    stored = whence.load(run).bank
    table = tmp_path / "x.csv"
    table.write_text(
        f"file,index,label,corrected_label\n{stored.sources[0]},{int(stored.indices[0])},ant,bee\n"
    )
    (tmp_path / "more").mkdir()
    shutil.copytree(striped / "photos" / "ant", tmp_path / "more" / "ant")
    given = {"corrections": ("--corrections", table), "add": ("--add", tmp_path / "more")}[way]
    code, said, _ = call(capsys, "edit", run, *given, "--out", tmp_path / "new", "--json")
    assert code == 0
    before = json.loads(said)["before"]
    names = ("accuracy", "balanced_accuracy")
    assert [before[name] for name in names] == pytest.approx([now[name] for name in names])
    call(capsys, "evaluate", run, "--no-controls", "--no-threshold", "--keep")
    (tmp_path / "new").rename(tmp_path / "old")
    said = call(capsys, "edit", run, *given, "--out", tmp_path / "new", "--json")[1]
    assert json.loads(said)["before"]["accuracy"] == trained["accuracy"]


def write_groups(folder, place, rows):
    text = "path,group\n" + "".join(
        f"{one},{'odd' if i % 8 == 0 else 'usual'}\n" for i, one in rows
    )
    (folder / place).write_text(text)


def test_a_memory_keeps_groups_alike_and_learns_its_keys_again(striped, tmp_path, capsys):
    stored = whence.load(striped / "run").bank.sources
    write_groups(tmp_path, "groups.csv", enumerate(stored))
    words = ["memory", striped / "run", "--size", "4", "--groups", tmp_path / "groups.csv"]
    code, _, _ = call(capsys, *words, "--learn-again", "--out", tmp_path / "small")
    assert code == 0
    small = whence.load(tmp_path / "small")
    groups = ["odd" if stored.index(one) % 8 == 0 else "usual" for one in small.bank.sources]
    cells = set(zip(small.bank.labels.tolist(), groups, strict=True))
    assert len(cells) == 4
    known = whence.load_parts(striped / "run").validation
    by_hand = whence.design_memory(
        whence.load(striped / "run"),
        4,
        groups=["odd" if i % 8 == 0 else "usual" for i in range(len(stored))],
    )
    by_hand = whence.learn_again(by_hand, validation=known)
    assert torch.equal(small(known.images), by_hand(known.images))
    record = json.loads((tmp_path / "small" / "whence.json").read_text())["run"]["memory"]
    assert (record["groups"], record["learned_again"]) == ("groups.csv", True)
    write_groups(tmp_path, "few.csv", enumerate(stored[1:]))
    words[-1] = tmp_path / "few.csv"
    code, _, said = call(capsys, *words, "--out", tmp_path / "x")
    assert (code, "every stored image, 1 are missing" in said) == (2, True)
    (tmp_path / "few.csv").write_text("path\na.png\n")
    code, _, said = call(capsys, *words, "--out", tmp_path / "x")
    assert (code, "must have a column group, it has none" in said) == (2, True)
    code, _, said = call(capsys, "memory", striped / "run", "--learn-again")
    assert (code, "say how large: --size" in said) == (2, True)


def test_groups_are_erased_and_all_stored_images_stay(striped, tmp_path, capsys):
    run, stored = striped / "run", whence.load(striped / "run").bank.sources
    write_groups(tmp_path, "groups.csv", enumerate(stored))
    words = ["memory", run, "--groups", tmp_path / "groups.csv", "--erase-groups"]
    code, printed, _ = call(capsys, *words, "--out", tmp_path / "erased")
    assert code == 0
    assert f"{len(stored)} of {len(stored)} stored images stay" in printed
    rows = [line.split() for line in printed.splitlines()[1:4]]
    test = whence.load_parts(run).test
    right = (whence.load(run)(test.images).argmax(1) == test.labels).double().mean()
    assert rows[0][:4] == ["not", "erased", str(len(stored)), f"{float(right):.2%}"]
    assert [row[0] for row in rows[1:]] == ["all", "herding"]
    known = whence.load_parts(run).validation
    groups = ["odd" if i % 8 == 0 else "usual" for i in range(len(stored))]
    by_hand = whence.erase_groups(whence.load(run), groups, validation=known)
    erased = whence.load(tmp_path / "erased")
    assert sorted(erased.bank.sources) == sorted(stored)
    torch.testing.assert_close(erased(known.images), by_hand(known.images))
    assert not torch.allclose(erased(known.images), whence.load(run)(known.images))
    record = json.loads((tmp_path / "erased" / "whence.json").read_text())["run"]["memory"]
    assert (record["erased_groups"], record["size"]) == (True, len(stored))
    code, _, said = call(capsys, *words, "--size", "4", "--json")
    assert (code, (run / "banks" / "herding-4-erased").is_dir()) == (0, True), said
    for more, message in (
        (["--learn-again", "--size", "4"], "both make other keys"),
        (["--sizes", "4", "5"], "sizes measures several memories, and one is kept here"),
    ):
        code, _, said = call(capsys, *words, *more)
        assert (code, message in said) == (2, True), said
    code, _, said = call(capsys, "memory", run, "--erase-groups")
    assert (code, "needs the group of every stored image" in said) == (2, True)
