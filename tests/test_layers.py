"""Imports point one way only: a stage may use the stages above it in this list."""

import ast
from pathlib import Path

import pytest

STAGES = [
    "table",
    "shapes",
    "records",
    "score",
    "data",
    "encoders",
    "memory",
    "metrics",
    "prediction",
    "explanation",
    "report",
    "experiments",
    "compat",
    "cli",
]
ROOT = Path(__file__).parents[1] / "src" / "whence"
FILES = [
    path for path in ROOT.rglob("*.py") if path.parent != ROOT or not path.stem.startswith("__")
]


def imported_stages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("whence.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_forward(path):
    stage = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = set(STAGES[: STAGES.index(stage) + 1])
    assert imported_stages(path) <= allowed


def test_every_table_entry_exists():
    from whence.data import DATASETS
    from whence.encoders import ENCODERS

    for table in (DATASETS, ENCODERS):
        assert all(callable(function) for function in table.values())
