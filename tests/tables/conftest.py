"""Small cells in place of the paper's, and the command."""

import csv

import pytest

from tests.helpers.paper_cells import (
    COUNTS,
    OTHER_COUNTS,
    ROOT,
    write_toys,
)
from whence.cli import main
from whence.tables import paper_tables
from whence.tables.cell import Cell
from whence.tables.paper_tables import (
    read_cells,
)


@pytest.fixture(scope="module")
def every_cell() -> list[Cell]:
    return [cell for table in COUNTS for cell in read_cells(table)]


@pytest.fixture(scope="module")
def other_cells() -> dict[int, tuple[Cell, ...]]:
    return {table: read_cells(table) for table in OTHER_COUNTS}


@pytest.fixture(scope="module")
def published() -> list[dict[str, str]]:
    """Tables 5, 6, 7 and 13 of the paper."""
    with (ROOT / "tests" / "helpers" / "explanation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Two small cells in place of the paper's table 1."""
    monkeypatch.setattr(paper_tables, "CELLS", write_toys(tmp_path / "cells"))
    return tmp_path / "runs"


@pytest.fixture
def run_table(capsys):
    """Call ``whence table`` and return its exit code, stdout and stderr."""

    def call(*arguments):
        code = main(["table", *map(str, arguments), "--device", "cpu"])
        return code, *capsys.readouterr()

    return call
