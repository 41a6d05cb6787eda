"""Checked expectations as text, JSON and JUnit XML."""

import json
import xml.etree.ElementTree as ET

from whence.records.checked import Checked, Checks
from whence.report.checked import checks_to_json, describe_checks, render_junit

GOOD = Checked("a < b & c", True, "0.900", 4, 0)
BAD = Checked("x\x1b[2J", False, "3 of 9 images hold", 9, 6, ("one\x00", "two"), 1.0)


def test_each_failure_is_told_with_its_images():
    assert describe_checks(Checks((GOOD, BAD))) == [
        "ok    a < b & c (0.900)",
        "FAIL  x\x1b[2J (3 of 9 images hold)",
        "        one\x00",
        "        two",
        "1 of 2 checks fail.",
    ]
    assert describe_checks(Checks((GOOD,)))[-1] == "The check holds."
    assert describe_checks(Checks((GOOD, GOOD)))[-1] == "All 2 checks hold."


def test_junit_is_well_formed_and_counts():
    content = render_junit(Checks((GOOD, BAD)), suite="run", seconds=1.25)
    root = ET.fromstring(content)
    (suite,) = root
    assert suite.attrib == {
        "name": "run",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "time": "1.250",
    }
    good, bad = suite
    assert good.attrib["name"] == "a < b & c"
    assert len(good) == 0
    (failure,) = bad
    assert bad.attrib["name"] == r"x\x1b[2J"
    assert failure.attrib["message"] == "3 of 9 images hold"
    assert failure.text == "one\\x00\ntwo\nand 4 more"


def test_json_holds_all():
    laid = json.loads(json.dumps(checks_to_json(Checks((GOOD, BAD)))))
    assert (laid["hold"], laid["failed"], len(laid["checks"])) == (False, 1, 2)
    assert laid["checks"][1]["problems"] == ["one\x00", "two"]
