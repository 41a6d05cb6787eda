"""What the README, the pages and the examples say runs as it stands there."""

import ast
import re
import runpy
import shlex
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

import whence
from tests.helpers.doc_pages import NOT_RUN, PAGES, RUN, read_fences, read_prose
from whence.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
FENCES = [fence for page in PAGES for fence in read_fences(page)]
RUN_ELSEWHERE = {
    "deploy": "deploy/test_deploy_page.py",
    "distributed": "training/test_team.py",
}
"""Pages whose block is run by a test of its own, because it needs files or processes."""
BLOCKS = [
    fence
    for fence in FENCES
    if fence.language == "python" and not fence.title and fence.page.stem not in RUN_ELSEWHERE
]
SHELL = [fence for fence in FENCES if fence.language == "sh"]
LINES = [
    (fence.page.name, line)
    for fence in SHELL
    for line in fence.text.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
OPTIONS_OF_OTHERS = {"--memory-limit", "--max-restarts", "--modality", "--continue-train"}
"""Options that pages name and that are another program's, or those of the authors."""


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


def write_photos(folder):
    """Write two classes of 20 small images, and one that is in neither."""
    for number in range(40):
        place = folder / "photos" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        colour = (250 - 5 * number, 90, 40) if number % 2 else (40, 90, 5 * number)
        Image.new("RGB", (16, 16), colour).save(place / f"{number}.png")
    Image.new("RGB", (16, 16), "red").save(folder / "new.jpg")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "reviews.tsv" in block.text:
        write_reviews(tmp_path / "reviews.tsv")
    exec(compile(block.text, block.name, "exec"), {})


def test_blocks_are_of_kinds_that_are_checked():
    for fence in FENCES:
        assert fence.language in ("python", "sh", "text", "toml"), fence
        assert not fence.title or fence.title.startswith(
            (f"{RUN}, ", f"{NOT_RUN}: ", f"{NOT_RUN} here: ")
        )
        if fence.language == "python":
            ast.parse(fence.text)
        if fence.language == "toml":
            tomllib.loads(fence.text)
    starts = sum(page.read_text().count("```") for page in PAGES)
    assert starts == 2 * len(FENCES)  # none is written in a way that is not seen here


@pytest.mark.parametrize(("page", "test"), RUN_ELSEWHERE.items())
def test_blocks_with_a_test_of_their_own_have_one(page, test):
    assert f"{page}.md" in (ROOT / "tests" / test).read_text()


@pytest.mark.parametrize(
    "block", [one for one in SHELL if one.title.startswith(RUN)], ids=lambda block: block.name
)
def test_commands_that_say_so_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path)
    for line in block.text.splitlines():
        command, *words = shlex.split(line, comments=True)
        assert command == "whence"
        assert main(words) == 0, line


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")


@cache
def build_parser(command):
    return import_module(COMMANDS[command].__module__).build()


@pytest.mark.parametrize(("name", "line"), LINES)
def test_commands_of_the_pages_can_be_given(name, line):
    for command in re.split(r"&&|;", re.sub(r"\s#\s.*", "", line)):
        words = [word for word in shlex.split(command, comments=True) if word != "..."]
        while words and re.fullmatch(r"\w+=\S*", words[0]):  # a variable that is set
            del words[0]
        if not words or words == ["whence", "demo"]:
            continue
        if words[0] == "whence":
            build_parser(words[1]).parse_args(words[2:])
        elif words[:2] == ["python", "-m"]:
            check_module(words[2], words[3:])
        else:
            assert words[0] in ("dask", "torchrun"), words[0]


def check_module(name, words):
    """Refuse a module that is not there, or one of ours that has no such option."""
    found = find_spec(name)
    assert found is not None or name == "build", name
    if name.split(".")[0] in ("benchmarks", "tools"):
        source = Path(found.origin).read_text()
        for shared in re.findall(r"^from (benchmarks\.\w+) import", source, re.M):
            source += Path(find_spec(shared).origin).read_text()
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            field = option.removeprefix("--").replace("-", "_")
            assert f'"{option}"' in source or re.search(rf"\b{field}\b", source), (name, option)


def list_options(command):
    return {option for action in build_parser(command)._actions for option in action.option_strings}


def test_commands_within_sentences_have_their_options():
    tools = "".join(path.read_text() for path in (ROOT / "benchmarks").glob("*.py"))
    everywhere = set().union(*map(list_options, COMMANDS), re.findall(r'"(--[\w-]+)"', tools))
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", read_prose(page)):
            words = code.split()
            options = {word.split("=")[0] for word in words if re.match(r"--\w", word)}
            if words[0] == "whence" and len(words) > 1 and words[1] in COMMANDS:
                known = list_options(words[1]) | OPTIONS_OF_OTHERS
                assert options <= known, f"{page.name}: {code}"
            elif words[0].startswith("--"):
                known = everywhere | OPTIONS_OF_OTHERS
                assert options <= known, f"{page.name}: {code}"


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
    assert len(BLOCKS) >= 14
    assert any(one.title.startswith(RUN) for one in SHELL)
    assert EXAMPLES


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
