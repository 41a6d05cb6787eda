"""The sentences that docs/symptoms.md quotes are those of the code."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import whence
from tests.helpers.doc_pages import DOCS, read_fences

PAGE = DOCS / "symptoms.md"
QUOTED = [fence.text.strip() for fence in read_fences(PAGE)]
LEAST_LETTERS = 20
LEAST_SHARE = 0.35
"""Letters that a sentence has of its own in the code, beside the values in it; their share of it."""


class Name(NamedTuple):
    """A value in a text, by its name, or by none."""

    text: str | None


@cache
def list_texts():
    """List every text of the code in parts, None for the values in it that are not constants."""
    constants, texts = {}, []
    for path in Path(whence.__file__).parent.rglob("*.py"):  # a tree at a time: many are slow
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                constants |= {ast.unparse(target): node.value.value for target in node.targets}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts.append([read_part(part) for part in node.values])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append([node.value])
    known = {name: text for name, text in constants.items() if isinstance(text, str)}
    found = [
        [known.get(part.text) if isinstance(part, Name) else part for part in parts]
        for parts in texts
    ]
    return [parts for parts in found if count_letters(parts) >= LEAST_LETTERS]


def read_part(part):
    if isinstance(part, ast.Constant):
        return part.value
    return Name(part.value.id if isinstance(part.value, ast.Name) else None)


def count_letters(parts):
    return sum(len(part) for part in parts if part)


def is_said(sentence):
    for parts in list_texts():
        if count_letters(parts) < LEAST_SHARE * len(sentence):
            continue
        if all(part is None or part in sentence for part in parts):
            pattern = "".join(".+?" if part is None else re.escape(part) for part in parts)
            if re.fullmatch(pattern, sentence):
                return True
    return False


@pytest.mark.parametrize("sentence", QUOTED)
def test_the_code_says_it(sentence):
    assert is_said(sentence)


def test_another_word_is_noticed():
    for sentence in QUOTED:
        words = sentence.split(" ")
        changed = [*words[: len(words) // 2], "otherwise", *words[len(words) // 2 :]]
        cut = " ".join(words[:-1])
        assert not (is_said(" ".join(changed)) and is_said(cut)), sentence
    assert not is_said("The moon is made of cheese; choose another --out.")


def test_every_symptom_has_a_cause_and_a_fix():
    entries = re.split(r"^### ", PAGE.read_text(), flags=re.M)[1:]
    assert len(entries) >= 15
    for entry in entries:
        assert entry.count("**Cause.**") == entry.count("**Fix.**") == 1, entry
        assert entry.index("**Cause.**") < entry.index("**Fix.**")
    assert len(QUOTED) >= 15
    assert len(set(QUOTED)) == len(QUOTED)
