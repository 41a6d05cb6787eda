"""A stranger adds a part: one file, one line of a table, one test. Nothing else is touched.

The package is copied, all parts are added to the copy, and each is used by public ways alone.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import whence
from tests.helpers.strangers import ADDITIONS

PROVE = """
import contextlib, io, json, sys, traceback
from pathlib import Path
import torch
import whence
from whence.cli import main

generator = torch.Generator().manual_seed(0)
images = torch.randint(0, 256, (30, 1, 8, 8), generator=generator, dtype=torch.uint8)
labels = torch.arange(30) % 3
for name, proof in json.load(sys.stdin).items():
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            exec(proof, dict(globals()))
        problem = None
    except BaseException:
        problem = traceback.format_exc() + said.getvalue()
    print(json.dumps([name, problem]), flush=True)
"""


@pytest.fixture(scope="module")
def proofs(tmp_path_factory):
    """What is wrong with each new part, None where it works."""
    place = tmp_path_factory.mktemp("copy")
    package = place / "whence"
    shutil.copytree(Path(whence.__file__).parent, package)
    for addition in ADDITIONS.values():
        assert not (package / addition.file).exists()
        (package / addition.file).write_text(addition.text.lstrip())
        table = package / addition.table
        text = table.read_text()
        assert text.count(addition.after) == 1, addition.after
        text = text.replace(addition.after, addition.after + addition.line)
        if addition.import_after is not None:
            before, imported = addition.import_after
            text = text.replace(before, before + imported)
        table.write_text(text)
    (place / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROVE],
        input=json.dumps({name: addition.proof for name, addition in ADDITIONS.items()}),
        capture_output=True,
        text=True,
        cwd=place / "work",
        env={**os.environ, "PYTHONPATH": str(place)},
        check=False,
    )
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("name", ADDITIONS)
def test_a_new_part_is_one_file_and_one_line(proofs, name):
    assert name in proofs
    assert proofs[name] is None, proofs[name]
