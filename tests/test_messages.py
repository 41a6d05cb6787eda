"""No message repeats more than 200 characters of a value."""

import ast
from pathlib import Path

import pytest

import whence
from whence.data import DATASETS
from whence.messages import LONGEST, quote, shorten_text
from whence.runs.parse import from_mapping
from whence.runs.settings import FIELDS, Settings

SOURCE = Path(whence.__file__).parent
LONG = "x" * 10_000


def find_whole_values(source: str) -> list[int]:
    """List the lines of f-strings that write a value as Python would, in full, or cut it by hand.

    A name that a module lacks is Python's own to word.
    """
    tree = ast.parse(source)
    own = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "__getattr__"
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.FormattedValue) or id(node) in own:
            continue
        cut = isinstance(node.value, ast.Subscript) and isinstance(node.value.slice, ast.Slice)
        whole = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "repr"
        long_cut = cut and not _is_short(node.value.slice.upper)
        if node.conversion == ord("r") or whole or long_cut:
            found.append(node.lineno)
    return found


def _is_short(end: ast.expr | None) -> bool:
    return not isinstance(end, ast.Constant) or int(end.value) < LONGEST


def test_values_in_messages_go_through_the_helpers():
    found = {
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in find_whole_values(path.read_text())
        if path.name != "messages.py"
    }
    constants = {"tables/cell.py", "cli/table.py"}  # FULL, a name of ours
    assert {place for place in found if place.split(":")[0] not in constants} == set()
    assert len(found) <= len(constants)


def test_the_search_finds_each_form():
    source = 'f"{a!r}"\nf"{repr(a)}"\nf"{a[:200]}"\nf"{quote(a)} {a[:8]} {a}"\n'
    assert find_whole_values(source) == [1, 2, 3]


@pytest.mark.parametrize("value", [LONG, LONG.encode(), [LONG], {LONG: LONG}, 10**4000], ids=type)
def test_quotes_are_short(value):
    assert len(quote(value)) == LONGEST
    assert len(shorten_text(LONG)) == LONGEST


def message_of(work) -> str:
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as caught:
        work()
    return str(caught.value)


@pytest.mark.parametrize("name", ["size", "variant", "train_examples"])
def test_long_settings_are_refused_in_short(name):
    values = {"data": "digits", name: LONG}
    message = message_of(lambda: from_mapping(values, Settings, where="x"))
    assert len(message) < 5 * LONGEST
    assert "xxx" in message


def test_long_names_are_refused_in_short():
    assert len(message_of(lambda: DATASETS.find(LONG))) < 5 * LONGEST
    with pytest.raises(ValueError, match="has an unknown setting") as caught:
        from_mapping({"data": "digits", LONG: 1}, Settings, where="x")
    assert len(str(caught.value)) < 5 * LONGEST + sum(len(name) + 2 for name in FIELDS)
