"""What ``whence study`` does once its arguments are in order."""

import json
from importlib.metadata import version
from typing import Any

from whence.cli.align import align
from whence.storage.whole_files import write_json, write_whole
from whence.studies import FUNCTIONS, STUDIES
from whence.studies.parts.findings import Findings, show_entry
from whence.studies.parts.page import render_findings
from whence.studies.parts.request import StudyRequest


def run_and_show(name: str, request: StudyRequest, *, as_json: bool) -> None:
    """Run a study, leave what was found in its folder, and print it.

    Args:
        name: of the study.
        request: what was asked of it.
        as_json: print JSON, not a table.
    """
    findings: Findings = FUNCTIONS.find(name)(request)
    content = to_json(name, findings)
    if request.out is not None:
        study = STUDIES[name]
        page = render_findings(name, study.claim, study.source, findings)
        write_whole(request.out / f"{name}.html", page.encode())
        for figure in findings.figures:
            write_whole(request.out / f"{name}-{figure.name}.png", figure.png)
        write_json(request.out / f"{name}.json", content)
    print(json.dumps(content, indent=1) if as_json else describe(name, findings))


def to_json(name: str, findings: Findings) -> dict[str, Any]:
    """Lay findings out as JSON, with what they are findings of."""
    return {
        "study": name,
        "claim": STUDIES[name].claim,
        "source": STUDIES[name].source,
        "holds": findings.holds,
        "verdict": findings.verdict,
        "rows": [dict(zip(findings.columns, row, strict=True)) for row in findings.rows],
        "made_with": dict(findings.made_with),
        "versions": {package: version(package) for package in ("whence", "torch")},
    }


def describe(name: str, findings: Findings) -> str:
    """Lay findings out for a terminal: claim, table, verdict."""
    rows = [[show_entry(entry) for entry in row] for row in findings.rows]
    table = [list(findings.columns), *rows]
    study = STUDIES[name]
    title = study.source if findings.holds is None else f"{study.claim} ({study.source})"
    return "\n".join([title, "", *align(table), "", findings.verdict, *findings.sentences])
