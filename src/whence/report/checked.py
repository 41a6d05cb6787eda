"""Checked expectations as a table of text, as JSON and as JUnit XML."""

import re
import xml.etree.ElementTree as ET
from typing import Any

from whence.records.checked import Checked, Checks

NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, section 2.2."""


def describe_checks(checks: Checks) -> list[str]:
    """Write a line for each expectation, failures with what was found, and one for all."""
    lines = []
    for one in checks:
        lines.append(f"{'ok  ' if one.holds else 'FAIL'}  {one.title} ({one.found})")
        if not one.holds and one.images > 1:
            lines += [f"        {problem}" for problem in one.problems]
    failed = len(checks.failed)
    lines.append(f"{failed:,} of {len(checks):,} checks fail." if failed else say_all(checks))
    return lines


def say_all(checks: Checks) -> str:
    """Say that nothing fails."""
    return "The check holds." if len(checks) == 1 else f"All {len(checks):,} checks hold."


def checks_to_json(checks: Checks) -> dict[str, Any]:
    """Lay checked expectations out as JSON."""
    return {
        "hold": checks.hold,
        "failed": len(checks.failed),
        "checks": [
            {
                "expected": one.title,
                "holds": one.holds,
                "found": one.found,
                "images": one.images,
                "failed": one.failed,
                "problems": list(one.problems),
                "severity": one.severity,
            }
            for one in checks
        ],
    }


def render_junit(checks: Checks, *, suite: str, seconds: float) -> bytes:
    """Lay checked expectations out as JUnit XML, as CI servers read it.

    Args:
        checks: one test case each.
        suite: name of the suite, such as the run's.
        seconds: that all of them took.
    """
    numbers = {"tests": f"{len(checks)}", "failures": f"{len(checks.failed)}", "errors": "0"}
    root = ET.Element("testsuites", numbers | {"time": f"{seconds:.3f}"})
    under = ET.SubElement(
        root, "testsuite", {"name": to_xml(suite)} | numbers | {"time": f"{seconds:.3f}"}
    )
    for one in checks:
        case = ET.SubElement(
            under, "testcase", {"classname": to_xml(suite), "name": to_xml(one.title), "time": "0"}
        )
        if not one.holds:
            failure = ET.SubElement(
                case, "failure", {"message": to_xml(one.found), "type": "expectation"}
            )
            failure.text = to_xml("\n".join(list_problems(one)))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def list_problems(one: Checked) -> list[str]:
    """List what was found otherwise, and say how much more there is."""
    more = one.failed - len(one.problems)
    return [*one.problems, *([f"and {more:,} more"] if more > 0 else [])] or [one.found]


def to_xml(text: str) -> str:
    """Write characters that XML cannot hold as Python escapes."""
    return NO_XML.sub(lambda found: ascii(found[0])[1:-1], text)
