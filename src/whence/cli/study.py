"""``whence study``: test a published claim, ours beside what was published."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from whence.cli.align import align
from whence.cli.options import build_parser, parse
from whence.records.findings import Entry, Findings
from whence.storage.whole_files import write_json, write_whole
from whence.studies import FUNCTIONS, STUDIES


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "study",
        "Test a published claim and print ours beside what was published. "
        f"NAME is one of: {', '.join(STUDIES)}.",
    )
    parser.add_argument("name", type=str, nargs="?", metavar="NAME", help="which study")
    parser.add_argument("--list", action="store_true", help="print what each study claims")
    parser.add_argument(
        "--out",
        type=str,
        metavar="FOLDER",
        help="leave the table there, as JSON, and the page of a study that has one",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def study(arguments: list[str]) -> None:
    """Run a study, or list them."""
    options = parse(build(), arguments)
    if options.list:
        if options.name is not None or options.out is not None:
            raise ValueError("--list prints every study; leave out NAME and --out.")
        print(json.dumps(list_claims(), indent=1) if options.json else describe_claims())
        return
    if options.name is None:
        raise ValueError(f"NAME must be one of {', '.join(STUDIES)}; --list says what they claim.")
    findings: Findings = FUNCTIONS.find(options.name)()
    content = to_json(options.name, findings)
    if options.out is not None:
        write_json(Path(options.out) / f"{options.name}.json", content)
        if findings.page:
            write_whole(Path(options.out) / f"{options.name}.html", findings.page.encode())
    print(json.dumps(content, indent=1) if options.json else describe(options.name, findings))


def list_claims() -> list[dict[str, str]]:
    """Lay out every study with its claim and its source."""
    return [
        {"study": name, "claim": study.claim, "source": study.source}
        for name, study in STUDIES.items()
    ]


def describe_claims() -> str:
    """Write every study with its claim and its source, three lines each."""
    return "\n\n".join(
        f"{name}\n  {study.claim}\n  {study.source}" for name, study in STUDIES.items()
    )


def to_json(name: str, findings: Findings) -> dict[str, Any]:
    """Lay findings out as JSON, with what they are findings of."""
    return {
        "study": name,
        "claim": STUDIES[name].claim,
        "source": STUDIES[name].source,
        "holds": findings.holds,
        "verdict": findings.verdict,
        "rows": [dict(zip(findings.columns, row, strict=True)) for row in findings.rows],
        "versions": {package: version(package) for package in ("whence", "torch")},
    }


def describe(name: str, findings: Findings) -> str:
    """Lay findings out for a terminal: claim, table, verdict."""
    table = [list(findings.columns), *([show(entry) for entry in row] for row in findings.rows)]
    study = STUDIES[name]
    return "\n".join([f"{study.claim} ({study.source})", "", *align(table), "", findings.verdict])


def show(entry: Entry) -> str:
    """Write one entry of a table.

    >>> show(15447642), show(0.25), show(None)
    ('15,447,642', '0.25', '')
    """
    if entry is None:
        return ""
    if isinstance(entry, str):
        return entry
    return f"{entry:,}" if isinstance(entry, int) else f"{entry:.4g}"
