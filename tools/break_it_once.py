"""Break one line at a time and check that a test notices each.

    python tools/break_it_once.py

Works on a copy of the tree, so that nothing is left broken. Not part of the test run: it starts the
tests of a file once per break.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from tools.lines_of_attribution import ATTRIBUTION
    from tools.lines_of_delivery import DELIVERY
    from tools.lines_of_models import MODELS
    from tools.lines_of_runs import RUNS
except ModuleNotFoundError:  # run as a file
    from lines_of_attribution import ATTRIBUTION
    from lines_of_delivery import DELIVERY
    from lines_of_models import MODELS
    from lines_of_runs import RUNS

ROOT = Path(__file__).parents[1]
BREAKS = [*MODELS, *RUNS, *ATTRIBUTION, *DELIVERY]
"""File below src/whence, text that is right, text that is wrong, tests that must notice."""


def noticed(tree: Path, file: str, right: str, wrong: str, tests: str) -> bool:
    """Say whether the tests fail with ``wrong`` in place of the first ``right``."""
    path = tree / "src" / "whence" / file
    original = path.read_text()
    if right not in original:
        raise ValueError(f"{right!r} must be in {file}, it is not.")
    path.write_text(original.replace(right, wrong, 1))
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    try:
        run = subprocess.run(
            [*command, str(next((tree / "tests").rglob(f"{tests}.py")))],
            cwd=tree,
            env=environment,
            capture_output=True,
            check=False,
        )
    finally:
        path.write_text(original)
    return run.returncode == 1


def leave_out(folder: str, names: list[str]) -> set[str]:
    """Leave out what is large and no source, at the top of the tree only."""
    return {".git", ".venv", "runs", ".data"} & set(names) if Path(folder) == ROOT else set()


def main() -> None:
    """Break each line in turn and list what no test noticed."""
    chosen = [case for case in BREAKS if not sys.argv[1:] or case[0] in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        shutil.copytree(ROOT, tree, ignore=leave_out)
        missed = []
        for case in chosen:
            found = noticed(tree, *case)
            print("noticed" if found else "MISSED ", case[0], "|", case[1].strip(), flush=True)
            missed += [] if found else [case]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
