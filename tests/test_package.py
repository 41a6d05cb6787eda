"""What is built of the project: its files, its version, its citation, its extras."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FLOOR = re.compile(r"[A-Za-z][\w.-]*(>=|==)\d[\w.]*")


def list_files(builder):
    return {file.distribution_path for file in builder(str(ROOT)).recurse_included_files()}


def is_cache(path):
    return any(
        part.startswith(".") or part == "__pycache__" for part in path.relative_to(ROOT).parts
    )


@pytest.fixture(scope="module")
def sdist():
    return list_files(SdistBuilder)


def test_the_source_archive_holds_what_its_tests_need(sdist):
    wanted = {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "pyproject.toml",
    }
    assert wanted <= sdist
    for name in ("src/whence", "tests", "docs", "examples", "benchmarks", "tools"):
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and not is_cache(path):
                assert path.relative_to(ROOT).as_posix() in sdist, path


def test_it_holds_nothing_that_a_user_left(sdist):
    kept = ("src/", "tests/", "docs/", "examples/", "benchmarks/", "tools/", ".ci/")
    others = {name for name in sdist if not name.startswith(kept)}
    assert {name for name in others if "/" in name} == set()
    assert not [name for name in sdist if name.endswith((".pyc", ".pkl", ".onnx"))]


def test_the_wheel_holds_the_package_and_its_data():
    files = list_files(WheelBuilder)
    assert all(name.startswith("whence/") for name in files)
    source = ROOT / "src"
    for path in (source / "whence").rglob("*"):
        if path.is_file() and not is_cache(path):
            assert path.relative_to(source).as_posix() in files, path


def test_every_requirement_has_a_floor_and_no_address():
    listed = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]
    for one in listed:
        own = one.startswith(("whence[", "types-"))
        assert own or FLOOR.fullmatch(one), one
        assert "@" not in one


def test_tests_need_every_extra():
    (own,) = (one for one in EXTRAS["test"] if one.startswith("whence["))
    named = set(own.removeprefix("whence[").removesuffix("]").split(","))
    assert named == set(EXTRAS) - {"test", "notebook", "docs"}


def test_the_page_lists_every_extra_and_every_floor():
    page = (ROOT / "docs" / "package.md").read_text()
    for extra, requirements in EXTRAS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{extra}` |")]
        if extra != "test":
            for one in requirements:
                assert re.split(">=", one)[0] in row, (extra, one)
    for one in PROJECT["dependencies"]:
        name, floor = one.split(">=")
        assert re.search(rf"{re.escape(name)} {re.escape(floor)}\b", page), one


def test_version_changelog_and_citation_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    dated = re.search(
        r"^## (\d+\.\d+\.\d+) - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert dated is not None
    assert dated[1] == PROJECT["version"]
    assert dated[2] == citation["date-released"]


def test_the_command_is_there():
    module, function = PROJECT["scripts"]["whence"].split(":")
    assert callable(getattr(import_module(module), function))
