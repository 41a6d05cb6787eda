"""Images and folders that cannot be read: one sentence, or a line for that image alone."""

import html
import json
import os
from urllib.error import URLError

import pytest

from tests.helpers.bad_input import QUICK, write_images
from whence.cli import main


def test_an_unreadable_image_is_named(photos, fails):
    (photos / "a" / "3.png").write_text("no image")
    fails("train", photos, *QUICK, message="a/3.png cannot be read as an image (it is not an image")
    png = (photos / "b" / "1.png").read_bytes()
    (photos / "a" / "3.png").write_bytes(png[: len(png) // 2])
    fails(
        "train", photos, *QUICK, message="a/3.png cannot be read as an image (image file is trunc"
    )


def test_many_unreadable_images_are_counted(photos, fails):
    for index in range(5):
        (photos / "a" / f"{index}.png").write_bytes(b"")
    fails("train", photos, *QUICK, message="5 of 12 files cannot be read as images: ")


def test_a_dangling_link_is_named(photos, fails):
    (photos / "a" / "9.png").symlink_to("gone.png")
    fails("train", photos, *QUICK, message="9.png")


def test_an_empty_class_folder(photos, fails):
    (photos / "c").mkdir()
    fails("train", photos, *QUICK, message="photos/c must hold image files, it holds nothing; add")


@pytest.mark.parametrize(("classes", "found"), [("a", "only 'a'"), ("", "no folder")])
def test_one_class_only(tmp_path, fails, classes, found):
    (tmp_path / "x").mkdir()
    write_images(tmp_path / "x", classes)
    message = f"for at least two classes, it holds {found}; put the images of each class"
    fails("train", tmp_path / "x", *QUICK, message=message)


def test_a_class_of_one_image(photos, fails):
    write_images(photos, "c", count=1)
    message = "Class 'c' in .*photos must have at least 2 images".replace(
        ".*", str(photos.parent) + "/"
    )
    fails("train", photos, *QUICK, message=message)


@pytest.mark.skipif(os.name == "nt", reason="no such names")
def test_class_folders_that_a_run_folder_could_not_name(tmp_path, fails):
    """Found out before the training, not when its result is read."""
    write_images(tmp_path / "x", ["C:", "a"])
    message = "the images must name files inside the dataset's folder, got 'C:/"
    fails("train", tmp_path / "x", *QUICK, message=message)


def test_other_classes_in_the_test_folder(tmp_path, fails):
    write_images(tmp_path / "x" / "train", "ab")
    write_images(tmp_path / "x" / "test", "ac")
    fails(
        "train", tmp_path / "x", *QUICK, message="it lacks b and adds c; give both the same folders"
    )


def test_data_that_is_no_data(photos, fails, tmp_path):
    choices = "Give an image folder, a table of labels (.csv), or choose from: digits, mnist, "
    fails(
        "train",
        "nosuch",
        message=f"Unknown dataset 'nosuch', and there is no such folder. {choices}",
    )
    fails("train", tmp_path / "gone", message="there is no such folder")
    fails("train", photos / "a" / "0.png", message="0.png is a file; give the folder that holds")
    fails("train", message="the following arguments are required: data")


def test_datasets_that_are_not_there(fails, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    for name in ("cifar10", "cinic10"):
        fails("train", name, "--data-root", tmp_path / "none", *QUICK, message=f"{name} ")


# Some of many


@pytest.fixture
def some(photos):
    """Three good files and three bad ones in one folder, and what no command looks at."""
    folder = photos / "a"
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:-40])
    (folder / "3.png").write_text("no image")
    (folder / "4.png").unlink()
    (folder / "4.png").symlink_to("gone.png")
    leave_traces(folder)
    return folder


def leave_traces(folder):
    """What operating systems and people leave beside images."""
    for name in ("._0.png", ".hidden.png", "Thumbs.db", "__MACOSX/._0.png", "x.png/readme.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no image")
    if os.name == "posix":
        os.mkfifo(folder / "pipe.png")


BAD = [
    "1.png cannot be read as an image (image file is truncated",
    "3.png cannot be read as an image (it is not an image file of a format that is read); replace",
    "4.png must be an image file, there is no such file.",
]


def call(capsys, *arguments):
    capsys.readouterr()
    return main(list(map(str, arguments))), *capsys.readouterr()


@pytest.mark.parametrize("batch_size", [1, 4, 128])
def test_predict_answers_for_the_others_and_ends_with_one(run, some, capsys, batch_size):
    code, output, errors = call(capsys, "predict", run, some, "--batch-size", batch_size)
    heads = [line for line in output.splitlines() if line.startswith(str(some))]
    assert [line.split(": ")[0] for line in heads] == [f"{some}/{i}.png" for i in range(6)]
    for place, sentence in zip((1, 3, 4), BAD, strict=True):
        assert f"{place}.png: no answer; " in heads[place]
        assert sentence in heads[place]
    left_out, said = errors.splitlines()
    assert f"Of {some}, 1 file is left out ('x.png/readme.txt')" in left_out
    assert (code, said) == (1, "whence: 3 of 6 images could not be read.")
    code, output, _ = call(capsys, "predict", run, some, "--json", "--batch-size", batch_size)
    found = [json.loads(line) for line in output.splitlines()]
    assert [one["image"] for one in found] == [f"{some}/{i}.png" for i in range(6)]
    assert [set(one) == {"image", "error"} for one in found] == [n in (1, 3, 4) for n in range(6)]
    alone = call(capsys, "predict", run, some / "5.png", "--json")
    assert alone[0] == 0
    expected = json.loads(alone[1])["probabilities"]
    assert found[5]["probabilities"] == pytest.approx(expected, abs=1e-6)


def test_explain_shows_the_others_and_ends_with_one(run, some, tmp_path, capsys):
    page = tmp_path / "page.html"
    quick = ["--method", "none", "--draws", "0"]
    code, output, errors = call(capsys, "explain", run, some, "--out", page, *quick)
    assert (code, output.count(".png: ")) == (1, 3)
    assert errors.splitlines()[-1] == "whence: 3 of 6 images could not be read."
    for sentence in BAD:
        assert sentence in errors
        assert sentence in html.unescape(page.read_text()).replace("\u200b", "").replace(
            "<wbr>", ""
        )
    code, output, _ = call(capsys, "explain", run, some, "--json", *quick)
    assert (code, len(json.loads(output)["answers"])) == (1, 3)


def test_nothing_that_can_be_read_is_an_error_of_the_command(fails, run, some):
    for name in ("1", "3", "4"):
        fails("explain", run, some / f"{name}.png", message=f"{name}.png")


def test_what_systems_leave_beside_images_is_passed_over(run, photos, capsys):
    whole = call(capsys, "predict", run, photos / "a")
    leave_traces(photos / "a")
    (photos / "a" / "x.png" / "readme.txt").unlink()
    for given in (
        [photos / "a"],
        sorted((photos / "a").glob("[!._xp]*")),
        [photos / "a", photos / "._b"],
    ):
        assert call(capsys, "predict", run, *given) == whole
    given = [*(photos / "a").glob("*.png"), photos / "a" / "__MACOSX", photos / "a" / "Thumbs.db"]
    names = [path for path in given if path.name not in (".hidden.png", "x.png", "pipe.png")]
    assert call(capsys, "predict", run, *sorted(names)) == whole


def test_only_what_systems_leave_is_refused(fails, run, photos):
    leave_traces(photos / "a")
    message = "__MACOSX; an operating system left it there."
    fails("predict", run, photos / "a" / "__MACOSX", message=message)
    fails(
        "explain", run, photos / "a" / "x.png", message="x.png holds no image: 1 file is left out"
    )


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_pipe_is_not_waited_for(run, photos, capsys, command):
    leave_traces(photos)
    code, output, errors = call(capsys, command, run, photos / "pipe.png")
    assert code == (1 if command == "predict" else 2)
    assert "pipe.png cannot be read as an image (it is no regular file)" in output + errors


def test_a_folder_passes_over_what_it_cannot_be_trained_on(photos, tmp_path, capsys):
    leave_traces(photos / "a")
    code, _, errors = call(capsys, "train", photos, *QUICK, "--out", tmp_path / "new")
    assert code == 0, errors
    assert "a/pipe.png and 1 more are not used: not an image in a class folder." in errors


@pytest.mark.parametrize("words", [["predict"], ["explain", "--method", "none"]])
def test_files_of_a_folder_that_get_no_answer_are_said(run, photos, tmp_path, capsys, words):
    (photos / "a" / "new.heic").write_bytes(b"x")
    out = ["--force", "--out", tmp_path / "x.html"] if words[0] == "explain" else []
    code, _, errors = call(capsys, *words, run, photos / "a", *out)
    assert code == 0, errors
    assert f"note: Of {photos / 'a'}, 1 file is left out ('new.heic'), named unlike" in errors
    (photos / "only").mkdir()
    (photos / "a" / "new.heic").rename(photos / "only" / "new.heic")
    code, _, errors = call(capsys, *words, run, photos / "only", *out)
    assert code == 2
    assert f"{photos / 'only'} holds no image: 1 file is left out ('new.heic'), named" in errors
