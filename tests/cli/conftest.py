"""A small run on photographs, and commands that must fail in one line and leave no trace."""

import shutil

import pytest
from PIL import Image

from tests.helpers.bad_input import QUICK, write_images
from tests.helpers.morph_runs import Caller, stop_early
from whence.cli import main

EXPLAINED = ["--train-examples", "60", "--epochs", "6", "--memory-size", "20"]


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", "ab")
    return tmp_path / "photos"


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Run a command that must fail with one line that holds ``message`` and leave no trace."""
    place = tmp_path / "working folder"
    place.mkdir()
    monkeypatch.chdir(place)

    def check(*arguments, message, leaves=()):
        before = list_files(tmp_path)
        assert main([str(argument) for argument in arguments]) == 2
        output = capsys.readouterr()
        lines = [line for line in output.err.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, output.err
        assert lines[0].startswith("whence: ")
        assert message in lines[0]
        assert output.out == ""
        new = {path.name for path in list_files(tmp_path).keys() - before.keys()}
        assert new == set(leaves)
        assert {
            path: time for path, time in list_files(tmp_path).items() if path in before
        } == before

    return check


def list_files(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run on a small image folder: (run, photos)."""
    folder = tmp_path_factory.mktemp("finished")
    write_images(folder / "photos", "ab")
    assert main(["train", str(folder / "photos"), *QUICK, "--out", str(folder / "run")]) == 0
    return folder / "run", folder / "photos"


@pytest.fixture
def run(finished, tmp_path, capsys):
    """A copy of it that may be damaged."""
    capsys.readouterr()
    return shutil.copytree(finished[0], tmp_path / "run")


@pytest.fixture
def here(tmp_path, monkeypatch, digits, coded):
    """A working folder with an image file, and one of another size in a folder."""
    monkeypatch.chdir(tmp_path)
    first, second = digits.test.images[coded[0][:2]]
    Image.fromarray(first[0].numpy()).save('say "five" & <6>.png')
    (tmp_path / "more").mkdir()
    large = Image.fromarray(second[0].numpy()).resize((24, 16))
    large.convert("RGB").save("more/large.png")
    return tmp_path


@pytest.fixture
def call(morph_runs, here, capsys, monkeypatch):
    """Run ``whence morph``, with codes and morphs that stop early."""
    stop_early(monkeypatch)
    return Caller(morph_runs, capsys)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A small run of Memory Wrap, made by the command."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    command = ["train", "digits", *EXPLAINED, "--variant", "memory-wrap", "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="session")
def standard_digits_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "standard"
    command = ["train", "digits", *EXPLAINED, "--variant", "standard", "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch, digits):
    """A working folder with two test digits as files, one of them in a folder and larger."""
    monkeypatch.chdir(tmp_path)
    first, second = digits.test.images[:2, 0].numpy()
    Image.fromarray(first).save('say "five" & <6>.png')
    (tmp_path / "more").mkdir()
    Image.fromarray(second).resize((24, 16)).convert("RGB").save("more/large.png")
    return tmp_path


@pytest.fixture
def call_explain(digits_run, place, capsys):
    """Run ``whence explain`` on the run; returns code, standard output and standard error."""

    def calls(*words, folder=digits_run):
        capsys.readouterr()
        code = main(["explain", str(folder), *map(str, words)])
        return code, *capsys.readouterr()

    return calls
