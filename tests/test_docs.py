"""What the README, the guide and the examples say runs as it stands there."""

import re
import runpy
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import whence
from whence.cli import COMMANDS

ROOT = Path(__file__).parents[1]
TEXTS = ("README.md", "docs/guide.md", "docs/evidence.md", "docs/morph.md", "docs/checks.md")
BLOCKS = [
    (path.name, number, block)
    for path in (ROOT / name for name in TEXTS)
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL))
]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = [
    (path.name, line)
    for path in PAGES
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def write_reviews(path):
    """Write a small table in the form of the film reviews: number, rating, sentence."""
    words = {2.5: ("fine", "warm", "moving"), -1.75: ("dull", "empty", "tired")}
    rows = [
        f"{number}\t{rating}\tA {kinds[number % 3]} ''{thing}'' number {number}"
        for number, (rating, kinds, thing) in enumerate(
            (rating, kinds, thing)
            for thing in ("film", "plot", "story", "cast", "scene", "song") * 2
            for rating, kinds in words.items()
        )
    ]
    path.write_text("\n".join(rows))


@pytest.mark.parametrize("block", [b for _, _, b in BLOCKS], ids=[f"{n}-{i}" for n, i, _ in BLOCKS])
def test_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "reviews.tsv" in block:
        write_reviews(tmp_path / "reviews.tsv")
    exec(compile(block, "block", "exec"), {})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize(("name", "line"), LINES)
def test_commands_of_the_pages_can_be_given(name, line):
    for command in re.split(r"&&|;", line):
        words = [word for word in shlex.split(command, comments=True) if word != "..."]
        if "whence" in words[:1] and len(words) > 1:
            import_module(COMMANDS[words[1]].__module__).build().parse_args(words[2:])
        elif words[:2] == ["python", "-m"]:
            assert find_spec(words[2]) is not None, words[2]


def test_public_names_of_the_pages_are_there():
    for path in PAGES:
        text = re.sub(r"whence\.(json|text|log)\b", "", path.read_text())
        for name in re.findall(r"`whence\.(\w+)", text):
            assert hasattr(whence, name) or find_spec(f"whence.{name}"), f"{path.name}: {name}"


def test_files_that_the_pages_name_are_there():
    rooms = {path.name for path in (ROOT / "src/whence").iterdir() if path.is_dir()}
    for path in PAGES:
        for word in re.findall(r"`([\w./-]+/[\w.-]*)`", path.read_text()):
            if re.search("NAME|RUN|FOLDER|-NN|^runs.photos", word):
                continue
            room = word.split("/")[0]
            base = ROOT / "src/whence" if room in rooms else ROOT
            if room in rooms | {"src", "tests", "docs", "benchmarks", "tools", "examples"}:
                there = (base / word).exists() or (ROOT / word).exists()
                assert there, f"{path.name}: {word}"


def test_there_is_something_to_run():
    assert len(BLOCKS) >= 3
    assert EXAMPLES


def test_links_lead_somewhere():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_lines_to_break_are_there():
    for name, right, wrong, tests in runpy.run_path(str(ROOT / "tools/break_it_once.py"))["BREAKS"]:
        assert right in (ROOT / "src/whence" / name).read_text(), (name, right)
        assert right != wrong
        assert len(list((ROOT / "tests").rglob(f"{tests}.py"))) == 1, tests


def test_the_test_command_is_found_by_ci():
    lines = (ROOT / "README.md").read_text().splitlines()
    place = lines.index("<!-- test -->")
    assert lines[place + 1] == "```sh"
    command = 'python -m pip install -e ".[test]" && python -m pytest -n logical --dist loadfile'
    assert lines[place + 2] == command
