"""A name at the top level of a file is there once in the whole package, so that it can be found.

``SHARED`` lists the names that are not; it may only become shorter.
"""

import ast
from collections import Counter
from pathlib import Path

from tests.helpers.shared_names import SHARED

ROOT = Path(__file__).parents[1] / "src" / "whence"
BY_CONVENTION = {"build", "__all__", "__dir__", "__getattr__"}
"""Every command builds its parser, and packages list their names."""


def names_of(path: Path) -> set[str]:
    """The functions, classes and values that a file defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
    return names


def count_shared() -> dict[str, int]:
    counts = Counter(
        name
        for path in ROOT.rglob("*.py")
        for name in names_of(path) - BY_CONVENTION
        if path.stem != name or "cli" not in path.parts  # a command's function has its name
    )
    return {name: count for name, count in counts.items() if count > 1}


def test_names_are_unique_but_for_a_list_that_only_shrinks():
    found = count_shared()
    new = {name: count for name, count in found.items() if count > SHARED.get(name, 1)}
    gone = {name for name, count in SHARED.items() if found.get(name, 1) < count}
    assert new == {}, "choose another name"
    assert gone == set(), "take it off the list"
