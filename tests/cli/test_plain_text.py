"""Names with characters that a terminal would obey are printed as escapes, wherever they come from."""

import io
import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from whence import cli
from whence.cli import complain, main
from whence.cli.plain_text import escape, print_note
from whence.cli.work.predict import escape_sources
from whence.records.answers import Evidence, Prediction

CLEAR = "\x1b[2J"  # clears a terminal
ODD = CLEAR + ("\udce9" if sys.platform == "linux" else "")  # a byte that is not UTF-8


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("photo 1.png", "photo 1.png"),
        ("Fu\xdfg\xe4nger \u65e5\u672c \U0001f431.png", "Fu\xdfg\xe4nger \u65e5\u672c \U0001f431.png"),
        ("narrow\u202fspace, no\xa0break", "narrow\u202fspace, no\xa0break"),
        (r"C:\photos\new.png", r"C:\photos\new.png"),
        (f"a{CLEAR}b", r"a\x1b[2Jb"),
        ("a\tb\r\nc\x00\x7f\x9b", r"a\tb\r\nc\x00\x7f\x9b"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
        ("\u2067a\u2069\u200f", r"\u2067a\u2069\u200f"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_is_escaped(text, written):
    assert escape(text) == written
    assert escape(escape(text)) == written


def test_notes_and_complaints_are_one_harmless_line(capsys):
    print_note(f"{CLEAR}.png: taken\nup.")
    assert complain(f"No image {CLEAR}\x9b\n.png.") == 2
    errors = capsys.readouterr().err
    assert errors == "note: \\x1b[2J.png: taken\\nup.\nwhence: No image \\x1b[2J\\x9b .png.\n"


def test_sources_of_evidence_are_escaped_and_nothing_else_changes():
    item = Evidence(3, 1, 0, 0.75, 0.5, "counterfactual", f"a/{CLEAR}.png")
    other = replace(item, index=5, weight=0.25, source=None)
    answer = Prediction(0, torch.tensor([0.75, 0.25]), (item, other), -0.25, (), True, None)
    found = escape_sources(answer)
    assert found.evidence == (replace(item, source=r"a/\x1b[2J.png"), other)
    assert vars(replace(found, evidence=answer.evidence)) == vars(answer)


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses such names")
def test_every_command_escapes_the_names_it_prints(tmp_path, capsys):
    from PIL import Image

    rng = torch.Generator().manual_seed(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = torch.randint(0, 256, (9, 9, 3), generator=rng, dtype=torch.uint8).numpy()
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{ODD}{number}.png")
    asked = tmp_path / f"new{ODD}.png"
    Image.new("RGB", (8, 8), (7, 80, 200)).save(asked)
    run, page = str(tmp_path / f"ru{CLEAR}n"), str(tmp_path / f"pa{CLEAR}ge.html")
    quick = ["--epochs", "1", "--memory-size", "5"]
    commands = [
        ["train", str(tmp_path / "photos"), "--out", run, *quick],
        ["predict", run, str(asked)],
        ["evaluate", run, "--no-controls"],
        ["explain", run, str(asked), "--out", page, "--method", "none", "--draws", "0"],
        ["report", run, "--out", f"{page}.html", "--hard", "1"],
        ["explain", run, str(asked), "--out", page],  # refused, the page is there
    ]
    for command in commands:
        assert main(command) == (2 if command is commands[-1] else 0)
        found = capsys.readouterr()
        text = found.out + found.err
        assert [escape(line) for line in text.split("\n")] == text.split("\n"), command[0]
        assert r"\x1b[2J" in text, command[0]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_the_terminal_cannot_show_is_replaced(monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr(cli, "overview", lambda: "50 % \u00b1 1, \u65e5")
    assert main(["--help"]) == 0
    sys.stdout.flush()
    shown = written.getvalue().decode(encoding)
    assert shown == f"50 % {chr(177) if encoding != 'ascii' else chr(92) + 'xb1'} 1, \\u65e5\n"


def test_a_refusal_of_the_system_says_what_could_not_be_done(monkeypatch, capsys):
    def refuse(_arguments):
        raise PermissionError(13, "Permission denied", "photos/a")

    monkeypatch.setattr(cli, "COMMANDS", SimpleNamespace(find=lambda _name: refuse))
    assert main(["predict"]) == 2
    expected = "whence: photos/a cannot be read or written (permission denied).\n"
    assert capsys.readouterr().err == expected
