"""What the README, the guide and the examples say runs as it stands there."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = ("README.md", "docs/guide.md", "docs/evidence.md", "docs/morph.md")
BLOCKS = [
    (path.name, number, block)
    for path in (ROOT / name for name in TEXTS)
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL))
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("block", [b for _, _, b in BLOCKS], ids=[f"{n}-{i}" for n, i, _ in BLOCKS])
def test_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block", "exec"), {})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")


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
